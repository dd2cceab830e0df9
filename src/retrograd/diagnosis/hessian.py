"""The curvature of a loss: the largest eigenvalue of its Hessian."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.base.compilation.programs import QUICKLY, Program
from retrograd.network.layer import Context
from retrograd.network.network import Network, Variables
from retrograd.propagation.backprop import backprop
from retrograd.propagation.objective import Objective

ITERATIONS = 12  # of the power method; an error of 10 % does no harm
SMALL = 1e8  # parameters times numbers in the batch: below this, compiling takes longer than iterating


def largest_curvature(
    network: Network, objectives: Sequence[Objective], variables: Variables, batch: Mapping[str, Any]
) -> float:
    """Return the largest eigenvalue of the Hessian of the loss on a batch, by power iteration.

    Hessian-vector products are directional derivatives of the gradient:  H v = d/dt grad(w + t v) at t = 0
    """
    numbers = sum(leaf.size for leaf in jax.tree.leaves(variables.params)) * sum(
        column.size for column in batch.values()
    )
    iterate = Program(_iterate, network, tuple(objectives), options=QUICKLY if numbers < SMALL else None)
    draw = np.random.default_rng(0)
    v = jax.tree.map(lambda leaf: np.asarray(draw.normal(size=leaf.shape), leaf.dtype), variables.params)
    size = 0.0
    for _ in range(1 + ITERATIONS):
        v, size = iterate(*variables, batch, v)
    return float(size)


def _iterate(
    network: Network, objectives: Sequence[Objective], params: Any, state: Any, batch: Mapping[str, Any], v: Any
) -> tuple[Any, Any]:
    """Return H v scaled to length 1, and its length before scaling."""

    def grads(params: Any) -> Any:
        return backprop(network, objectives, params, state, Context(), batch).grads

    product = jax.jvp(grads, (params,), (v,))[1]
    size = jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(product)))
    return jax.tree.map(lambda leaf: leaf / jnp.maximum(size, 1e-30), product), size
