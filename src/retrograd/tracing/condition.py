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
from retrograd.tracing.readings import KNOWN, OF_OUTCOME, OF_PASS, Reader, pass_reading
from retrograd.tracing.source import Source
from retrograd.tracing.watched import Watched
from retrograd.training.loop.loop import Loop
from retrograd.update.step import Stepper, TrainState

COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
FORM = re.compile(r"\s*([a-z_]+)(?::([\w./]+))?\s*(>=|<=|>|<)\s*(\S+)\s*")


class Condition(NamedTuple):
    """A reading of a step, compared with a number; `path` names a node or parameter where the reading is of one."""

    reading: str
    path: str
    sign: str
    value: float

    def holds(self, values: Any) -> np.ndarray:
        """Return for each step's reading whether the condition holds; one that is no number always does."""
        found = np.atleast_1d(np.asarray(values, np.float64))
        holds: np.ndarray = COMPARE[self.sign](found, self.value) | np.isnan(found)
        return holds


def parse_condition(text: str) -> Condition:
    """Return the condition in a text; `nonfinite` alone is one."""
    if text.strip() in ("nonfinite", "non-finite", "nan", "inf"):
        return Condition("nonfinite", "", ">", 0.0)
    found = FORM.fullmatch(text)
    if not found:
        cure = f"readings: {', '.join(KNOWN)}"
        raise UsageError(f"expected a condition such as grad_norm>10, found '{text}'", where="break", cure=cure)
    reading, path, sign, number = found.groups()
    if reading not in (*OF_OUTCOME, *OF_PASS) or (path is None) is (reading in ("delta", "output", "gradient")):
        named = reading if path is None else f"{reading}:{path}"
        raise UsageError(f"no reading '{named}'", where="break", cure=did_you_mean(named, KNOWN))
    try:
        value = float(number)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise UsageError(f"expected a finite number, found '{number}'", where="break")
    return Condition(reading, path or "", sign, value)


def first_step(source: Source, text: str) -> int:
    """Train until a condition holds and return that step, counted from 1.

    A run is trained again with what its guard did; a configuration without a guard.

    Raises:  UsageError when it never holds
    """
    condition = parse_condition(text)
    prepared = source.prepared
    settings = dataclasses.replace(prepared.config.training, guard="off")
    met: list[int] = []
    read = None
    if condition.reading in OF_PASS:
        read = pass_reading(condition.reading, condition.path, prepared.network, tuple(prepared.objectives))

    def watch(stepper: Stepper, program: Any) -> Any:
        reader = None if read is None else Reader(stepper, read)

        def dispatch(train: TrainState, *given: Any) -> Any:
            done = int(train.step)
            seen = None if reader is None else reader(train, _minibatches(*given))
            after, outcome = program(train, *given)
            values = OF_OUTCOME[condition.reading](outcome) if seen is None else seen
            met.extend(done + 1 + int(i) for i in np.flatnonzero(condition.holds(values)))
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


def _minibatches(columns: Mapping[str, Any], order: Any = None) -> list[Mapping[str, Any]]:
    """Return the minibatches of a dispatch: a single one, or those that the row numbers choose."""
    if order is None:
        return [columns]
    return [{name: column[chosen] for name, column in columns.items()} for chosen in np.asarray(order)]
