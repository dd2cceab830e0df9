"""Health over time: readings of a training step, rare enough to cost next to nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.base.compilation.programs import QUICKLY, Program
from retrograd.network.layer import Params, Static
from retrograd.network.network import Network, Variables
from retrograd.present.numbers import number
from retrograd.propagation.readings import Health, Look, Reading, Units, health, library_of, look
from retrograd.record.events import Health as HealthEvent
from retrograd.update.step import SMALL_STEP, Stepper, TrainState, apply_gradients

STEPS_BETWEEN = 160  # a reading costs up to 3 steps plus a dispatch: at most 2 % of the steps between two readings
GROWTH = 2  # ratio of the first steps that are read, so that the health of a long run's first epochs shows early
WORTH = 4  # intervals that a run needs for those early readings: then they cost little, and compile nothing more
DISPATCH = 5e7  # operations that take as long as one dispatch
SOME, MANY = (
    20,
    200,
)  # readings per run: 20 of small steps take a tenth of a second; more than 200 would fill its events
ON_HOST = 1e10  # operations of a step; below, NumPy reads a CPU's tensors faster than a compiled program, uncompiled
DIGITS = 4
TINY = 1e-12

Quantities = dict[str, dict[str, Any]]  # quantity -> path of a node or parameter -> value
Readings = dict[str, dict[str, float]]


class HealthWatch:
    """Reads the health of the next step at the end of an epoch: at doubling steps first, then at even intervals.

    The interval follows from counts of operations and steps, never from a clock, so a repeated run reads the same
    steps. The reading is a separate program: the run's own program, and so its numbers, are the same with and without
    it. `keep` receives the step and the weights of each reading.
    """

    def __init__(
        self,
        total_steps: int,
        tell: Callable[[HealthEvent], None],
        keep: Callable[[int, Variables], object] = lambda step, weights: None,
    ) -> None:
        self.total_steps, self.tell, self.keep = total_steps, tell, keep
        self.last_step = self.interval = 0
        self.last: Readings = {}
        self._program: Program | None = None

    def restore(self, reading: HealthEvent) -> None:
        """Continue after the last reading of another watch."""
        self.last_step, self.last = reading.step, reading.readings

    def __call__(self, stepper: Stepper, train: TrainState, batch: Callable[[], Mapping[str, Any]]) -> None:
        """Take a reading of the stepper's next step if it is due; `batch` returns the rows to read it on."""
        step = int(train.step)
        if self.interval and step < self.due:
            return
        rows = batch()
        self.interval = self.interval or self.steps_between(stepper, train, rows)
        if step < self.due:
            return
        self.last_step = step
        figures, ratios = self.reading(stepper, train, rows)
        self.last = in_order(stepper.network, plain(figures, ratios))
        self.tell(HealthEvent(step, self.last))
        self.keep(step, Variables(train.params, train.state))

    @property
    def due(self) -> int:
        """The first step at which the next reading may be taken."""
        is_long = self.total_steps >= WORTH * self.interval
        return (
            min(GROWTH * self.last_step, self.last_step + self.interval) if is_long else self.last_step + self.interval
        )

    def steps_between(self, stepper: Stepper, train: TrainState, batch: Mapping[str, Any]) -> int:
        """Return the number of steps between two readings, by operations; short runs get a few readings too."""
        operations = stepper.cost(train, batch).operations
        steps = STEPS_BETWEEN * (1 + DISPATCH / operations)
        if operations < SMALL_STEP:
            steps = min(steps, self.total_steps / SOME)
        return math.ceil(max(steps, self.total_steps / MANY, 1))

    def reading(self, stepper: Stepper, train: TrainState, batch: Mapping[str, Any]) -> tuple[Health, Quantities]:
        """Return the health of the next step on a batch, and further quantities of the step."""
        if self._program is None or self._program.things != (stepper,):  # the guard may have changed the stepper
            operations = stepper.cost(train, batch).operations
            on_host = operations < ON_HOST and jax.default_backend() == "cpu"
            options = QUICKLY if operations < SMALL_STEP else None
            self._program = Program(_looked if on_host else _stacked, stepper, options=options)
        output = self._program(train, batch)
        if self._program.function is _looked:
            return _read(stepper, *jax.device_get(output))
        stacked, form = output
        reading: tuple[Health, Quantities] = jax.tree.unflatten(form.value, np.asarray(stacked).tolist())
        return reading


