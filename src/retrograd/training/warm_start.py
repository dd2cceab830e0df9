"""A warm start: training starts from the weights of another run or model, and takes nothing else from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from retrograd.base.errors import ModelFileError, RetrogradError
from retrograd.data.preprocessing import Preprocessing
from retrograd.network.network import Variables
from retrograd.present.wording import some_of
from retrograd.record.layout import START
from retrograd.record.model import check_fits
from retrograd.training.config.config import RunConfig
from retrograd.training.config.weights import WeightsSettings
from retrograd.training.use.predict import Model, load_file, locate

SETTING = "training.start"


class WarmStart(NamedTuple):
    """The path of the initial model, the model, its weights for this run, and warnings about them."""

    path: Path
    model: Model
    variables: Variables
    warnings: tuple[str, ...] = ()


def warm_start(name: str, expected: Variables, preprocessing: Preprocessing, runs: str | Path = "runs") -> WarmStart:
    """Return the weights of a run or model file, located as by `load`, for a network that expects these shapes.

    Raises:  UsageError if there is no such run; ModelFileError naming each array that does not fit
    """
    try:
        path = locate(name, runs)
        model = load_file(path)
    except RetrogradError as error:
        raise type(error)([p._replace(where=f"{SETTING}: {p.where}") for p in error.problems]) from None
    variables = Variables(_cast(model.variables.params, expected.params), _cast(model.variables.state, expected.state))
    check_fits(variables.params, expected.params, where=f"{SETTING}: {path}")
    check_fits(variables.state, expected.state, where=f"{SETTING}: {path}")
    return WarmStart(path.absolute(), model, variables, tuple(_differences(model, preprocessing, name)))


def with_start(config: RunConfig, start: str | None, weights: WeightsSettings | None = None) -> RunConfig:
    """Return the configuration with other initial weights: a run's, pretrained or random ones."""
    return dataclasses.replace(config, training=dataclasses.replace(config.training, start=start), weights=weights)


def with_own_start(config: RunConfig, run: Path) -> RunConfig:
    """Return the configuration of a run, starting from the initial weights stored in its folder unless random.

    Raises:  ModelFileError if they are gone
    """
    if config.training.start is None:
        return config
    if not (run / START).exists():
        message, cure = "the run's initial weights are gone", "restore the file, or train again"
        raise ModelFileError(message, where=str(run / START), cure=cure)
    return with_start(config, str(run / START))


def _cast(tree: Mapping[str, Any], specs: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return arrays in the expected precision: a float64 run may start from float32 weights."""

    def cast(value: Any, spec: Any) -> np.ndarray:
        array: np.ndarray = np.array(value)
        is_wider = spec is not None and array.dtype.kind == np.dtype(spec.dtype).kind == "f"
        return array.astype(spec.dtype) if is_wider else array

    return {
        node: {name: cast(array, specs.get(node, {}).get(name)) for name, array in arrays.items()}
        for node, arrays in jax.device_get(tree).items()
    }


def _differences(model: Model, preprocessing: Preprocessing, name: str) -> Iterator[str]:
    """Yield how these data differ from those that the weights were trained on."""
    if model.classes != preprocessing.classes:
        yield (
            f"{SETTING}: the weights of {name} were trained for the classes {_listed(model.classes)}, "
            f"but these data have {_listed(preprocessing.classes)}"
        )
    elif model.preprocessing.to_json() != preprocessing.to_json():
        yield (
            f"{SETTING}: {name} was trained on other rows or columns, scaled or encoded differently: the first loss "
            "may be higher than its last"
        )


def _listed(classes: tuple[Any, ...] | None, most: int = 6) -> str:
    if classes is None:
        return "none (values)"
    return some_of(classes, most)
