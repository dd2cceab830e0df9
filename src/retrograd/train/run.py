"""A training run from configuration to run folder."""

from __future__ import annotations

import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import jax
import numpy as np

from retrograd.base.document import Document, write_document
from retrograd.base.errors import NonFiniteError, RetrogradWarning
from retrograd.base.memory import memory_told
from retrograd.data.dataset import Dataset
from retrograd.native.library import kernels
from retrograd.network.layer import Spec
from retrograd.network.network import Variables
from retrograd.network.own_layers import files_of
from retrograd.record.events import Epoch, Intervention, Metrics, Note, Started, Stopped
from retrograd.record.report import write_report
from retrograd.record.run import REPORT, RunFolder, RunWriter
from retrograd.record.tree import digest
from retrograd.train.config import (
    RunConfig,
    config_of,
    plain_config,
    portable,
    read_config,
)
from retrograd.train.gradients import check_prepared, refuse_wrong
from retrograd.train.health import HealthWatch, sentence
from retrograd.train.keeping import Keeper
from retrograd.train.loop import Fitted, Loop, Watcher
from retrograd.train.predict import Model
from retrograd.train.prepare import PARTS, Prepared, prepare
from retrograd.train.stop import Stop

WISHES: dict[int, str] = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}  # reasons to stop


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run: its folder, the model with the best weights, the epochs, why it stopped, and the scores."""

    folder: Path
    model: Model
    dataset: Dataset
    history: tuple[Epoch, ...]
    stop: Stop
    best_epoch: int | None
    scores: Mapping[str, Mapping[str, float]]  # part -> metric -> value
    interventions: tuple[Intervention, ...] = ()  # what the guard did
    health: str = ""  # the last readings in words

    def __repr__(self) -> str:
        part = next((part for part in reversed(PARTS) if part in self.scores), "train")
        scores = ", ".join(f"{name} {value:.4g}" for name, value in list(self.scores.get(part, {}).items())[:2])
        best = "the first weights" if self.best_epoch is None else f"best epoch {self.best_epoch}"
        config = self.model.config
        return (
            f"<Run {config.name}: {self.dataset.task}, {part} {scores}; {self.stop.reason} after {len(self.history)}"
            f" epochs, {best}; {self.folder}>"
        )

    def predict(self, data: Any) -> np.ndarray:
        """Return a label or value for each new row (see Model.predict)."""
        return self.model.predict(data)

    def predict_proba(self, data: Any) -> np.ndarray:
        """Return the probability of each class [rows, classes] (see Model.predict_proba)."""
        return self.model.predict_proba(data)

    def evaluate(self, data: Any, y: Any = None) -> dict[str, float]:
        """Return loss and metrics on rows with targets, or on rows x and targets y."""
        return self.model.evaluate(data, y)


def train(
    config: RunConfig | Mapping[str, Any] | str | Path,
    *,
    dataset: Dataset | None = None,
    root: str | Path = "runs",
    folder: str | Path | None = None,
    overwrite: bool = False,
    watchers: Sequence[Watcher] = (),
    started: Callable[[Prepared, Path], None] | None = None,
    readings: bool = False,
) -> Run:
    """Train what a configuration (object, mapping, or path of a YAML file) describes; return the finished run.

    `root` is where the run folder is made, `folder` names it exactly. `started` is called once before the first step,
    `watchers` at the end of every epoch. `readings` records the health of the layers now and then.
    An interrupt (Ctrl-C) ends training cleanly with everything saved.

    Raises:  NonFiniteError when training met NaN or infinity; the run folder then holds the last good weights.
    """
    prepared = prepare(as_config(config), dataset)
    return train_prepared(prepared, root=root, folder=folder, overwrite=overwrite, watchers=watchers, started=started,
                          readings=readings)  # fmt: skip


def train_prepared(
    prepared: Prepared,
    *,
    root: str | Path = "runs",
    folder: str | Path | None = None,
    overwrite: bool = False,
    watchers: Sequence[Watcher] = (),
    started: Callable[[Prepared, Path], None] | None = None,
    readings: bool = False,
) -> Run:
    """Train a run that `prepare` has checked (see `train`)."""
    config, dataset = prepared.config, prepared.dataset
    notes = (*dataset.notes, *gradients_checked(prepared))
    chosen = kernels(config.training.native_kernels)
    with chosen, memory_told(), interruptible() as asked, writer(config.name, root, folder, overwrite) as place:
        place.write_config(write_document(plain_config(portable(config))))
        place.record(Started.here(config.name, dataset.task, config.training.seed, data_digest=dataset.digest,
                                  device=jax.default_backend()))  # fmt: skip
        files = [f"layers of {name}, sha256 {digest}" for name, digest in own_files(config).items()]
        for note in (*notes, *files, *(f"warning: {found}" for found in prepared.warnings())):
            place.record(Note(note))
        if started:
            started(prepared, place.path)
        return _train_into(place, prepared, watchers, asked, readings)


def gradients_checked(prepared: Prepared) -> Iterator[str]:
    """Check the backward pass where the configuration asks for it, and yield the verdict.

    Raises:  GradientError when a gradient is wrong
    """
    if prepared.config.training.check:
        report = check_prepared(prepared)
        refuse_wrong(report)
        yield f"gradients checked before the first step: {report.verdict}"


@contextmanager
def writer(name: str, root: str | Path, folder: str | Path | None, overwrite: bool) -> Iterator[RunWriter]:
    """Give the writer of a new run folder; what fails before its first epoch leaves none behind."""
    new = RunWriter.create(Path(root), name) if folder is None else RunWriter.at(Path(folder), overwrite=overwrite)
    with new as place:
        try:
            yield place
        except BaseException:
            if not place.has_begun:
                place.discard()
            raise


def as_config(config: RunConfig | Mapping[str, Any] | str | Path) -> RunConfig:
    """Return the configuration that was given in one of several forms."""
    if isinstance(config, RunConfig):
        return config
    return read_config(config) if isinstance(config, (str, Path)) else config_of(Document(dict(config)))


def _train_into(
    place: RunWriter,
    prepared: Prepared,
    watchers: Sequence[Watcher],
    asked: Callable[[], str | None],
    readings: bool,
) -> Run:
    config, dataset = prepared.config, prepared.dataset
    evaluator = prepared.evaluator()
    part = prepared.measured_part
    measured = getattr(dataset, part)
    specs = {name: Spec(np.shape(column), column.dtype) for name, column in dataset.train.items()}
    first = prepared.network.init(jax.random.key(config.training.seed), specs)
    stepper = prepared.stepper()
    watch = HealthWatch(prepared.steps, place.record) if readings else None
    fitted = Loop(
        stepper,
        config.training,
        dataset.train,
        score=lambda variables: {part: evaluator.scores(variables, measured)},
        held_out=dataset.valid is not None,
        watchers=(place.record, *watchers),
        asked_to_stop=asked,
        told=place.record,
        look=watch,
        keep=Keeper(lambda variables, best: trained(prepared, variables, best.metrics).save(place.model_path)),
    ).run(first)
    parts = {name: columns for name in PARTS if (columns := getattr(dataset, name)) is not None}
    scores = {name: evaluator.scores(fitted.variables, columns, full=True) for name, columns in parts.items()}
    model = trained(prepared, fitted.variables, scores)
    model.save(place.model_path)
    place.finish(stopped(fitted, scores, model.facts["weights"]))
    tell(place)
    if fitted.error:
        raise NonFiniteError([p._replace(cure=f"{p.cure}; run folder: {place.path}") for p in fitted.error.problems])
    best = fitted.best.epoch if fitted.best else None
    health = sentence(watch.last) if watch else ""
    return Run(place.path, model, dataset, fitted.history, fitted.stop, best, scores, fitted.interventions, health)


def trained(prepared: Prepared, variables: Variables, metrics: Metrics) -> Model:
    """Return the model that a run has come to: weights, all that they need to be used, and what was measured."""
    config, dataset = prepared.config, prepared.dataset
    columns = {name: [list(np.shape(column)[1:]), str(column.dtype)] for name, column in dataset.train.items()}
    facts: dict[str, Any] = {"task": dataset.task, "columns": columns, "metrics": metrics}
    facts |= {"weights": digest(variables.params)} | ({"layers": own} if (own := own_files(config)) else {})
    return Model(config, prepared.network, prepared.objectives, variables, dataset.preprocessing, facts)


def tell(place: RunFolder) -> None:
    """Write the report of a run that has ended; no failure there is worth the run."""
    try:
        write_report(place)
    except Exception as error:
        warnings.warn(f"{place.path / REPORT} was not written: {error}", RetrogradWarning, stacklevel=2)


def own_files(config: RunConfig) -> dict[str, str]:
    """Return name and digest of each file of the user's own layers that a configuration makes use of."""

    def words(plain: Any) -> Iterator[str]:
        if isinstance(plain, str):
            yield plain
        for inner in [*plain, *plain.values()] if isinstance(plain, dict) else plain if isinstance(plain, list) else ():
            yield from words(inner)

    return files_of(set(words(plain_config(config))))


def stopped(fitted: Fitted, metrics: Metrics, weights: str) -> Stopped:
    """Return the event that ends a run."""
    last = fitted.history[-1] if fitted.history else None
    step, epoch, seconds = (last.step, last.epoch, last.seconds) if last else (0, 0, 0.0)
    best = fitted.best.epoch if fitted.best else None
    return Stopped(fitted.stop.reason, step, epoch, best, seconds, weights, metrics, fitted.stop.sentence)


@contextmanager
def interruptible() -> Iterator[Callable[[], str | None]]:
    """Turn the first interrupt or termination into a wish to stop, whose name the loop asks for; a second one acts."""
    wished: list[str] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return

    def wish(number: int, frame: FrameType | None) -> None:
        if wished:
            signal.signal(number, before[number])
            signal.raise_signal(number)
        wished.append(WISHES[number])

    before = {number: signal.signal(number, wish) for number in WISHES}
    try:
        yield lambda: wished[0] if wished else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
