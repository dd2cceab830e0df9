"""Readings: statistics of one pass, small enough to be kept for every layer."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from retrograd.network.layer import Activation, Context, Layer, Params
from retrograd.network.network import Network, own_params, take
from retrograd.propagation.backprop import Pass
from retrograd.propagation.one_layer import adjoint, run_layer

SATURATED = 0.05  # of the largest derivative that the activation has
NO_SLOPE = 1e-7  # what float32 does not tell from 0 beside 1
GRID = np.linspace(-8, 8, 3201, dtype=np.float32)  # where that derivative is looked for


class Reading(NamedTuple):
    """One tensor: root mean square, largest magnitude, share of zeros, number of values that are not finite."""

    rms: Any
    largest: Any
    zeros: Any
    nonfinite: Any


class Units(NamedTuple):
    """One activation's units over the rows of a batch: the share that is dead, and the share that is saturated.

    Dead: the derivative is 0 for every row. Saturated: its mean magnitude is under 5 % of the largest there is.
    """

    dead: Any
    saturated: Any


class Look(NamedTuple):
    """What readings are taken of: the tensors of one pass, and the derivatives of the activations by element."""

    outputs: dict[str, Any]
    deltas: dict[str, Any]
    grads: dict[str, Params]
    params: Mapping[str, Params]
    slopes: dict[str, Array]


class Health(NamedTuple):
    """Readings of one pass: by node, and for gradients and parameters by path (`dense_1/weight`)."""

    outputs: dict[str, Reading]
    deltas: dict[str, Reading]
    grads: dict[str, Reading]
    params: dict[str, Reading]
    units: dict[str, Units]


def look(network: Network, result: Pass, params: Mapping[str, Params]) -> Look:
    """Return the tensors that readings are taken of. Pure: compiled with the pass, only the derivatives are new."""
    outputs = {node.name: result.outputs[node.name] for node in network.nodes}
    deltas = {name: result.deltas[name] for name in outputs if result.deltas.get(name) is not None}
    slopes = {
        node.name: derivative(node.layer, own_params(params, node), take(result.outputs, node.inputs[0]))
        for node in network.nodes
        if acts_by_element(node.layer)
    }
    return Look(outputs, deltas, result.grads, params, slopes)


def health(network: Network, seen: Look) -> Health:
    """Return the readings of a pass: of NumPy's arrays at once, and of JAX's as a part of a program.

    A program takes seconds to compile for the hundreds of small sums that NumPy works out in a millisecond.
    """
    with np.errstate(all="ignore"):
        return Health(
            outputs=_each(seen.outputs),
            deltas=_each(seen.deltas),
            grads=_each(seen.grads),
            params=_each(seen.params),
            units={name: units(network.by_name[name].layer, slope) for name, slope in seen.slopes.items()},
        )


def library_of(x: Any) -> Any:
    """Return the library that x belongs to, `numpy` or `jax.numpy`: their functions have the same names."""
    return np if isinstance(x, (np.ndarray, np.generic)) else jnp


def read(x: Any) -> Reading:
    """Return the reading of one tensor; rms and largest magnitude are those of its finite values."""
    xp = library_of(x)
    finite = xp.isfinite(x)
    size = xp.where(finite, xp.abs(x.astype(np.float32)), np.float32(0))
    count = np.float32(max(x.size, 1))
    return Reading(
        rms=xp.sqrt(xp.sum(size * size) / count),
        largest=xp.max(size, initial=0.0),
        zeros=xp.sum(x == 0, dtype=np.float32) / count,
        nonfinite=xp.sum(~finite, dtype=np.int32),
    )


def units(layer: Layer, slope: Any) -> Units:
    """Return how many of an activation's units are dead or saturated by its derivative at rows [rows, ..., units]."""
    xp = library_of(slope)
    size = xp.abs(slope).reshape(-1, slope.shape[-1])
    limit = SATURATED * steepest(layer)
    return Units(
        dead=xp.mean(xp.max(size, 0) <= NO_SLOPE, dtype=np.float32),
        saturated=xp.mean(xp.mean(size, 0) < limit, dtype=np.float32),
    )


def acts_by_element(layer: Layer) -> bool:
    """Return whether a layer is an activation whose output depends on one input element each."""
    return isinstance(layer, Activation) and layer.by_element


def derivative(layer: Layer, params: Params, x: Array) -> Array:
    """Return the derivative of an element-by-element activation at x."""
    step = run_layer(layer, params, {}, Context(), (x,))
    slope: Array = adjoint(layer, params, step.tape, jnp.ones_like(step.y)).inputs[0]
    return slope


def steepest(layer: Layer) -> float:
    """Return the largest magnitude of an activation's derivative: as its own class states it, or what a grid shows.

    What a class inherits does not count: a subclass may bend the function.
    """
    known: float | None = vars(type(layer)).get("steepest")
    return steepest_on_grid(layer) if known is None else known


@functools.cache
def steepest_on_grid(layer: Layer) -> float:
    """Return the largest magnitude of an activation's derivative at the points of a grid."""

    @jax.jit
    def largest() -> Array:
        first = layer.init(jax.random.key(0), jax.ShapeDtypeStruct((1, 1), jnp.float32)).params
        return jnp.max(jnp.abs(derivative(layer, first, jnp.asarray(GRID)[:, None])))

    with jax.ensure_compile_time_eval():
        return float(largest())


def _each(tree: Mapping[str, Any]) -> dict[str, Reading]:
    readings = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if jnp.issubdtype(leaf.dtype, jnp.inexact):
            readings["/".join(str(key.key) for key in path)] = read(leaf)
    return readings
