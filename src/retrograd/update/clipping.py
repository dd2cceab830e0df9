"""Clipping: gradients that are too large are limited or scaled down before anything else uses them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array


def clip(value: float | None, norm: float | None, global_norm: float | None) -> optax.GradientTransformation:
    """Return the transformation that clips each entry, then the norm of each tensor, then the norm of all together.

        value:        g <- min(max(g, -value), value)
        norm:         g <- g norm / ‖g‖            for each tensor with ‖g‖ > norm
        global_norm:  g <- g global_norm / ‖all‖   for all tensors, if ‖all‖ > global_norm

    None means no clipping of that kind. NaN stays NaN. The state is always empty, so that a run can continue with other
    limits.

    See:  Pascanu et al. 2013, arXiv:1211.5063. PyTorch's clip_grad_norm_ is the global one and adds 1e-6 to the norm.
    """

    def clipped(grads: Any, params: Any = None) -> Any:
        if value is not None:
            grads = jax.tree.map(lambda g: jnp.clip(g, -value, value), grads)
        if norm is not None:
            grads = jax.tree.map(lambda g: scale_down(g, optax.tree.norm(g), norm), grads)
        if global_norm is not None:
            whole = optax.tree.norm(grads)
            grads = jax.tree.map(lambda g: scale_down(g, whole, global_norm), grads)
        return grads

    return optax.stateless(clipped)


def scale_down(g: Array, norm: Array, limit: float) -> Array:
    """Return g limit / norm if the norm is above the limit, else g."""
    return g * (limit / jnp.maximum(norm, limit)).astype(g.dtype)
