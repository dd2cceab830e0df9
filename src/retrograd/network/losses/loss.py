"""What the losses have in common: a scalar output, a reduction, and the count that the mean divides by."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
from jax import Array

from retrograd.base.errors import ShapeError
from retrograd.base.registry import Registry
from retrograd.base.schema import PositiveFloat
from retrograd.network.layer import Backward, Context, Forward, Layer, Params, State, Static

losses: Registry[Loss] = Registry("loss")


@dataclass(frozen=True)
class Loss(Layer):
    """A layer of (prediction, target[, sample weight]) whose output is one number.

        L = factor * sum(weight * terms),  factor = scale / count for a mean, scale for a sum

    A subclass states `terms` and, under it, `slopes`: their derivative by the prediction. Both see float32 or float64
    whatever the network computes in: a sum over a batch needs more digits than a bfloat16 has.

    reduction: `mean` divides by `count`, `sum` does not. scale multiplies the result (0.5 gives the textbook's half
    of the squared error).

    Shapes:  prediction [batch, ...], target the same, weight [batch] or more of the terms' axes -> scalar
    Tape:    what slopes needs, weight, factor, the prediction's dtype
    Raises:  ShapeError when the shapes differ: broadcasting would train on every pair.
    See:     the target and the sample weight are constants: they receive no delta.
    """

    _: KW_ONLY
    reduction: Literal["mean", "sum"] = "mean"
    scale: PositiveFloat = 1.0

    mixes_batch: ClassVar[bool] = True

    def terms(self, y: Array, t: Array) -> tuple[Array, Any]:
        """Return what is summed, and what `slopes` will need of it."""
        raise NotImplementedError(f"{type(self).__name__} has no terms")

    def slopes(self, kept: Any) -> Array:
        """Return the derivative of the terms by each element of the prediction."""
        raise NotImplementedError(f"{type(self).__name__} has no slopes")

    def read_target(self, prediction: Array, target: Array) -> Array:
        """Return the target as `terms` wants it, or raise when it does not fit the prediction."""
        if target.shape != prediction.shape:
            raise ShapeError(
                f"expected a target of the prediction's shape {tuple(prediction.shape)}, got {tuple(target.shape)}",
                cure=_shape_cure(prediction, target),
            )
        return target.astype(computing_dtype(prediction))

    def count(self, prediction: Any, target: Any, weight: Any = None) -> Array:
        """Return what the mean divides by, so that micro-batches can be weighed against the whole batch.

        Of the prediction only the shape and dtype are looked at: a spec will do.
        """
        return jnp.asarray(max(prediction.size, 1), computing_dtype(prediction))

    def factor(self, prediction: Any, target: Any) -> Array:
        """Return the number that multiplies the sum. Where the count is 0, so is the sum: the loss is 0, not NaN."""
        scale = jnp.asarray(self.scale, computing_dtype(prediction))
        if self.reduction == "sum":
            return scale
        count = self.count(prediction, target)
        return scale / jnp.where(count == 0, jnp.ones_like(count), count)

    def forward(  # noqa: D102
        self, params: Params, state: State, ctx: Context, prediction: Array, target: Array, weight: Array | None = None
    ) -> Forward:
        target = self.read_target(prediction, target)
        terms, kept = self.terms(prediction.astype(computing_dtype(prediction)), target)
        expect_weight(terms, weight)
        factor = self.factor(prediction, target)
        return Forward(factor * jnp.sum(weigh(terms, weight)), (kept, weight, factor, Static(prediction.dtype)))

    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        """dprediction = dy * factor * weight * slopes."""
        kept, weight, factor, dtype = tape
        dx = weigh(self.slopes(kept), weight) * (dy * factor)
        return Backward((dx.astype(dtype.value), None) if weight is None else (dx.astype(dtype.value), None, None))


def computing_dtype(x: Any) -> Any:
    """Return the dtype in which a loss of this prediction is computed: float64 for float64, else float32."""
    return jnp.dtype(jnp.float64 if x.dtype == jnp.float64 else jnp.float32)


def expect_weight(terms: Array, weight: Array | None) -> None:
    """Raise ShapeError unless the sample weight has the leading axes of the terms."""
    if weight is not None and weight.shape != terms.shape[: weight.ndim]:
        raise ShapeError(
            f"expected a sample weight of shape {tuple(terms.shape[:1])}, got {tuple(weight.shape)}",
            cure=f"give one number for each example (or for each of the loss's terms, {tuple(terms.shape)})",
        )


def weigh(terms: Array, weight: Array | None) -> Array:
    """Multiply each example's terms by its sample weight."""
    if weight is None:
        return terms
    return terms * weight.astype(terms.dtype).reshape(weight.shape + (1,) * (terms.ndim - weight.ndim))


def _shape_cure(prediction: Array, target: Array) -> str:
    if target.shape == prediction.shape[:-1] and jnp.issubdtype(target.dtype, jnp.integer):
        return "class labels are for the loss cross_entropy; `data: {task: regression}` takes them as numbers"
    if target.shape == prediction.shape[:-1] and prediction.shape[-1] == 1:
        return f"reshape the target to {tuple(prediction.shape)}, as target[..., None] does"
    if target.shape == (*prediction.shape, 1):
        return f"reshape the target to {tuple(prediction.shape)}, as target[..., 0] does"
    return "reshape the target, or change the units of the last layer"
