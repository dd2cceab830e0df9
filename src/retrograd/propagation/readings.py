"""Readings: statistics of one pass, small enough to be computed inside the training step and kept for every layer."""

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
GRID = np.linspace(-8, 8, 3201, dtype=np.float32)  # where that derivative is looked for


class Reading(NamedTuple):
    """One tensor: root mean square, largest magnitude, share of zeros, number of values that are not finite."""

    rms: Array
    largest: Array
    zeros: Array
    nonfinite: Array


class Units(NamedTuple):
    """One activation's units over the rows of a batch: the share that is dead, and the share that is saturated.

    Dead: the derivative is 0 for every row. Saturated: its mean magnitude is under 5 % of the largest there is.
    """

    dead: Array
    saturated: Array


class Health(NamedTuple):
    """Readings of one pass: by node, and for gradients and parameters by path (`dense_1/weight`)."""

    outputs: dict[str, Reading]
    deltas: dict[str, Reading]
    grads: dict[str, Reading]
    params: dict[str, Reading]
    units: dict[str, Units]


def health(network: Network, result: Pass, params: Mapping[str, Params]) -> Health:
    """Return the readings of a pass. Pure: compiled into a step, it costs what it reads and nothing else."""
    outputs = {node.name: result.outputs[node.name] for node in network.nodes}
    return Health(
        outputs=_each(outputs),
        deltas=_each({name: result.deltas[name] for name in outputs if result.deltas.get(name) is not None}),
        grads=_each(result.grads),
        params=_each(params),
        units={
            node.name: units(node.layer, own_params(params, node), take(result.outputs, node.inputs[0]))
            for node in network.nodes
            if acts_by_element(node.layer)
        },
    )


def read(x: Array) -> Reading:
    """Return the reading of one tensor; rms and largest magnitude are those of its finite values."""
    finite = jnp.isfinite(x)
    size = jnp.where(finite, jnp.abs(x.astype(jnp.float32)), 0)
    count = max(x.size, 1)
    return Reading(
        rms=jnp.sqrt(jnp.sum(size * size) / count),
        largest=jnp.max(size, initial=0.0),
        zeros=jnp.sum(x == 0, dtype=jnp.float32) / count,
        nonfinite=jnp.sum(~finite, dtype=jnp.int32),
    )


def units(layer: Layer, params: Params, x: Array) -> Units:
    """Return how many of an activation's units are dead or saturated over the rows of x [rows, ..., units]."""
    slope = jnp.abs(derivative(layer, params, x)).reshape(-1, x.shape[-1])
    limit = SATURATED * steepest(layer)
    return Units(
        dead=jnp.mean(jnp.max(slope, 0) <= 1e-7, dtype=jnp.float32),
        saturated=jnp.mean(jnp.mean(slope, 0) < limit, dtype=jnp.float32),
    )


def acts_by_element(layer: Layer) -> bool:
    """Return whether a layer is an activation whose output depends on one input element each."""
    return isinstance(layer, Activation) and layer.by_element


def derivative(layer: Layer, params: Params, x: Array) -> Array:
    """Return the derivative of an element-by-element activation at x."""
    step = run_layer(layer, params, {}, Context(), (x,))
    slope: Array = adjoint(layer, params, step.tape, jnp.ones_like(step.y)).inputs[0]
    return slope


@functools.cache
def steepest(layer: Layer) -> float:
    """Return the largest derivative of an activation, found on a grid."""

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
