"""The model named on a command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from retrograd.app.cli.standard_input import is_input
from retrograd.base.errors import UsageError
from retrograd.data.read.compression import inner_name
from retrograd.data.settings import DataSettings
from retrograd.data.source import KNOWN_SUFFIXES
from retrograd.data.tables.inputs import TableInputs
from retrograd.data.windows.inputs import WindowInputs
from retrograd.record.run import EVENTS, MODEL
from retrograd.training.use.predict import Model, load


def model_at(name: str, root: Path, allow_nonfinite: bool = False) -> Model:
    """Return the model in a file or run folder, or the model of a run with this name."""
    return load(name, runs=root, allow_nonfinite=allow_nonfinite)


def with_invalid(model: Model, invalid: Literal["error", "missing"] | None) -> Model:
    """Return the model set to treat unreadable cells as errors or as missing; None leaves it unchanged.

    Raises:  UsageError for a model that was not trained on a table
    """
    if invalid is None:
        return model
    inputs, data = model.preprocessing.inputs, replace(model.config.data or DataSettings(), invalid=invalid)
    if isinstance(inputs, TableInputs):
        inputs = replace(inputs, invalid=invalid)
    elif isinstance(inputs, WindowInputs):
        inputs = replace(inputs, table=replace(inputs.table, invalid=invalid))
    else:
        raise UsageError("the model was not trained on a table", where="--invalid", cure="leave it out")
    config = replace(model.config, data=data)
    return replace(model, config=config, preprocessing=replace(model.preprocessing, inputs=inputs))


def check_order(run: str, data: Path, verb: str) -> None:
    """Raise UsageError if the run and the data are swapped."""
    is_data = Path(run).is_file() and Path(inner_name(Path(run))).suffix in KNOWN_SUFFIXES
    is_run = data.suffix == Path(MODEL).suffix or (data / EVENTS).is_file() or not (is_input(data) or data.exists())
    if is_data and is_run:
        cure = f"write: retrograd {verb} {data} {run}"
        raise UsageError("this is a data file, but the run comes first", where=run, cure=cure)
