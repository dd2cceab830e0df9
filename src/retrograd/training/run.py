"""A training run from configuration to run folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import jax

from retrograd.base.document import Document, write_document
from retrograd.base.errors import NonFiniteError
from retrograd.base.memory import memory_told
from retrograd.data.dataset import Dataset
from retrograd.distributed.join import join, taking_part
from retrograd.native.library import kernels
from retrograd.record.events import Epoch, Intervention, Note, Phase, Progress, Started
from retrograd.record.layout import START
from retrograd.record.logs.weights import append_weights
from retrograd.record.writer import RunWriter
from retrograd.training.checkpoints import Checkpoints, Point
from retrograd.training.config.config import (
    RunConfig,
    config_of,
    plain_config,
    portable,
    read_config,
)
from retrograd.training.crew import followed, leave_training, scorer, together
from retrograd.training.ending import end, own_files, save, trained
from retrograd.training.ensemble import further_members
from retrograd.training.finished import Run as Run
from retrograd.training.gradients import check_prepared, refuse_wrong
from retrograd.training.interrupts import Interrupts, interruptible
from retrograd.training.loop.health import HealthWatch, sentence
from retrograd.training.loop.keeping import Keeper
from retrograd.training.loop.loop import Loop, Watcher
from retrograd.training.loop.moments import Moments
from retrograd.training.loop.pulse import Pulse
from retrograd.training.loop.saved import Saved
from retrograd.training.loop.saver import Saver
from retrograd.training.plane import PlaneSampler, may_sample
from retrograd.training.prepare import Prepared, prepare
from retrograd.training.sameness import agree
from retrograd.training.surroundings import number_flags

Live = Callable[[Phase | Progress], object]


def silent(event: Phase | Progress) -> None:
    """Ignore an event."""


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
    """Train a network as configured (object, mapping, or path of a YAML file); return the finished run.

    The run folder is created in `root`, or exactly at `folder`. `started` is called once before the first step,
    `watchers` at the end of every epoch. `readings` records the health of the layers from time to time.

    Raises:  NonFiniteError if training met NaN or infinity; the run folder then holds the last good weights.
             KeyboardInterrupt (Ctrl-C) or SystemExit (SIGTERM, a closed terminal), once everything is saved.
             ResourceError if the run had to be saved elsewhere, for example because its folder was deleted.
    """
    with taking_part():
        config = as_config(config)
        prepared = prepare(config, dataset, root, join(config.distributed))
        return train_prepared(prepared, root=root, folder=folder, overwrite=overwrite, watchers=watchers,
                              started=started, readings=readings)  # fmt: skip


def train_prepared(
    prepared: Prepared,
    *,
    root: str | Path = "runs",
    folder: str | Path | None = None,
    overwrite: bool = False,
    watchers: Sequence[Watcher] = (),
    started: Callable[[Prepared, Path], None] | None = None,
    live: Live = silent,
    readings: bool = False,
    returns_when_interrupted: bool = False,
    saved: Saved | None = None,
) -> Run:
    """Train a run that `prepare` has checked (see `train`), from its beginning or from a state saved in memory.

    An interrupt is raised again once the run is saved, unless `returns_when_interrupted`. `live` receives the phases of
    the process, and its progress between the ends of epochs.
    """
    config = prepared.config
    agree(prepared)
    if not prepared.team.leads:
        return followed(prepared, started, returns_when_interrupted)
    notes = tuple(gradients_checked(prepared))
    native = kernels(config.training.native_kernels)
    with native, memory_told(), interruptible() as interrupts, writer(config.name, root, folder, overwrite) as place:
        begin(place, prepared, readings, notes)
        earlier: list[Epoch | Intervention] = [*saved.history, *saved.interventions] if saved else []
        for event in sorted(earlier, key=lambda event: event.step):
            place.record(event)
        if started:
            started(prepared, place.path)
        point = None if saved is None else Point(place.mark().size, saved=saved)
        run = train_into(place, prepared, watchers, wishes(interrupts, place), readings, point, live)
    if not returns_when_interrupted:
        interrupts.pass_on(run.folder)
    return run


def begin(place: RunWriter, prepared: Prepared, readings: bool, notes: Sequence[str] = ()) -> None:
    """Record the start of a run."""
    config, dataset, pretrained = prepared.config, prepared.dataset, prepared.pretrained
    if prepared.start:  # before the configuration, whose presence makes the folder a run
        prepared.start.model.save(place.path / START)
    else:
        (place.path / START).unlink(missing_ok=True)
    place.write_config(write_document(plain_config(portable(config))))
    place.record(Started.here(config.name, dataset.task, config.training.seed, data_digest=dataset.digest,
                              device=jax.default_backend(), flags=number_flags(), readings=readings,
                              epochs=config.training.epochs, steps=prepared.steps,
                              parent=prepared.start.path.name if prepared.start else "",
                              weights_digest=pretrained.tensors.digest if pretrained else None))  # fmt: skip
    files = [f"layers of {name}, sha256 {digest}" for name, digest in own_files(config).items()]
    read = pretrained.notes if pretrained else ()
    for note in (*dataset.notes, *read, *notes, *files, *(f"warning: {warning}" for warning in prepared.warnings())):
        place.record(Note(note))


def wishes(interrupts: Interrupts, place: RunWriter) -> Callable[[], str | None]:
    """Return the function that the loop polls for a reason to stop: a signal, or a request in the run's folder."""
    return lambda: interrupts.asked() or ("interrupted" if place.is_asked_to_stop() else None)


