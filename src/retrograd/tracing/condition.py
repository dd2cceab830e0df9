"""Finding the first training step that meets a condition such as `grad_norm>10`."""

from __future__ import annotations

import dataclasses
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from retrograd.base.compilation.programs import Program
from retrograd.base.errors import UsageError, did_you_mean
from retrograd.network.network import Network, take
from retrograd.propagation.backprop import Pass
from retrograd.propagation.objective import Objective
from retrograd.tracing.replay import Watched
from retrograd.tracing.source import Source
from retrograd.training.loop.loop import Loop
from retrograd.update.step import Outcome, Stepper, TrainState

COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
FORM = re.compile(r"\s*([a-z_]+)(?::([\w./]+))?\s*(>=|<=|>|<)\s*(\S+)\s*")

OF_OUTCOME: Mapping[str, Callable[[Outcome], Any]] = {
    "grad_norm": lambda outcome: outcome.gradient_norm,
    "loss": lambda outcome: outcome.loss,
    "learning_rate": lambda outcome: outcome.learning_rate,
    "nonfinite": lambda outcome: ~(np.isfinite(outcome.loss) & np.isfinite(outcome.gradient_norm)),  # type: ignore[arg-type]
}
OF_PASS = ("accuracy", "delta", "output", "gradient")
KNOWN = (*OF_OUTCOME, "accuracy", "delta:NODE", "output:NODE", "gradient:NODE/PARAMETER")

ReadPass = Callable[[Pass, Mapping[str, Any]], Array]


class Condition(NamedTuple):
    """A reading of a step compared with a number; `path` is the node or parameter of the reading, if it has one."""

    reading: str
    path: str
    sign: str
    value: float

    def holds(self, values: Any) -> np.ndarray:
        """Return whether the condition holds for each step's reading; for NaN it always does."""
        readings = np.atleast_1d(np.asarray(values, np.float64))
        holds: np.ndarray = COMPARE[self.sign](readings, self.value) | np.isnan(readings)
        return holds


def parse_condition(text: str) -> Condition:
    """Return the condition written in a text; `nonfinite` alone is a condition."""
    if text.strip() in ("nonfinite", "non-finite", "nan", "inf"):
        return Condition("nonfinite", "", ">", 0.0)
    match = FORM.fullmatch(text)
    if not match:
        cure = f"readings: {', '.join(KNOWN)}"
        raise UsageError(f"expected a condition such as grad_norm>10, found '{text}'", where="break", cure=cure)
    reading, path, sign, number = match.groups()
    if reading not in (*OF_OUTCOME, *OF_PASS) or (path is None) is (reading in ("delta", "output", "gradient")):
        named = reading if path is None else f"{reading}:{path}"
        raise UsageError(f"unknown reading '{named}'", where="break", cure=did_you_mean(named, KNOWN))
    try:
        value = float(number)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise UsageError(f"expected a finite number, found '{number}'", where="break")
    return Condition(reading, path or "", sign, value)


def first_step(source: Source, text: str) -> int:
    """Train until a condition holds and return that step, counted from 1.

    A run is retrained with its guard's interventions; a configuration without a guard.

    Raises:  UsageError if it never holds
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

        def dispatch(train: TrainState, *arguments: Any) -> Any:
            done = int(train.step)
            readings = None if reader is None else reader(train, _minibatches(*arguments))
            after, outcome = program(train, *arguments)
            values = OF_OUTCOME[condition.reading](outcome) if readings is None else readings
            met.extend(done + 1 + int(i) for i in np.flatnonzero(condition.holds(values)))
            return after, outcome

        return dispatch

    first = prepared.first()
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
            f"{text} was not met in any of the {source.last} steps",
            where="break",
            cure="train longer, or choose a weaker condition",
        )
    return met[0]


def _minibatches(columns: Mapping[str, Any], order: Any = None) -> list[Mapping[str, Any]]:
    """Return the minibatches of a dispatch: the only one, or those selected by the row numbers."""
    if order is None:
        return [columns]
    return [{name: column[chosen] for name, column in columns.items()} for chosen in np.asarray(order)]


def pass_reading(reading: str, path: str, network: Network, objectives: tuple[Objective, ...]) -> ReadPass:
    """Return the function that reads a pass: the accuracy, or the norm of a node's delta or output, or of a gradient.

    Raises:  UsageError if the network has no such node or parameter, or no output of classes
    """
    if reading == "accuracy":
        return lambda result, batch: _accuracy(objectives[0], result, batch)
    if reading == "gradient":
        node, _, name = path.rpartition("/")
        _check(node, network)
        return lambda result, batch: optax.tree.norm(_parameter(result, node, name))
    _check(path, network)
    trees = "deltas" if reading == "delta" else "outputs"
    return lambda result, batch: optax.tree.norm(getattr(result, trees).get(path, 0.0))


class Reader:
    """Reads passes of a stepper's minibatches, step after step, without changing its arguments."""

    def __init__(self, stepper: Stepper, read: ReadPass) -> None:
        self._look = jax.jit(lambda train, batch: read(stepper.evaluate(train, batch), batch))
        self._step = Program(Stepper.step, stepper)

    def __call__(self, train: TrainState, batches: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Return the reading of each step [steps]."""
        values = []
        for i, batch in enumerate(batches):
            train = self._step(train, batches[i - 1])[0] if i else train
            values.append(float(self._look(train, batch)))
        return np.asarray(values)


def _check(node: str, network: Network) -> None:
    if node not in network.by_name:
        raise UsageError(f"the network has no node '{node}'", where="break", cure=did_you_mean(node, network.by_name))


def _parameter(result: Pass, node: str, name: str) -> Any:
    grads = result.grads.get(node, {})
    if name not in grads:
        raise UsageError(f"{node} has no parameter '{name}'", where="break", cure=did_you_mean(name, grads))
    return grads[name]


def _accuracy(objective: Objective, result: Pass, batch: Mapping[str, Any]) -> Array:
    """Return the share of rows with the right class: the largest output, or the side of one half."""
    output, target = take(result.outputs, objective.inputs[0]), batch.get(objective.inputs[1])
    if target is not None and jnp.issubdtype(target.dtype, jnp.integer) and output.ndim == target.ndim + 1:
        return jnp.mean(output.argmax(-1) == target)
    if target is not None and output.shape == target.shape and getattr(objective.loss, "from_logits", None) is not None:
        middle = 0.0 if objective.loss.from_logits else 0.5  # type: ignore[attr-defined]
        return jnp.mean((output > middle) == (target > 0.5))
    message = "accuracy is undefined: the loss does not compare classes"
    raise UsageError(message, where="break", cure="use another reading, e.g. loss>1")
