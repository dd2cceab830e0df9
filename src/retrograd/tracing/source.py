"""The source of a trace: a configuration or a run, the step, and its rows."""

from __future__ import annotations

import dataclasses
import functools
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrograd.base.compilation.programs import Program
from retrograd.base.document import parse_document
from retrograd.base.errors import DataError, UsageError
from retrograd.data.cells.precision import reading_in
from retrograd.data.dataset import Dataset, from_arrays, load
from retrograd.data.prefetch import is_streamed
from retrograd.data.settings import DataSettings
from retrograd.data.split.settings import SplitSettings
from retrograd.record.events import Epoch, Intervention, Started, Stopped, versions
from retrograd.record.run import CONFIG, RunFolder
from retrograd.tracing.look import step_numbers
from retrograd.training.config.config import RunConfig, config_of
from retrograd.training.prepare import Prepared, prepare, prepare_file
from retrograd.training.resume import stored_data
from retrograd.training.run import Run, as_config
from retrograd.training.warm_start import with_own_start
from retrograd.update.step import Stepper

Batch = dict[str, np.ndarray]
MOST_KEPT, MOST_BYTES = 4, 32 * 2**20  # limits of the cache: configurations, and training rows of one
_kept: OrderedDict[Any, tuple[Any, Source]] = OrderedDict()
_lock = threading.Lock()
PROGRAMS = ("jax", "jaxlib", "optax")  # libraries whose versions determine the bits


