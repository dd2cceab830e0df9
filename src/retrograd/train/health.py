"""Health over time: readings of a training step, taken so rarely that they cost next to nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.backprop.readings import Health, health
from retrograd.record.events import Health as HealthEvent
from retrograd.update.step import Stepper, TrainState, apply_gradients

STEPS_BETWEEN = 64  # a reading costs about a step and its statistics: under 2 % of these
MOST_READINGS = 200  # of a run, so that its events stay small
DIGITS = 4

Readings = dict[str, dict[str, float]]  # quantity -> path of a node or parameter -> value


class HealthWatch:
    """Reads the health of the step that comes next, at the end of an epoch, every so many steps.

    The interval follows from the number of steps, never from a clock: a run and its repetition read the same steps.
    The reading is a program of its own; the run's own program, and so its numbers, are the same with it and without.
    """

    def __init__(self, stepper: Stepper, total_steps: int, tell: Callable[[HealthEvent], None]) -> None:
        self.stepper, self.tell = stepper, tell
        self.interval = max(STEPS_BETWEEN, total_steps // MOST_READINGS)
        self.next = self.interval
        self.last: Readings = {}
        self._compiled = jax.jit(self._read)

    def __call__(self, train: TrainState, batch: Callable[[], Mapping[str, Any]]) -> None:
        """Take a reading if it is time; `batch` gives the rows on which."""
        step = int(train.step)
        if step < self.next:
            return
        self.next = step + self.interval
        found, ratios = jax.device_get(self._compiled(train, batch()))
        self.last = plain(found, ratios)
        self.tell(HealthEvent(step, self.last))

    def _read(self, train: TrainState, batch: Mapping[str, Any]) -> tuple[Health, dict[str, Any]]:
        stepper = self.stepper
        result = stepper.evaluate(train, batch)
        grads = {name: grad for name, grad in result.grads.items() if not stepper.network.by_name[name].frozen}
        after, _ = apply_gradients(stepper.chain, train.params, grads, train.optimizer, train.rate_factor)
        ratios = {
            f"{node}/{name}": _norm(after[node][name] - value) / jnp.maximum(_norm(value), 1e-12)
            for node in grads
            for name, value in train.params[node].items()
        }
        return health(stepper.network, result, train.params), ratios


def plain(found: Health, ratios: Mapping[str, Any]) -> Readings:
    """Return readings as plain numbers of a few digits."""
    quantities: dict[str, dict[str, Any]] = {
        "output_rms": {path: reading.rms for path, reading in found.outputs.items()},
        "delta_rms": {path: reading.rms for path, reading in found.deltas.items()},
        "gradient_rms": {path: reading.rms for path, reading in found.grads.items()},
        "parameter_rms": {path: reading.rms for path, reading in found.params.items()},
        "update_ratio": dict(ratios),
        "dead": {path: units.dead for path, units in found.units.items()},
        "saturated": {path: units.saturated for path, units in found.units.items()},
        "nonfinite": {path: reading.nonfinite for path, reading in found.outputs.items() if reading.nonfinite},
    }
    return {
        name: {path: float(f"{float(value):.{DIGITS}g}") for path, value in values.items()}
        for name, values in quantities.items()
        if values
    }


def sentence(readings: Readings) -> str:
    """Return a health's essence in one line of words; nothing for no readings."""
    if not readings:
        return ""
    parts = []
    weights = {path: value for path, value in readings.get("update_ratio", {}).items() if path.endswith("/weight")}
    if weights and max(weights.values()) > 0:
        parts.append(f"weights move by {np.median(list(weights.values())):.1e} of their size a step")
    for quantity in ("dead", "saturated"):
        worst = max(readings.get(quantity, {"": 0.0}).items(), key=lambda item: item[1])
        if worst[1] >= 0.01:
            parts.append(f"{worst[1]:.0%} of the units {quantity} in {worst[0]}")
    grads = [value for path, value in readings.get("gradient_rms", {}).items() if path.endswith("/weight") and value]
    if len(grads) > 1:
        parts.append(f"gradients of first and last layer {grads[0]:.1e} and {grads[-1]:.1e}")
    return "; ".join(parts)


def _norm(x: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(jnp.square(x.astype(jnp.float32))))
