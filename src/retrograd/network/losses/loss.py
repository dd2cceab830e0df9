"""The base of losses: a scalar output, a reduction, and the count that the mean divides by."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import ShapeError
from retrograd.base.quantities import PositiveFloat
from retrograd.base.registry import Registry
from retrograd.base.schema import unwritten
from retrograd.network.equations import UNWRITTEN, one_by_one, scaled, summed
from retrograd.network.layer import Backward, Context, Equations, Forward, Layer, Params, State, Static

losses: Registry[Loss] = Registry("loss", own="load your own with --layers FILE.py")

CLIP = 1e-7  # Keras's: probabilities are clipped to [CLIP, 1 - CLIP]
FROM_LOGITS = Words(
    "whether the prediction is logits (any numbers) or probabilities",
    why="logits: exact for large values, and no activation is needed at the output",
)
SMOOTHED_LABELS = Words(
    "share of each target spread over all classes",
    more="less certain predictions",
    less="more certain predictions",
    why="0: the labels unchanged",
)


@dataclass(frozen=True)
class Loss(Layer):
    """A layer of (prediction, target[, mask][, sample weight]) whose output is one number.

        L = factor * sum(weight * terms),  factor = scale / count for a mean, scale for a sum

    A subclass defines `terms` and, below it, `slopes`: their derivative by the prediction. Both see float32 or float64
    regardless of the network's precision: a sum over a batch needs more digits than bfloat16 has.

    reduction: `mean` divides by `count`, `sum` does not, `none` returns the weighted terms: one loss per example, for
    inspection. scale multiplies the result (0.5 gives the textbook's half of the squared error). A mask holds true and
    false; false entries are left out of the sum and the count. A sample weight holds numbers, and does not change the
    count.

    Shapes:  prediction [batch, ...], target the same, mask and weight [batch] or more of the terms' axes -> scalar
    Tape:    the tape of `slopes`, mask, weight, factor, the prediction's dtype
    Raises:  ShapeError if the shapes differ: broadcasting would train on every pair.
    See:     the target, the mask and the sample weight are constants without a delta.
    """

    _: KW_ONLY
    reduction: Annotated[
        Literal["mean", "sum", "none"],
        Words(
            "whether the terms are averaged, summed, or not reduced (not in training)",
            why="mean: the learning rate does not depend on the batch size; textbooks often sum",
        ),
    ] = "mean"
    scale: Annotated[
        PositiveFloat,
        Words(
            "factor of the loss and all gradients",
            more="larger steps for plain gradient descent",
            less="smaller steps",
            why="1; 0.5 gives the textbook's half of the squared error",
        ),
    ] = 1.0

    open_numbers: ClassVar[tuple[str, ...]] = ("label_smoothing",)
    mixes_batch: ClassVar[bool] = True
    terms_for: ClassVar[Literal["element", "row", "example"]] = "element"  # of the prediction; a row has all classes
    takes_labels: ClassVar[bool] = False  # whether an integer target gives the index of a row's output
    reads_scores: ClassVar[bool] = False  # whether its outputs are scores (like logits), besides `from_logits`
    predictions: ClassVar[int] = 1  # number of leading inputs that are compared and receive a delta
    targets: ClassVar[int] = 1  # number of constants that follow them, before mask and sample weight

    def formulas(self) -> Equations:
        """Return the equations under these settings: of a sum or a mean, and scaled."""
        equations = self.written()
        is_mean = self.reduction == "mean"
        equations = equations if is_mean else summed(equations)
        equations = one_by_one(equations) if self.reduction == "none" else equations
        return equations if self.scale == 1 else scaled(equations, self.scale, is_mean)

    def written(self) -> Equations:
        """Return the equations of the mean, under the loss's other settings."""
        return getattr(self, "equations", UNWRITTEN)

    def terms(self, *given: Any) -> tuple[Array, Any]:
        """Return the terms to sum, and the tape for `slopes`."""
        raise unwritten(self, "terms(self, y, t)", "which returns (terms, what slopes needs)")

    def slopes(self, kept: Any) -> Any:
        """Return the derivative of the terms by each element of the prediction (a tuple if there are several)."""
        raise unwritten(self, "slopes(self, kept)", "the derivative of `terms` by y")

    def read_target(self, prediction: Array, target: Array) -> Array:
        """Return the target in the form that `terms` takes, or raise if it does not fit the prediction.

        Class numbers for one output per class mean 1 at the class and 0 elsewhere.
        """
        if _are_labels(prediction, target):
            return jax.nn.one_hot(target, prediction.shape[-1], dtype=computing_dtype(prediction))
        if target.shape != prediction.shape:
            raise ShapeError(
                f"expected a target of the prediction's shape {tuple(prediction.shape)}, got {tuple(target.shape)}",
                cure=_shape_cure(prediction, target),
            )
        return target.astype(computing_dtype(prediction))

    def read(self, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return predictions and targets in the form that `terms` takes."""
        prediction, target = inputs
        target = self.read_target(prediction, target)
        return prediction.astype(computing_dtype(prediction)), target

    def term_shape(self, prediction: Any) -> tuple[int, ...]:
        """Return the shape of the terms."""
        shape = tuple(prediction.shape)
        return {"element": shape, "row": shape[:-1], "example": shape[:1]}[self.terms_for]

    def count(self, *inputs: Any) -> Array:
        """Return the divisor of the mean, so that micro-batches can be weighted by their share of the batch.

        Only the shape and dtype of the prediction are used: a spec will do.
        """
        shape, dtype = self.term_shape(inputs[0]), computing_dtype(inputs[0])
        mask = self.sort(inputs)[1].mask
        if mask is None:
            return jnp.asarray(max(math.prod(shape), 1), dtype)
        return jnp.sum(mask, dtype=dtype) * jnp.asarray(math.prod(shape[mask.ndim :]), dtype)

    def factor(self, *inputs: Any) -> Array:
        """Return the factor of the sum. If the count is 0, so is the sum: the loss is 0, not NaN."""
        scale = jnp.asarray(self.scale, computing_dtype(inputs[0]))
        if self.reduction != "mean":
            return scale
        count = self.count(*inputs)
        return scale / jnp.where(count == 0, jnp.ones_like(count), count)

    def sort(self, inputs: tuple[Any, ...]) -> tuple[tuple[Any, ...], Further]:
        """Return predictions and targets, and the mask and sample weight after them, distinguished by dtype."""
        count = self.predictions + self.targets
        masks = [array for array in inputs[count:] if array.dtype == jnp.bool_]
        weights = [array for array in inputs[count:] if array.dtype != jnp.bool_]
        if len(inputs) < count or len(masks) > 1 or len(weights) > 1:
            shapes = ", ".join(f"{array.dtype.name}{list(array.shape)}" for array in inputs)
            raise ShapeError(f"expected {count} inputs to compare, and at most one mask (true or false) and one sample "
                             f"weight (numbers), got {shapes}")  # fmt: skip
        if 0 in inputs[0].shape[1:]:
            raise ShapeError(f"the prediction is empty: its shape is {tuple(inputs[0].shape)}")
        return inputs[:count], Further(masks[0] if masks else None, weights[0] if weights else None)

    @override
    def forward(self, params: Params, state: State, ctx: Context, *inputs: Array) -> Forward:
        compared, further = self.sort(inputs)
        if inputs[0].shape[:1] == (0,):
            return self.of_no_rows(inputs)
        terms, kept = self.terms(*self.read(compared))
        expect_further(terms, further)
        factor = self.factor(*inputs)
        static = Static((tuple(each.dtype for each in inputs[: self.predictions]), len(inputs)))
        weighed = weigh(terms, further)
        y = factor * (weighed if self.reduction == "none" else jnp.sum(weighed))
        return Forward(y, (kept, further, factor, static))

    def of_no_rows(self, inputs: tuple[Array, ...]) -> Forward:
        """Return the loss of a batch without rows: 0, the empty sum."""
        predictions = tuple((tuple(each.shape), each.dtype) for each in inputs[: self.predictions])
        shape = self.term_shape(inputs[0]) if self.reduction == "none" else ()
        return Forward(jnp.zeros(shape, computing_dtype(inputs[0])), Static((predictions, len(inputs))))

    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        """dprediction = dy * factor * weight * slopes."""
        if isinstance(tape, Static):
            return without_rows(tape)
        kept, further, factor, static = tape
        dtypes, count = static.value
        slopes = self.slopes(kept)
        slopes_of_inputs = slopes if isinstance(slopes, tuple) else (slopes,)
        dy = dy * factor  # one number, or one for each term
        deltas = [(weigh(s, further) * dy.reshape(dy.shape + (1,) * (s.ndim - dy.ndim) * (dy.ndim > 0))).astype(d)
                  for s, d in zip(slopes_of_inputs, dtypes, strict=True)]  # fmt: skip
        return Backward((*deltas, *(None,) * (count - len(deltas))))


def without_rows(tape: Static) -> Backward:
    """Return the deltas of a batch without rows: empty like the predictions."""
    predictions, count = tape.value
    deltas = tuple(jnp.zeros(shape, dtype) for shape, dtype in predictions)
    return Backward((*deltas, *(None,) * (count - len(deltas))))


class Further(NamedTuple):
    """The factors of the terms: mask and sample weight."""

    mask: Array | None
    weight: Array | None


def computing_dtype(x: Any) -> Any:
    """Return the dtype in which the loss of a prediction is computed: float64 for float64, else float32."""
    return jnp.dtype(jnp.float64 if x.dtype == jnp.float64 else jnp.float32)


def expect_further(terms: Array, further: Further) -> None:
    """Raise ShapeError unless mask and sample weight have the leading axes of the terms."""
    for what, value in (("a mask", further.mask), ("a sample weight", further.weight)):
        if value is not None and value.shape != terms.shape[: value.ndim]:
            raise ShapeError(
                f"expected {what} of shape {tuple(terms.shape[:1])}, got {tuple(value.shape)}",
                cure=f"give one per example (or one per term of the loss, {tuple(terms.shape)})",
            )


def weigh(terms: Array, further: Further) -> Array:
    """Multiply each example's terms by its sample weight; masked terms are 0, even if they are NaN."""
    mask, weight = (None if factor is None else factor.reshape(factor.shape + (1,) * (terms.ndim - factor.ndim))
                    for factor in further)  # fmt: skip
    terms = terms if mask is None else jnp.where(mask, terms, jnp.zeros_like(terms))
    return terms if weight is None else terms * weight.astype(terms.dtype)


def _are_labels(prediction: Array, target: Array) -> bool:
    fits = target.shape == prediction.shape[:-1] and prediction.shape[-1] > 1
    return fits and jnp.issubdtype(target.dtype, jnp.integer)


def _shape_cure(prediction: Array, target: Array) -> str:
    if target.shape == prediction.shape[:-1] and prediction.shape[-1] == 1:
        return f"reshape the target to {tuple(prediction.shape)}, as target[..., None] does"
    if target.shape == (*prediction.shape, 1):
        return f"reshape the target to {tuple(prediction.shape)}, as target[..., 0] does"
    return "reshape the target, or change the units of the last layer"
