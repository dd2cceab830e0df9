"""The first step of a training that fulfils a condition such as `grad_norm>10`."""

from __future__ import annotations

import dataclasses
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from retrograd.base.errors import UsageError, did_you_mean
from retrograd.explain.trace_source import Source
from retrograd.explain.trace_watched import Watched
from retrograd.train.loop import Loop
from retrograd.update.step import Outcome, Stepper, TrainState

READINGS: Mapping[str, Callable[[Outcome], Any]] = {
    "grad_norm": lambda outcome: outcome.gradient_norm,
    "loss": lambda outcome: outcome.loss,
    "learning_rate": lambda outcome: outcome.learning_rate,
}
COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
FORM = re.compile(r"\s*([a-z_]+)\s*(>=|<=|>|<)\s*(\S+)\s*")


class Condition(NamedTuple):
    """A reading of a step, compared with a number."""

    reading: str
    sign: str
    value: float

    def holds(self, outcome: Outcome) -> np.ndarray:
        """Return for each step of an outcome whether the condition holds; a reading that is no number always does."""
        values = np.atleast_1d(np.asarray(READINGS[self.reading](outcome), np.float64))
        return COMPARE[self.sign](values, self.value) | np.isnan(values)


def parse_condition(text: str) -> Condition:
    """Return the condition in a text."""
    found = FORM.fullmatch(text)
    if not found:
        raise UsageError(f"expected a condition such as grad_norm>10, found '{text}'", where="break")
    reading, sign, number = found.groups()
    if reading not in READINGS:
        raise UsageError(f"no reading '{reading}'", where="break", cure=did_you_mean(reading, READINGS))
    try:
        value = float(number)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise UsageError(f"expected a finite number, found '{number}'", where="break")
    return Condition(reading, sign, value)


def first_step(source: Source, text: str) -> int:
    """Train until a condition holds and return that step, counted from 1.

    A run is trained again with what its guard did; a configuration without a guard.

    Raises:  UsageError when it never holds
    """
    condition = parse_condition(text)
    prepared = source.prepared
    settings = dataclasses.replace(prepared.config.training, guard="off")
    met: list[int] = []

    def watch(stepper: Stepper, program: Any) -> Any:
        def dispatch(train: TrainState, *given: Any) -> Any:
            done = int(train.step)
            after, outcome = program(train, *given)
            met.extend(done + 1 + int(i) for i in np.flatnonzero(condition.holds(outcome)))
            return after, outcome

        return dispatch

    first = prepared.network.init(jax.random.key(settings.seed), prepared.dataset.train)
    Loop(
        Watched(prepared.stepper(), watch, gradient_norm=True),
        settings,
        prepared.dataset.train,
        score=lambda variables: {},
        held_out=prepared.dataset.valid is not None,
        valid_rows=prepared.dataset.rows.get("valid", 0),
        asked_to_stop=lambda: "met" if met else None,
        recorded=source.interventions,
    ).run(first)
    if not met or met[0] > source.last:
        raise UsageError(
            f"{text} held in none of {source.last} steps", where="break", cure="train longer, or ask for less"
        )
    return met[0]