@dataclass(frozen=True)
class Source:
    """A past or possible run: `last` is its last step, `recorded` are the digests of its weights by step.

    interventions: those of the guard. A possible run is trained without a guard.
    """

    prepared: Prepared
    label: str
    is_run: bool
    last: int
    recorded: Mapping[int, str] = dataclasses.field(default_factory=dict)
    differing: tuple[str, ...] = ()  # versions other than those of the run
    interventions: tuple[Intervention, ...] = ()

    @functools.cached_property
    def stepper(self) -> Stepper:
        """The examined step: in the precision of its arrays, with rows already mixed."""
        prepared, config = self.prepared, self.prepared.config
        return Stepper(
            prepared.network,
            prepared.objectives,
            config.optimizer.timed(prepared.steps // config.training.epochs),
            config.penalties,
            prepared.steps,
            freeze=config.freeze,
        )

    @functools.cached_property
    def program(self) -> Program:
        """The program that computes every number of one step."""
        return Program(step_numbers, self.stepper)


def open_source(
    source: Any, dataset: Dataset | None = None, changes: Sequence[str] = (), batch: Mapping[str, Any] | None = None
) -> Source:
    """Return the source for the path of a configuration or run folder, a finished run, or a configuration."""
    is_run = isinstance(source, Run) or (isinstance(source, (str, Path)) and Path(source).is_dir())
    if changes and (is_run or not isinstance(source, (str, Path))):
        cure = "a finished run cannot be changed" if is_run else "change the configuration itself"
        raise UsageError("only for a configuration file", where="changes", cure=cure)
    if isinstance(source, Run):
        return _of_run(RunFolder.open(source.folder), source.dataset)
    if is_run:
        return _of_run(RunFolder.open(Path(source)), dataset)
    if isinstance(source, (str, Path)) and dataset is None and batch is None:
        return _of_file(Path(source), tuple(changes))
    config = as_config(source)
    if dataset is None and config.data is None and batch is not None:
        dataset = alone(batch)
    return _of_prepared(prepare(config, dataset))


def _of_prepared(prepared: Prepared) -> Source:
    return Source(prepared, prepared.config.name, False, prepared.steps)


def _of_file(path: Path, changes: tuple[str, ...]) -> Source:
    """Return the source for a configuration file, from the cache if neither it nor its data have changed.

    Viewing one step after another then reads nothing again.
    """
    key = (Path(os.path.abspath(path)), changes, os.getcwd())
    with _lock:
        stamps, source = _kept.get(key, (None, None))
    if source is not None and stamps == _stamps(path, source.prepared):
        return source
    source = _of_prepared(prepare_file(path, changes))
    stamps = _stamps(path, source.prepared)
    with _lock:
        _kept.pop(key, None)
        if stamps is not None:
            _kept[key] = stamps, source
            while len(_kept) > MOST_KEPT:
                _kept.popitem(last=False)
    return source


def _stamps(path: Path, prepared: Prepared) -> tuple[tuple[int, int, int], ...] | None:
    """Return inode, size and time of a run's files; None if they cannot be tracked or are too large."""
    data, dataset = prepared.config.data, prepared.dataset
    if (
        prepared.start is not None
        or is_streamed(dataset.train)
        or (data and (data.images or data.audio or data.text or data.windows))
    ):
        return None
    if sum(column.nbytes for column in dataset.train.values()) > MOST_BYTES:
        return None
    is_known = all(type(node.layer).__module__.startswith("retrograd.") for node in prepared.network)
    files = [path, *(Path(file) for file in (data and (data.path, data.valid_path, data.test_path)) or () if file)]
    try:
        if not is_known or not all(file.is_file() for file in files):
            return None
        return tuple((status.st_ino, status.st_size, status.st_mtime_ns) for status in map(Path.stat, files))
    except OSError:
        return None


def alone(batch: Mapping[str, Any]) -> Dataset:
    """Return rows as a data set, without splitting or scaling."""
    settings = DataSettings(task="regression", scale="none", scale_target="none", split=SplitSettings("none"))
    return from_arrays(np.asarray(batch["x"], np.float32), np.asarray(batch["y"], np.float32), settings=settings)


def _of_run(run: RunFolder, dataset: Dataset | None) -> Source:
    config: RunConfig = config_of(parse_document(run.config_text(), str(run.path / CONFIG)))
    recorded: dict[int, str] = {}
    interventions: list[Intervention] = []
    begun: Started | None = None
    last = 0
    for event in run.events():
        if isinstance(event, Started):
            begun = event
        elif isinstance(event, Intervention):
            interventions.append(event)
        elif isinstance(event, (Epoch, Stopped)):
            last = max(last, event.step)
            if isinstance(event, Epoch) and event.weights:
                recorded[event.step] = event.weights
    if dataset is None:
        cure = "trace it from Python: rg.trace(run), or rg.trace(folder, dataset=...)"
        settings = stored_data(config, str(run.path), cure)
        with reading_in(config.training.precision):
            dataset = load(settings)
    if begun and begun.data_digest and begun.data_digest != dataset.digest:
        raise DataError("the data have changed since the run", where=str(config.data and config.data.path),
                        cure="restore the original file")  # fmt: skip
    current = versions()
    differing = tuple(
        f"{name} {begun.versions[name]} then, {current[name]} now"
        for name in PROGRAMS
        if begun and name in begun.versions and begun.versions[name] != current[name]
    )
    return Source(
        prepare(with_own_start(config, run.path), dataset),
        run.path.name,
        True,
        last,
        recorded,
        differing,
        tuple(interventions),
    )


def check_step(source: Source, step: int) -> None:
    """Raise UsageError for a step that the run does not have."""
    if not 1 <= step <= source.last:
        verb = "took" if source.is_run else "takes"
        raise UsageError(f"there is no step {step}", where="step", cure=f"the run {verb} steps 1 to {source.last}")


def one_row(dataset: Dataset, sample: int) -> Batch:
    """Return one row of the training part as a batch."""
    rows = dataset.rows["train"]
    if not 0 <= sample < rows:
        raise UsageError(f"there is no training row {sample}", where="sample", cure=f"rows are 0 to {rows - 1}")
    return {name: column[sample : sample + 1] for name, column in dataset.train.items()}


def in_words(batch: Mapping[str, np.ndarray]) -> str:
    """Return the number of rows as text."""
    rows = len(next(iter(batch.values())))
    return "1 row" if rows == 1 else f"{rows} rows"
