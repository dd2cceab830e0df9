"""The base of losses on regions: the positions that count, sums over them, and the derivative by the prediction."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Annotated

import jax.numpy as jnp
from jax import Array

from retrograd.base.annotations import Words
from retrograd.base.errors import ShapeError
from retrograd.base.quantities import Integer
from retrograd.network.losses.labels import beside, read_labels
from retrograd.network.losses.loss import FROM_LOGITS, Loss, computing_dtype


@dataclass(frozen=True)
class Regional(Loss):
    """Base of the losses that compare a predicted region with the true one, per example.

    Shapes:  y [batch, ..., classes], t labels [batch, ...] or numbers from 0 to 1 [batch, ..., classes] -> scalar
    """

    _: KW_ONLY
    background: Annotated[bool, Words("whether class 0 counts")] = True
    ignored: Annotated[Integer | None, Words("label of positions to ignore")] = None
    from_logits: Annotated[bool, FROM_LOGITS] = True

    terms_for = "example"
    takes_labels = True

    def regions(self, y: Array, t: Array) -> tuple[Array, Array, Array]:
        """Return the predicted and the true regions, and the positions that count."""
        return (_shares(y) if self.from_logits else y, *self._target(t, y))

    def through(self, p: Array, dp: Array) -> Array:
        """Return the delta of y from that of p: back through softmax or sigmoid."""
        if not self.background:
            dp = dp.at[..., 0].set(0)
        if not self.from_logits:
            return dp
        if p.shape[-1] == 1:
            return dp * p * (1 - p)
        return p * (dp - jnp.sum(dp * p, -1, keepdims=True))

    def read_target(self, prediction: Array, target: Array) -> Array:
        """Return labels unchanged, regions in the dtype of the computation."""
        classes = prediction.shape[-1]
        if prediction.ndim < 3 or (classes == 1 and not self.background):
            raise ShapeError(f"expected (batch, positions, classes), got {tuple(prediction.shape)}",
                             cure=f"{self.kind} compares regions of images or sequences")  # fmt: skip
        if target.shape == prediction.shape:
            return target.astype(computing_dtype(prediction))
        if target.shape != prediction.shape[:-1]:
            raise ShapeError(f"expected labels {prediction.shape[:-1]} or regions {prediction.shape}, "
                             f"got {tuple(target.shape)}", cure="reshape the target")  # fmt: skip
        if classes == 1:
            return target[..., None].astype(computing_dtype(prediction))
        if not jnp.issubdtype(target.dtype, jnp.integer):
            raise ShapeError(f"labels of {classes} classes must be integers, found {target.dtype}")
        return target

    def _target(self, t: Array, y: Array) -> tuple[Array, Array]:
        """Return the true regions [batch, ..., classes] and the mask of positions that count [batch, ..., 1]."""
        if t.ndim == y.ndim:
            return t, jnp.ones_like(y[..., :1])
        chosen, valid = read_labels(t[..., None], y.shape[-1], self.ignored, y.dtype)
        return (chosen == beside(jnp.arange(y.shape[-1], dtype=chosen.dtype), y)).astype(y.dtype), valid

    def sums(self, x: Array) -> Array:
        """Return the sums over the positions [batch, classes]."""
        sums = jnp.sum(x, tuple(range(1, x.ndim - 1)))
        return sums if self.background else sums[:, 1:]

    def widened(self, sums: Array, p: Array) -> Array:
        """Return the sums shaped like p; values for an uncounted background are placeholders."""
        sums = sums if self.background else jnp.concatenate([jnp.ones_like(sums[:, :1]), sums], -1)
        return sums.reshape(len(sums), *(1,) * (p.ndim - 2), -1)


def _shares(y: Array) -> Array:
    """Return the softmax over classes, or the sigmoid of a single class."""
    if y.shape[-1] == 1:
        return 0.5 * jnp.tanh(0.5 * y) + 0.5
    exponentials = jnp.exp(y - jnp.max(y, -1, keepdims=True))
    return exponentials / jnp.sum(exponentials, -1, keepdims=True)
