"""Differences of the loss: many perturbations at once, and a bound on the round-off in a difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from retrograd.checking.point import Cost, Point, Tensors, compiled_once

STEP = 1e-5  # of a central difference; truncation and round-off are then both about 1e-11
TOGETHER = 2e8  # operations per dispatch; more bring no gain
MOST_BYTES = 2**28  # per dispatch
MOST_TOGETHER = 256
NOISE_POINTS, NOISE_SPACING, NOISE_ORDER = 9, 1e-10, 4
SPREAD = 3  # standard deviations that round-off rarely exceeds

Shift = tuple[int, int, float]  # index of the tensor, flat index of the entry, amount


class Differences:
    """The loss at points shifted from a base point, compiled once.

    A shift moves one entry of one tensor; `along` moves each tensor by a multiple of its own random unit direction.
    """

    def __init__(self, point: Point, cost: Cost, rng: np.random.Generator) -> None:
        self.point, self.names = point, list(point.tensors)
        self.directions: Tensors = {name: _unit(rng, value.shape) for name, value in point.tensors.items()}
        self.together = 1
        if not cost.convolves:  # XLA turns convolutions with vmapped kernels into grouped ones, which are slow on CPU
            fitting = min(TOGETHER / cost.operations, MOST_BYTES / max(cost.bytes, 1), MOST_TOGETHER)
            self.together = 2 ** max(0, int(math.log2(max(fitting, 1))))
        run = lambda which, index, amount, along: point.loss(self.moved(which, index, amount, along))  # noqa: E731
        self._program = compiled_once(run if self.together == 1 else jax.vmap(run), cost.operations)
        self.value = float(self.losses([(0, 0, 0.0)])[0])
        self.noise = self._noise()

    def moved(self, which: Any, index: Any, amount: Any, along: Any) -> Tensors:
        """Return the tensors with one entry shifted, and each tensor moved along its direction."""
        moved = {}
        for i, name in enumerate(self.names):
            value = self.point.tensors[name] + along[i] * self.directions[name]
            shift = jnp.where(which == i, amount, 0.0)
            moved[name] = value.ravel().at[jnp.where(which == i, index, 0)].add(shift).reshape(value.shape)
        return moved

    def losses(self, shifts: Sequence[Shift], along: np.ndarray | None = None) -> np.ndarray:
        """Return the loss for each of these shifts (and multiples of the directions [shifts, tensors])."""
        count = len(shifts)
        along = np.zeros((count, len(self.names))) if along is None else along
        which, index, amount = (np.asarray(part) for part in zip(*shifts, strict=True))
        columns: list[np.ndarray] = [which.astype(np.int32), index.astype(np.int32), amount.astype(np.float64), along]
        if self.together == 1:
            return np.array([float(self._program(*(c[i] for c in columns))) for i in range(count)])
        size = self.together
        padded = [np.concatenate([c, np.repeat(c[-1:], -count % size, 0)]) for c in columns]
        parts = [self._program(*(c[i : i + size] for c in padded)) for i in range(0, count, size)]
        return np.concatenate([np.asarray(part) for part in parts])[:count]

    def central(self, name: str, entries: np.ndarray, step: float = STEP) -> np.ndarray:
        """Return the central difference of the loss with respect to each of these entries of a tensor."""
        up, down = self.sides(name, entries, step)
        slopes: np.ndarray = (up - down) / (2 * step)
        return slopes

    def sides(self, name: str, entries: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the loss with each of these entries increased by a step, and decreased by it."""
        which = self.names.index(name)
        shifts = [(which, int(entry), sign * step) for sign in (1, -1) for entry in entries]
        values = self.losses(shifts)
        return values[: len(entries)], values[len(entries) :]

    def along(self, weights: np.ndarray, step: float = STEP) -> np.ndarray:
        """Return the central difference along each row of multiples of the directions [rows, tensors]."""
        both = np.concatenate([weights, -weights]) * step
        values = self.losses([(0, 0, 0.0)] * len(both), both)
        slopes: np.ndarray = (values[: len(weights)] - values[len(weights) :]) / (2 * step)
        return slopes

    def roundoff(self, step: float = STEP) -> float:
        """Return a bound on the round-off in a central difference."""
        return SPREAD * self.noise / (math.sqrt(2) * step)

    def _noise(self) -> float:
        """Return the standard deviation of the round-off in the loss, from a difference table along one direction.

        See:  Hamming 1962, chapter 1; Moré & Wild 2011, `Estimating computational noise`.
        """
        steps = np.arange(NOISE_POINTS)[:, None] * NOISE_SPACING
        along = np.broadcast_to(steps, (NOISE_POINTS, len(self.names)))
        table = np.diff(self.losses([(0, 0, 0.0)] * NOISE_POINTS, along), NOISE_ORDER)
        scale = math.factorial(NOISE_ORDER) ** 2 / math.factorial(2 * NOISE_ORDER)
        measured = math.sqrt(scale * float(np.mean(table**2)))
        return max(measured, float(np.spacing(abs(self.value))) / math.sqrt(12))


def _unit(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    drawn = rng.normal(size=shape)
    return jnp.asarray(drawn / max(float(np.linalg.norm(drawn)), 1e-300))