def _looked(stepper: Stepper, train: TrainState, batch: Mapping[str, Any]) -> tuple[Look, dict[str, Params]]:
    """Return the tensors of a step, and the parameters after it."""
    result = stepper.evaluate(train, batch)
    grads = stepper.trained(result.grads)
    after, _ = apply_gradients(stepper.chain, train.params, grads, train.optimizer, train.rate_factor)
    return look(stepper.network, result, train.params), after


def _stacked(stepper: Stepper, train: TrainState, batch: Mapping[str, Any]) -> tuple[jax.Array, Static]:
    """Return all readings as one array, and their structure: hundreds of single numbers are slow to fetch."""
    leaves, form = jax.tree.flatten(_read(stepper, *_looked(stepper, train, batch)))
    return jnp.stack([leaf.astype(jnp.float32) for leaf in leaves]), Static(form)


def _read(stepper: Stepper, tensors: Look, after: Mapping[str, Params]) -> tuple[Health, Quantities]:
    """Return the readings of a step: computed at once on NumPy arrays, or traced into a program on JAX arrays."""
    with np.errstate(all="ignore"):
        ratios = {
            f"{node}/{name}": _norm([after[node][name] - value]) / _at_least_tiny(_norm([value]))
            for node, node_params in stepper.trained(tensors.params).items()
            for name, value in node_params.items()
        }
        reading = health(stepper.network, tensors)
        return reading, {
            "update_ratio": ratios,
            "backward_gain": backward_gains(stepper.network, reading),
            "gradient_norm": {"network": _norm(jax.tree.leaves(stepper.trained(tensors.grads)))},
        }


def backward_gains(network: Network, figures: Health) -> dict[str, Any]:
    """Return rms(dLoss/dx) / rms(dLoss/dy) of each node that reads another node's output x and outputs y."""
    rms = {path: reading.rms for path, reading in figures.deltas.items()}
    pairs = {node.name: node.inputs[0].partition(".")[0] for node in network.nodes if node.inputs}
    return {y: rms[x] / _at_least_tiny(rms[y]) for y, x in pairs.items() if x in rms and y in rms}


def plain(health: Health, further: Quantities) -> Readings:
    """Return readings as plain numbers with few digits; zero counts and shares of 0 are omitted."""
    tensors = {"output": health.outputs, "delta": health.deltas, "gradient": health.grads, "parameter": health.params}
    quantities: Quantities = {
        f"{tensor}_{statistic}": {
            path: value
            for path, reading in readings.items()
            if (value := getattr(reading, statistic)) or statistic not in ("zeros", "nonfinite")
        }
        for tensor, readings in tensors.items()
        for statistic in Reading._fields
    }
    quantities |= {name: {path: getattr(u, name) for path, u in health.units.items()} for name in Units._fields}
    return {
        name: {path: float(f"{float(value):.{DIGITS}g}") for path, value in values.items()}
        for name, values in {**quantities, **further}.items()
        if values
    }


def in_order(network: Network, readings: Readings) -> Readings:
    """Return readings in the order of the forward pass (JAX sorts the paths by name)."""
    places = {node.name: place for place, node in enumerate(network.nodes)}

    def place(path: str) -> int:
        return places.get(path, places.get(path.rpartition("/")[0], -1))

    return {name: {path: values[path] for path in sorted(values, key=place)} for name, values in readings.items()}


def sentence(readings: Readings) -> str:
    """Summarise the readings in one line; empty if there are none."""
    if not readings:
        return ""
    parts = []
    weights = {path: value for path, value in readings.get("update_ratio", {}).items() if path.endswith("/weight")}
    if weights and max(weights.values()) > 0:
        parts.append(f"weights change by {number(np.median(list(weights.values())), 2)} of their size per step")
    for quantity in ("dead", "saturated"):
        worst = max(readings.get(quantity, {"": 0.0}).items(), key=lambda item: item[1])
        if worst[1] >= 0.01:
            parts.append(f"{worst[1]:.0%} of the units {quantity} in {worst[0]}")
    grads = [value for path, value in readings.get("gradient_rms", {}).items() if path.endswith("/weight") and value]
    if len(grads) > 1:
        parts.append(f"gradients of first and last layer {number(grads[0], 2)} and {number(grads[-1], 2)}")
    return "; ".join(parts)


def _norm(tensors: Sequence[Any]) -> Any:
    xp = library_of(tensors[0])
    return xp.sqrt(sum(xp.sum(xp.square(tensor.astype(np.float32))) for tensor in tensors))


def _at_least_tiny(value: Any) -> Any:
    return library_of(value).maximum(value, np.float32(TINY))
