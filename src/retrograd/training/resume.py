"""Resuming a run after an interrupt, a crash or its end: it reaches the same bits as one that never stopped."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from retrograd.base.document import parse_document, write_document
from retrograd.base.errors import (
    ConfigError,
    DataError,
    ModelFileError,
    Problem,
    ResourceError,
    RetrogradError,
    RetrogradWarning,
    UsageError,
)
from retrograd.base.memory import memory_told
from retrograd.data.cells.precision import reading_in
from retrograd.data.dataset import Dataset
from retrograd.data.settings import DataSettings
from retrograd.distributed.join import join, taking_part
from retrograd.native.library import kernels
from retrograd.record.checkpoint import forget_checkpoints
from retrograd.record.events import INTERRUPTED, Note, Resumed, Started
from retrograd.record.layout import CONFIG, START
from retrograd.record.logs.weights import cut_weights
from retrograd.record.model import load_model
from retrograd.record.run import RunFolder
from retrograd.record.runs import LAST, find_run, latest, list_runs
from retrograd.record.writer import RunWriter
from retrograd.training.checkpoints import Point, newest, point_at
from retrograd.training.config.config import RunConfig, config_of, plain_config, portable
from retrograd.training.crew import followed
from retrograd.training.finished import Run
from retrograd.training.fit import dataset_of
from retrograd.training.interrupts import interruptible
from retrograd.training.loop.course import reads_in_blocks
from retrograd.training.loop.loop import Watcher
from retrograd.training.prepare import Prepared, prepare, with_first_weights
from retrograd.training.progress import Lines
from retrograd.training.run import Live, begin, silent, train_into, wishes
from retrograd.training.sameness import agree, differences, flat, may_differ
from retrograd.training.surroundings import surroundings
from retrograd.training.use.predict import locate
from retrograd.training.warm_start import with_own_start, with_start

EPOCHS, EXTEND = "training.epochs", "--extend N gives a run more epochs"
MOVED = "if it was moved: retrograd train --resume RUN --set weights.path=FOLDER"


def resume(
    run: Run | str | Path = "last",
    x: Any = None,
    y: Any = None,
    *,
    target: str | None = None,
    valid: Any = None,
    data: DataSettings | None = None,
    dataset: Dataset | None = None,
    epochs: int | None = None,
    root: str | Path = "runs",
    watchers: Sequence[Watcher] = (),
    progress: bool = True,
) -> Run:
    """Resume a run that was interrupted or killed from its newest intact checkpoint; return the finished run.

    It ends with the weights and history of a run that was never interrupted. `epochs` trains a finished run further,
    to this total number of epochs. The data of a run trained on arrays or frames must be passed again, as to `fit`,
    unless `run` is a Run object, which has them. Time limits keep counting.

        run = rg.resume("last")
        run = rg.resume(run, epochs=200)

    Raises:  UsageError for a run that has ended (without `epochs`); DataError, ConfigError or ModelFileError if the
             data, settings or network differ from the run's; RunInUseError while another process writes to it
    """
    with taking_part():
        folder = RunFolder.open(run.folder) if isinstance(run, Run) else find_run(Path(root), str(run))
        config = stored_config(folder)
        if epochs is not None:
            config = dataclasses.replace(config, training=dataclasses.replace(config.training, epochs=epochs))
        if dataset is None and x is not None:
            with reading_in(config.training.precision):
                dataset = dataset_of(x, y, target, valid, data or DataSettings())
        elif isinstance(run, Run):
            dataset = dataset or run.dataset
        prepared = prepare_again(folder, config, dataset)
        shown = (Lines(config.training.epochs),) if progress else ()
        return resume_prepared(folder, prepared, extends=epochs is not None, watchers=(*shown, *watchers))


def stored_config(run: RunFolder) -> RunConfig:
    """Return the configuration of a run with every setting filled in."""
    return config_of(parse_document(run.config_text(), str(run.path / CONFIG)))


def stored_data(config: RunConfig, where: str, cure: str) -> DataSettings:
    """Return the data settings of a run.

    Raises:  UsageError if its data were passed from Python
    """
    if config.data is None:
        raise UsageError("the run's data were passed from Python and are not stored", where=where, cure=cure)
    return config.data


def prepare_again(run: RunFolder, config: RunConfig, dataset: Dataset | None = None) -> Prepared:
    """Return a run prepared as it was when it started.

    Raises:  UsageError if its data were passed from Python and are not given; anything that `prepare` raises
    """
    if dataset is None:
        stored_data(config, str(run.path), "pass them again in Python: rg.resume(run, x, y)")
    return prepare(with_start(config, None, config.weights), dataset, runs=None, team=join(config.distributed))


def resume_prepared(
    run: RunFolder,
    prepared: Prepared,
    *,
    extends: bool = False,
    watchers: Sequence[Watcher] = (),
    started: Callable[[Prepared, Path], None] | None = None,
    live: Live = silent,
    readings: bool = False,
    returns_when_interrupted: bool = False,
) -> Run:
    """Resume a run (see `resume`) whose configuration and data have been read again or passed in.

    `extends` allows a run that has ended to have more epochs. `started` is called once before the first step.
    `readings` applies only if nothing was recorded yet; otherwise readings continue if the run had them.
    """
    prepared, team = begun_alike(run, prepared), prepared.team
    agree(prepared)
    if not team.leads:
        return followed(
            prepared, started, returns_when_interrupted, lambda: point_at(run, *team.first("checkpoint", None))
        )
    native = prepared.config.training.native_kernels
    with kernels(native), memory_told(), interruptible() as interrupts, RunWriter.resume(run.path) as place:
        refuse_ended(place, prepared, extends)
        begun = next((event for event in place.events(place.beginning()) if isinstance(event, Started)), None)
        refuse_other_data(place, begun, prepared)
        refuse_other_settings(place.path / CONFIG, plain_config(stored_config(place)), prepared, extends)
        point = newest(place)
        prepared.team.first("checkpoint", (str(point.path or ""), point.size))
        if point.path is not None:
            refuse_other_settings(point.path, point.config, prepared, extends=True)  # it may have been extended before
            refuse_other_order(point, prepared)
        else:
            refuse_other_weights(begun, prepared)
        readings = begun.readings if begun else readings
        go_on(place, prepared, begun is None, readings, point)
        if started:
            started(prepared, place.path)
        finished = train_into(place, prepared, watchers, wishes(interrupts, place), readings, point, live)
    if not returns_when_interrupted:
        interrupts.pass_on(finished.folder)
    return finished


def go_on(place: RunWriter, prepared: Prepared, begins: bool, readings: bool, point: Point) -> None:
    """Remove what was recorded after a point, and record that the run resumes there."""
    text = write_document(plain_config(portable(prepared.config)))
    if text != place.config_text():
        place.write_config(text)
    place.cut(point.size)
    cut_weights(place.path, after=point.health.step if point.health else 0)
    forget_checkpoints(place.path, after=point.step)
    if begins:
        begin(place, prepared, readings)
    measured = point.step - (point.saved.pending if point.saved else 0)
    place.record(Resumed(point.step, measured * prepared.config.training.epochs // prepared.steps))
    if point.facts:
        changed = [f"{name} {was} -> {is_now}" for name, was, is_now in
                   differences(point.facts.surroundings, surroundings(prepared.team))]  # fmt: skip
        words = f"changed since the checkpoint, so the last digits may differ: {', '.join(changed)}"
        if changed:
            warnings.warn(words, RetrogradWarning, stacklevel=2)
            place.record(Note(f"warning: {words}"))


def begun_alike(run: RunFolder, prepared: Prepared) -> Prepared:
    """Return the run with its initial weights. Its folder stores those of another run, but not pretrained ones.

    Raises:  ModelFileError, UsageError if they are gone
    """
    config = with_start(prepared.config, stored_config(run).training.start, prepared.config.weights)
    original = dataclasses.replace(prepared, config=with_own_start(config, run.path), start=None)
    try:
        loaded = with_first_weights(original)
    except RetrogradError as error:
        if config.weights is None or Path(config.weights.path).is_dir():
            raise
        moved = error.problems[-1]._replace(cure=MOVED)
        raise type(error)([*error.problems[:-1], moved]) from None
    return dataclasses.replace(loaded, config=config)


# ------------------------------------------------------------------------------------------------------------ refusals


def refuse_ended(place: RunFolder, prepared: Prepared, extends: bool) -> None:
    """Raise UsageError for a run that has ended, unless it is being extended and ended by its number of epochs."""
    stopped = place.stopped()
    epochs, where = prepared.config.training.epochs, str(place.path)
    if stopped is None or stopped.may_go_on:
        return
    if not extends:
        cure = "--extend N trains it further, to N epochs in all"
        if stopped.reason != "epochs":
            cure = "there is nothing to resume; to train its weights further, start a new run with training.start"
        raise UsageError(f"the run has ended: {stopped.sentence}", where=where, cure=cure)
    if stopped.reason != "epochs":
        cure = "start a new run from its weights instead: training.start"
        raise UsageError(f"more epochs would change nothing: {stopped.sentence}", where=where, cure=cure)
    if epochs <= stopped.epoch:
        message = f"the run already has {stopped.epoch} epochs"
        raise UsageError(message, where=EPOCHS, cure=f"give more than {stopped.epoch}")


def refuse_other_data(place: RunFolder, begun: Started | None, prepared: Prepared) -> None:
    """Raise DataError if the data are not those that the run started with."""
    data = prepared.config.data
    if begun and begun.data_digest and begun.data_digest != prepared.dataset.digest:
        where = str(data.path) if data and data.path else str(place.path)
        message = "the data have changed since the run started: their digest differs"
        raise DataError(message, where=where, cure="restore them, or train again")


def refuse_other_weights(begun: Started | None, prepared: Prepared) -> None:
    """Raise ModelFileError if a run without a checkpoint would start again from different pretrained weights."""
    weights, read = prepared.config.weights, prepared.pretrained
    if weights and read and begun and begun.weights_digest and begun.weights_digest != read.tensors.digest:
        message = "the pretrained weights have changed since the run started: their digest differs"
        raise ModelFileError(message, where=weights.path, cure="restore them, or train again")


def refuse_other_settings(where: Path, settings: Mapping[str, Any], prepared: Prepared, extends: bool) -> None:
    """Raise ConfigError naming each setting that has changed but may not change in the middle of a run."""
    changed = differences(flat(settings), flat(plain_config(portable(prepared.config))))
    problems = [
        Problem(name, f"{was} in {where}, {is_now} here", EXTEND if name == EPOCHS else "")
        for name, was, is_now in changed
        if not (may_differ(name) or (extends and name == EPOCHS))
    ]
    if problems:
        last = problems.pop()
        cure = last.cure or "resume with the run's settings, or train again from the start"
        raise ConfigError([*problems, last._replace(cure=cure)])
    epochs, was = prepared.config.training.epochs, int(settings["training"]["epochs"])
    if epochs < was:
        raise ConfigError(f"the run was configured for {was} epochs", where=EPOCHS, cure=f"give {was} or more")
    schedule = prepared.config.optimizer.schedule
    rows = prepared.dataset.rows["train"]
    before = dataclasses.replace(prepared.config.training, epochs=was).steps(rows)
    if schedule.length(before) != schedule.length(prepared.steps):
        message = f"the learning rate schedule spans the whole run: {before:,} steps, not {prepared.steps:,}"
        cure = "start a new run from its weights instead: training.start"
        raise ConfigError(message, where=EPOCHS, cure=cure)


def refuse_other_order(point: Point, prepared: Prepared) -> None:
    """Raise ResourceError if this machine's memory calls for another order of the rows than the checkpoint's."""
    ways = {False: "row by row", True: "in blocks"}
    in_blocks = reads_in_blocks(prepared.dataset.train)
    if point.facts and point.facts.in_blocks != in_blocks:
        message = f"{ways[point.facts.in_blocks]} in {point.path}, {ways[in_blocks]} here: it depends on the memory"
        cure = "resume with as much memory as before and the same data.cache, or train again from the start"
        raise ResourceError(message, where="order of the rows", cure=cure)


# ---------------------------------------------------------------------------------------------------------- by itself


def unfinished(root: Path, prepared: Prepared) -> RunFolder | None:
    """Return the newest run of a configuration if it has not ended; None if it has, or if there is none."""
    settings = flat(plain_config(portable(prepared.config)))
    for summary in reversed(list_runs(root)):
        if summary.problem:
            continue
        try:
            run = RunFolder.open(summary.path)
            stored = flat(plain_config(stored_config(run)))
        except RetrogradError:  # another run's configuration is damaged or unreadable
            continue
        if all(may_differ(name) for name, *_ in differences(stored, settings)) and same_start(run, prepared, root):
            return run if summary.stop_reason in (None, *INTERRUPTED) else None
    return None


def same_start(run: RunFolder, prepared: Prepared, root: Path) -> bool:
    """Return whether a run started from the weights that a configuration names.

    For the most recent run, `last` means the run before it.
    """
    start, path = prepared.config.training.start, run.path / START
    if start is None or not path.exists():
        return start is None and not path.exists()
    if start == LAST and latest(root).path == run.path:
        return True
    return load_model(path).facts.get("weights") == load_model(locate(start, root)).facts.get("weights")
