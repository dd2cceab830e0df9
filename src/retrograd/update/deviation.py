"""Scaling by the gradient's standard deviation over time, for centered RMSprop."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax


class Deviation(NamedTuple):
    """Moving average and moving variance of each gradient."""

    mean: Any
    variance: Any


def scale_by_deviation(decay: float, eps: float) -> optax.GradientTransformation:
    """Divide each gradient by its standard deviation over time.

        variance <- decay (variance + (1 - decay) (g - mean)²)
        mean     <- decay mean + (1 - decay) g
        update    = g / (sqrt(variance) + eps)

    The variance is that of optax and PyTorch, E[g²] - E[g]², in a form that cannot become negative: in float32 the
    difference can, if a gradient is constant, and its root is then NaN.

    See:  West 1979, on updating mean and variance.
    """

    def init(params: Any) -> Deviation:
        return Deviation(optax.tree.zeros_like(params), optax.tree.zeros_like(params))

    def update(grads: Any, state: Deviation, params: Any = None) -> tuple[Any, Deviation]:
        variance = jax.tree.map(
            lambda g, m, v: decay * (v + (1 - decay) * (g - m) ** 2), grads, state.mean, state.variance
        )
        mean = jax.tree.map(lambda g, m: decay * m + (1 - decay) * g, grads, state.mean)
        updates = jax.tree.map(lambda g, v: g / (jnp.sqrt(v) + eps), grads, variance)
        return updates, Deviation(mean, variance)

    return optax.GradientTransformation(init, update)
