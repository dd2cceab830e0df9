"""The shortest way to a trained network: data in, finished run out; the data decide every setting not given."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from retrograd.base.schema import parse, parse_registered
from retrograd.data.cells.precision import reading_in
from retrograd.data.dataset import Dataset, from_arrays, from_frame, load
from retrograd.data.settings import DataSettings
from retrograd.network.entries import parse_entries
from retrograd.network.losses.loss import losses
from retrograd.network.network import Network
from retrograd.training.config.config import RunConfig
from retrograd.training.config.design import design
from retrograd.training.config.settings import TrainingSettings
from retrograd.training.loop.loop import Watcher
from retrograd.training.progress import Lines
from retrograd.training.run import Run, train
from retrograd.update.optimizer import optimizers
from retrograd.update.penalties import Penalty


def fit(
    x: Any,
    y: Any = None,
    *,
    target: str | None = None,
    valid: Any = None,
    network: Any = None,
    loss: Any = None,
    optimizer: Any = None,
    penalties: Sequence[Penalty] = (),
    data: DataSettings | None = None,
    name: str = "fit",
    root: str | Path = "runs",
    watchers: Sequence[Watcher] = (),
    progress: bool = True,
    **training: Any,
) -> Run:
    """Train on arrays (x, y), a data frame or a file (x, target=...), and return the finished run.

    `network` is a Network, a list of layers (objects or as in YAML), or None for one chosen by the size of the data;
    `loss` and `optimizer` are objects or names; `data` holds further DataSettings; `training` holds fields of
    TrainingSettings, such as epochs=50, batch_size=16, seed=3. `progress` prints a line to standard error every 2 s.

        run = rg.fit(x, y, network=[rg.Dense(16, "relu"), rg.Dense("classes")], epochs=50)
    """
    with reading_in(training.get("precision", "float32")):
        dataset = dataset_of(x, y, target, valid, data or DataSettings())
    config = configured(
        dataset,
        data or DataSettings(),
        network=network,
        loss=loss,
        optimizer=optimizer,
        penalties=penalties,
        name=name,
        training=training,
    )
    shown = (Lines(config.training.epochs),) if progress else ()
    return train(config, dataset=dataset, root=root, watchers=(*shown, *watchers))


def configured(
    dataset: Dataset,
    settings: DataSettings,
    *,
    network: Any = None,
    loss: Any = None,
    optimizer: Any = None,
    penalties: Sequence[Penalty] = (),
    name: str = "fit",
    training: Mapping[str, Any] | None = None,
) -> RunConfig:
    """Return a configuration for a data set; settings not given are chosen to suit its size and task."""
    chosen = design(dataset, settings).config
    entries = network.entries if isinstance(network, Network) else network
    suited = {field.name: getattr(chosen.training, field.name) for field in dataclasses.fields(TrainingSettings)}
    return RunConfig(
        data=None,
        network=chosen.network if entries is None else parse_entries(entries),
        loss=None if loss is None else parse_registered(losses, loss, "loss"),
        optimizer=chosen.optimizer if optimizer is None else parse_registered(optimizers, optimizer, "optimizer"),
        penalties=tuple(penalties),
        training=parse(TrainingSettings, {**suited, **(training or {})}, "training"),
        name=name,
    )


def dataset_of(x: Any, y: Any, target: str | None, valid: Any, settings: DataSettings) -> Dataset:
    """Return the data set described by the arguments of `fit`."""
    if isinstance(x, (str, Path)):
        return load(dataclasses.replace(settings, path=str(x), target=target or y or settings.target))
    is_table = isinstance(x, Mapping) and (target is not None or "x" not in x)
    if hasattr(x, "columns") or is_table:
        return from_frame(x, y if target is None else target, valid=valid, settings=settings)
    return from_arrays(x, y, valid=valid, settings=settings)
