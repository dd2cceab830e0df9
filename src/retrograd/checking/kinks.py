"""Kinks: entries where a perturbation crosses a corner of a layer, so that the difference is not a derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from retrograd.checking.difference import Differences, Shift
from retrograd.checking.point import compiled_once

JUMP = 1e-3  # relative change of a slope
BEND = 30.0  # a smooth slope changes by the step times the curvature; a larger change is a corner
SMALLER = (1e-6, 1e-7)  # steps that may avoid a corner


class Kink(NamedTuple):
    """One entry at a corner: backward's value, the derivatives from left and right, and the nodes with the corner.

    Each node is given with the number of its values whose slope jumps.
    """

    at: tuple[int, ...]
    backward: float
    left: float
    right: float
    nodes: tuple[tuple[str, int], ...]


class Sides(NamedTuple):
    """One entry seen from both sides: central and one-sided differences, and the nodes whose slope jumps in between."""

    central: float
    left: float
    right: float
    nodes: tuple[tuple[str, int], ...]


class Corners:
    """The outputs of all nodes with one entry decreased, unchanged and increased; compiled at first use."""

    def __init__(self, differences: Differences) -> None:
        self.differences = differences
        point = differences.point
        along = np.zeros(len(differences.names))
        self._record: Callable[[Any, Any, Any], Any] = lambda which, index, amount: point.record(
            differences.moved(which, index, amount, along)
        )
        self._program = compiled_once(self._look)
        self._places = {node.name: node.inputs for node in point.network.nodes} | {
            objective.name: objective.inputs for objective in point.objectives
        }

    def sides(self, name: str, entry: int, step: float) -> Sides:
        """Return the differences at one entry, and the nodes that have a corner within the interval."""
        shift: Shift = (self.differences.names.index(name), entry, step)
        (down, middle, up), jumps = jax.device_get(self._program(*shift))
        nodes = tuple((node, int(count)) for node, count in jumps.items() if count)
        return Sides((up - down) / (2 * step), (middle - down) / step, (up - middle) / step, nodes)

    def _look(self, which: Any, index: Any, step: Any) -> tuple[Any, dict[str, Array]]:
        """Return the three losses and, per node, the number of its values whose slope jumps due to the node itself."""
        records = [self._record(which, index, amount) for amount in (-step, 0 * step, step)]
        (down, left), (middle, centre), (up, right) = records
        jumps: dict[str, Array] = {}
        reached: dict[str, Any] = {}
        for node, inputs in self._places.items():
            count = _jumps(left[node], centre[node], right[node], step)
            inherited = sum(reached.get(reference.partition(".")[0], 0) for reference in inputs)
            reached[node] = count + inherited
            jumps[node] = jnp.where(inherited > 0, 0, count)  # a jump from an input is not this node's
        return (down, middle, up), jumps


def _jumps(down: Any, middle: Any, up: Any, step: Any) -> Array:
    """Return the number of elements of an output whose slopes on the left and the right differ."""
    count = jnp.zeros((), int)
    for a, b, c in zip(*(jax.tree.leaves(output) for output in (down, middle, up)), strict=True):
        if jnp.issubdtype(a.dtype, jnp.floating):
            left, right = (b - a) / step, (c - b) / step
            size = jnp.maximum(jnp.abs(left), jnp.abs(right))
            largest, roundoff = jnp.max(size, initial=0.0), 1e-15 * jnp.max(jnp.abs(b), initial=0.0) / step
            smooth = BEND * step * (largest + largest**2) + 10 * roundoff
            count += jnp.sum(jnp.abs(right - left) > JUMP * size + smooth)
    return count
