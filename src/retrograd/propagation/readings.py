"""Readings: statistics of one pass, small enough to keep for every layer."""

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

SATURATED = 0.05  # of the activation's largest derivative
NO_SLOPE = 1e-7  # indistinguishable from 0 next to 1 in float32
GRID = np.linspace(-8, 8, 3201, dtype=np.float32)  # points at which the largest derivative is searched


class Reading(NamedTuple):
    """One tensor: root mean square, largest magnitude, share of zeros, number of non-finite values."""

    rms: Any
    largest: Any
    zeros: Any
    nonfinite: Any


class Units(NamedTuple):
    """One activation's units over the rows of a batch: the share that is dead, and the share that is saturated.

    Dead: the derivative is 0 for every row. Saturated: its mean magnitude is under 5 % of the largest possible.
    """

    dead: Any
    saturated: Any


class Look(NamedTuple):
    """The input of readings: the tensors of one pass, and the derivatives of the elementwise activations."""

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
    """Return the tensors to take readings of. Pure: compiled with the pass, only the derivatives add work."""
    outputs = {node.name: result.outputs[node.name] for node in network.nodes}
    deltas = {name: result.deltas[name] for name in outputs if result.deltas.get(name) is not None}
    slopes = {
        node.name: derivative(node.layer, own_params(params, node), take(result.outputs, node.inputs[0]))
        for node in network.nodes
        if acts_by_element(node.layer)
    }
    return Look(outputs, deltas, result.grads, params, slopes)


def health(network: Network, seen: Look) -> Health:
    """Return the readings of a pass: computed at once on NumPy arrays, or traced into a program on JAX arrays.

    A program takes seconds to compile for the hundreds of small sums that NumPy computes in a millisecond.
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
    """Return the library of x, `numpy` or `jax.numpy`, whose functions have the same names."""
    return np if isinstance(x, (np.ndarray, np.generic)) else jnp


def read(x: Any) -> Reading:
    """Return the reading of one tensor; rms and largest magnitude cover its finite values."""
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
    """Return the shares of dead and saturated units of an activation, given its derivatives [rows, ..., units]."""
    xp = library_of(slope)
    size = xp.abs(slope).reshape(-1, slope.shape[-1])
    limit = SATURATED * steepest(layer)
    return Units(
        dead=xp.mean(xp.max(size, 0) <= NO_SLOPE, dtype=np.float32),
        saturated=xp.mean(xp.mean(size, 0) < limit, dtype=np.float32),
    )


def acts_by_element(layer: Layer) -> bool:
    """Return whether a layer is an elementwise activation."""
    return isinstance(layer, Activation) and layer.by_element


def derivative(layer: Layer, params: Params, x: Array) -> Array:
    """Return the derivative of an elementwise activation at x."""
    step = run_layer(layer, params, {}, Context(), (x,))
    slope: Array = adjoint(layer, params, step.tape, jnp.ones_like(step.y)).inputs[0]
    return slope


def steepest(layer: Layer) -> float:
    """Return the largest magnitude of an activation's derivative: as declared by its class, or found on a grid.

    An inherited value does not count, since a subclass may change the function.
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
