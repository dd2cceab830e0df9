"""An observed run: trained by the training loop, with scores and readings at a dozen moments."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from retrograd.diagnosis.judgement.score import Scorer, columns_of
from retrograd.network.network import Variables
from retrograd.propagation.readings import Health
from retrograd.record.events import Epoch
from retrograd.training.loop.loop import Loop
from retrograd.training.prepare import Prepared
from retrograd.update.plateau import ReduceOnPlateau
from retrograd.update.step import Stepper

MOMENTS = 12  # a dozen points show the shape of a curve and cost little compared with the run
CUT = "out of time"


class Moment(NamedTuple):
    """The scores and readings at the end of an epoch. `held_out` is the validation score, if there is such a part."""

    step: int
    train: float
    held_out: float
    loss: float
    held_out_loss: float
    health: Health | None


class Observed(NamedTuple):
    """A finished run: losses by epoch, moments, final weights, and the error that ended it, if any.

    `cut` means that time ran out before the last epoch; `stopped` is the reason why training ended.
    """

    losses: tuple[float, ...]
    moments: tuple[Moment, ...]
    variables: Variables
    steps: int
    broken: str = ""
    seed: int = 0
    cut: bool = False
    stopped: str = ""

    @property
    def score(self) -> float:
        """The last held-out score."""
        return self.moments[-1].held_out if self.moments else float("-inf")

    @property
    def train_score(self) -> float:
        """The last training score."""
        return self.moments[-1].train if self.moments else float("-inf")


def observe(
    prepared: Prepared,
    scorer: Scorer,
    stepper: Stepper | None = None,
    look: Callable[[Variables], Health] | None = None,
    seed: int | None = None,
    epochs: int | None = None,
    seconds: float | None = None,
    enough: float = math.inf,
) -> Observed:
    """Train a prepared run in memory and return what was observed; the weights are the last ones, not the best.

    A given `stepper` is reused without compiling it again. The run ends when the held-out score reaches `enough`; after
    `seconds` it is cut short, even within an epoch.
    """
    settings = prepared.config.training
    epochs = settings.epochs if epochs is None else epochs
    stop_rules = (settings.early_stopping, settings.goal, settings.convergence)
    waits = any(stop_rules) or isinstance(prepared.config.optimizer.learning_rate, ReduceOnPlateau)
    settings = dataclasses.replace(
        settings,
        epochs=epochs,
        guard="off",  # the run is observed as it is, without repairs
        seed=settings.seed if seed is None else seed,
        evaluate_every=settings.evaluate_every if waits else max(1, epochs // MOMENTS),
    )
    began: list[float] = []  # times of the steps: the clock starts at the second, after compilation
    compiling: list[float] = []
    moments: list[Moment] = []
    epoch_events: list[Epoch] = []
    last: list[Variables] = []
    part = prepared.measured_part

    def measure(variables: Variables) -> dict[str, dict[str, float]]:
        start = time.perf_counter()
        last[:] = [jax.device_get(variables)]
        columns = getattr(prepared.dataset, part)
        loss, _ = scorer.evaluator.loss(variables, columns)
        in_training = scorer.score(variables, "train")
        score = in_training if part == "train" else scorer.score(variables, part)
        moments.append(Moment(0, in_training, score, 0.0, loss, look(variables) if look else None))
        compiling[:] = compiling or [time.perf_counter() - start]
        if settings.goal is None:
            return {part: {"loss": loss}}
        return {
            name: scorer.evaluator.scores(variables, columns_of(prepared.dataset, name)) for name in (part, "train")
        }

    def ended() -> str | None:
        began.append(time.perf_counter())
        if seconds is not None and len(began) > 1 and began[-1] - began[1] - sum(compiling) > seconds:
            return CUT
        return "enough" if moments and moments[-1].held_out >= enough else None

    first = prepared.first(settings.seed)
    result = Loop(
        stepper or prepared.stepper(),
        settings,
        prepared.dataset.train,
        measure,
        prepared.dataset.valid is not None,
        (epoch_events.append,),
        ended,
    ).run(first)
    measured = [epoch for epoch in epoch_events if epoch.metrics]
    moments = [m._replace(step=e.step, loss=e.loss) for m, e in zip(moments, measured, strict=False)]
    steps = epoch_events[-1].step if epoch_events else 0
    losses = tuple(epoch.loss for epoch in epoch_events)
    broken = str(result.error) if result.error else ""
    if broken:  # the weights before the failure are not the program's result
        moments.append(Moment(steps, 0.0, 0.0, float("nan"), float("nan"), None))
    weights = last[0] if last else jax.device_get(first)
    reason = result.stop.reason
    return Observed(losses, tuple(moments), weights, steps, broken, settings.seed, reason == CUT, reason)


def finite(values: tuple[float, ...]) -> np.ndarray:
    """Return the finite values as an array."""
    array: np.ndarray = np.asarray(values, float)
    return np.extract(np.isfinite(array), array)