def gradients_checked(prepared: Prepared) -> Iterator[str]:
    """Check the backward pass if the configuration asks for it, and yield the verdict.

    Raises:  GradientError if a gradient is wrong
    """
    if prepared.config.training.check:
        report = check_prepared(prepared)
        refuse_wrong(report)
        yield f"gradients checked before the first step: {report.verdict}"


@contextmanager
def writer(name: str, root: str | Path, folder: str | Path | None, overwrite: bool) -> Iterator[RunWriter]:
    """Yield the writer of a new run folder, which is deleted if the run fails before its first epoch or checkpoint.

    A run meant to replace another one is deleted, and the other kept, if it fails before its first model.
    """
    new = RunWriter.create(Path(root), name) if folder is None else RunWriter.at(Path(folder), overwrite=overwrite)
    with new as place:
        try:
            yield place
        except BaseException:
            if not place.has_begun or place.replaces:
                place.discard()
            raise


def as_config(config: RunConfig | Mapping[str, Any] | str | Path) -> RunConfig:
    """Return the configuration given as an object, a mapping or a path."""
    if isinstance(config, RunConfig):
        return config
    return read_config(config) if isinstance(config, (str, Path)) else config_of(Document(dict(config)))


def train_into(
    place: RunWriter,
    prepared: Prepared,
    watchers: Sequence[Watcher],
    asked: Callable[[], str | None],
    readings: bool,
    point: Point | None = None,
    live: Live = silent,
) -> Run:
    """Train a run whose start is recorded, from the beginning or from a point, and save the result."""
    config, dataset, saved = prepared.config, prepared.dataset, point.saved if point else None
    team = prepared.team
    team.first("run", str(place.path.absolute()))
    evaluator = prepared.evaluator()

    def tell(event: Phase | Progress) -> None:
        place.keep(event)
        live(event)

    pulse = Pulse(tell)
    pulse.enter("compiling")
    first = prepared.first()
    stepper = prepared.stepper()
    moments = Moments(partial(append_weights, place.path))
    if readings and point is None:
        moments(0, first)
    watch = HealthWatch(prepared.steps, place.keep, moments) if readings else None
    samples = config.training.ensemble == 1 and may_sample(prepared, first)
    sampler = PlaneSampler(prepared, evaluator, first) if samples else None
    if watch and point and point.health:
        watch.restore(point.health)
    if sampler and saved:
        sampler.restore(saved.arrays)
    looks = [look for look in (watch, sampler) if look is not None and not prepared.cuts]
    checkpoint = config.training.checkpoint
    keeper = Keeper(lambda variables, best: save(trained(prepared, variables, best.metrics), place))
    with Saver(
        Checkpoints(place, prepared, sampler), checkpoint.seconds, saved.seconds if saved else 0.0, **together(prepared)
    ) as saver:
        fitted = Loop(
            stepper,
            config.training,
            dataset.train,
            score=scorer(prepared),
            held_out=dataset.valid is not None,
            valid_rows=dataset.rows.get("valid", 0),
            watchers=watchers,
            record=place.keep,
            asked_to_stop=team.wishes(asked),
            announce=place.keep,
            clock=team.clock,
            team=team,
            pulse=pulse,
            look=(lambda *state: [look(*state) for look in looks]) if looks else None,
            keep=keeper if team.size == 1 else None,  # checkpoints contain them too
            save=saver if checkpoint.keep else None,
        ).run(first, saved)
    fitted, members = further_members(prepared, fitted, place.keep, asked)
    pulse.enter("finishing")
    ended = end(place, prepared, evaluator if members == 1 else prepared.evaluator(members), fitted, sampler)
    if fitted.error:
        raise NonFiniteError([p._replace(cure=p.cure + f"; run folder: {ended.folder}") for p in fitted.error.problems])
    if ended.error:
        raise ended.error
    leave_training(team)
    health = sentence(watch.last) if watch else ""
    best = fitted.best.epoch if fitted.best else None
    return Run(
        ended.folder,
        ended.model,
        dataset,
        fitted.history,
        fitted.stop,
        best,
        ended.scores,
        fitted.interventions,
        health,
    )
