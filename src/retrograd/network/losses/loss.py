"""What the losses have in common: a scalar output, a reduction, and the count that the mean divides by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
from jax import Array

from retrograd.base.errors import ShapeError
from retrograd.base.registry import Registry
from retrograd.base.schema import PositiveFloat
from retrograd.network.layer import Backward, Context, Forward, Layer, Params, State

losses: Registry[Loss] = Registry("loss")


@dataclass(frozen=True)
class Loss(Layer):
    """A layer of (prediction, target[, sample weight]) whose output is one number.

    reduction: `mean` divides the sum by `count`, `sum` does not. scale multiplies the result (0.5 gives the
    textbook's half of the squared error).
    """

    _: KW_ONLY
    reduction: Literal["mean", "sum"] = "mean"
    scale: PositiveFloat = 1.0

    mixes_batch: ClassVar[bool] = True

    def count(self, prediction: Array, target: Array, weight: Array | None = None) -> Array:
        """Return what the mean divides by, so that micro-batches can be weighed against the whole batch."""
        return jnp.asarray(max(prediction.size, 1), prediction.dtype)

    def factor(self, *inputs: Any) -> Array:
        """Return the number that multiplies the sum: scale, over the count for a mean."""
        scale = jnp.asarray(self.scale, inputs[0].dtype)
        return scale / self.count(*inputs) if self.reduction == "mean" else scale


@dataclass(frozen=True)
class ElementwiseLoss(Loss):
    """A loss that is a sum over elements: a subclass states `terms` and its derivative `slopes`.

        L = factor * sum(weight * terms(prediction, target))

    Shapes:  prediction [batch, ...], target the same, weight [batch] -> scalar
    Tape:    prediction, target, weight, factor
    Raises:  ShapeError when the target's shape is not the prediction's: broadcasting would train on every pair.
    """

    terms: ClassVar[Callable[..., Array]]
    slopes: ClassVar[Callable[..., Array]]

    def forward(  # noqa: D102
        self, params: Params, state: State, ctx: Context, prediction: Array, target: Array, weight: Array | None = None
    ) -> Forward:
        if target.shape != prediction.shape:
            raise ShapeError(
                f"expected a target of the prediction's shape {tuple(prediction.shape)}, got {tuple(target.shape)}",
                cure="reshape the target, or change the units of the last layer",
            )
        target = target.astype(prediction.dtype)
        inputs = (prediction, target) if weight is None else (prediction, target, weight)
        factor = self.factor(*inputs)
        y = factor * jnp.sum(weigh(self.terms(prediction, target), weight))
        return Forward(y, (prediction, target, weight, factor))

    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        """dprediction = dy * factor * weight * slopes(prediction, target); the target's is its negative or absent."""
        prediction, target, weight, factor = tape
        dx = weigh(self.slopes(prediction, target), weight) * (dy * factor)
        return Backward((dx, None) if weight is None else (dx, None, None))


def weigh(terms: Array, weight: Array | None) -> Array:
    """Multiply each example's terms by its sample weight."""
    if weight is None:
        return terms
    return terms * weight.astype(terms.dtype).reshape(weight.shape + (1,) * (terms.ndim - weight.ndim))
