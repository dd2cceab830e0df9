"""Linear maps along the axes between batch and channels, one matrix for each axis."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array


def map_axes(x: Array, matrices: Sequence[np.ndarray]) -> Array:
    """Return x [batch, *lengths, channels] with each axis multiplied by its matrix [outputs, length].

    The adjoint is the same with every matrix transposed.
    """
    for axis, matrix in enumerate(matrices, 1):
        x = jnp.moveaxis(jnp.tensordot(jnp.asarray(matrix, x.dtype), x, (1, axis)), 0, axis)
    return x
