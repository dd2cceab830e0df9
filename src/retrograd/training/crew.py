"""Training a run in several processes: the part of those that do not write it, and what all do together."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from retrograd.base.memory import memory_told
from retrograd.distributed.join import over
from retrograd.distributed.team import Team
from retrograd.native.library import kernels
from retrograd.training.checkpoints import Point, missed, shared
from retrograd.training.ending import trained
from retrograd.training.finished import Run
from retrograd.training.interrupts import interruptible
from retrograd.training.loop.loop import Loop, Scorer
from retrograd.training.loop.saver import Saver
from retrograd.training.prepare import Prepared


def followed(
    prepared: Prepared,
    started: Callable[[Prepared, Path], None] | None = None,
    returns_when_interrupted: bool = False,
    begins: Callable[[], Point | None] = lambda: None,
) -> Run:
    """Train a run that another process writes: the same steps and decisions, with nothing written here."""
    config, dataset, team = prepared.config, prepared.dataset, prepared.team
    with kernels(config.training.native_kernels), memory_told(), interruptible() as interrupts:
        point = begins()
        folder, saved = Path(team.first("run", None)), point.saved if point else None
        if started:
            started(prepared, folder)
        checkpoint = config.training.checkpoint
        before = saved.seconds if saved else 0.0
        slices = Saver(
            lambda saved: lambda: shared(team, folder, saved), checkpoint.seconds, before, **together(prepared)
        )
        with slices as saver:
            fitted = Loop(
                prepared.stepper(),
                config.training,
                dataset.train,
                score=scorer(prepared),
                held_out=dataset.valid is not None,
                valid_rows=dataset.rows.get("valid", 0),
                asked_to_stop=team.wishes(interrupts.asked),
                clock=team.clock,
                team=team,
                save=saver if checkpoint.keep and prepared.cuts else None,
            ).run(prepared.first(), saved)
        leave_training(team)
    metrics = fitted.best.metrics if fitted.best else {}
    if not returns_when_interrupted:
        interrupts.pass_on(folder)
    model = trained(prepared, fitted.variables, metrics)
    best = fitted.best.epoch if fitted.best else None
    return Run(folder, model, dataset, fitted.history, fitted.stop, best, metrics, fitted.interventions)


def scorer(prepared: Prepared) -> Scorer:
    """Return the function by which all processes together score the weights after an epoch."""
    evaluator, part = prepared.evaluator(team=prepared.team), prepared.measured_part
    return lambda variables: {part: evaluator.scores(variables, getattr(prepared.dataset, part))}


def together(prepared: Prepared) -> dict[str, Any]:
    """Return the saver's options where several processes agree when to save, and wait for each other's slices."""
    team = prepared.team
    if team.size == 1:
        return {}
    answer = {"missed": partial(missed, team)} if prepared.cuts else {}
    return {"clock": team.clock, "together": True, **answer}


def leave_training(team: Team) -> None:
    """Wait until the run is written."""
    team.same("end of training", None)
    over()
