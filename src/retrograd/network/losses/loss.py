"""What the losses have in common: a scalar output, a reduction, and the count that the mean divides by."""

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

CLIP = 1e-7  # Keras's: where probabilities are cut off, and as far below 1
FROM_LOGITS = Words(
    "whether the prediction is logits (any numbers) or probabilities",
    why="logits: exact for large values, and no activation is needed at the output",
)
SMOOTHED_LABELS = Words(
    "share of each target that is spread over all classes",
    more="less certain predictions",
    less="more certain predictions",
    why="0: the labels as they are",
)


@dataclass(frozen=True)
class Loss(Layer):
    """A layer of (prediction, target[, mask][, sample weight]) whose output is one number.

        L = factor * sum(weight * terms),  factor = scale / count for a mean, scale for a sum

    A subclass states `terms` and, under it, `slopes`: their derivative by the prediction. Both see float32 or float64
    whatever the network computes in: a sum over a batch needs more digits than a bfloat16 has.

    reduction: `mean` divides by `count`, `sum` does not, `none` leaves the weighed terms as they are: a loss for each
    example, to look at. scale multiplies the result (0.5 gives the textbook's half
    of the squared error). A mask holds true and false: what is false is left out of the sum and of the count. A sample
    weight holds numbers, and the count stays.

    Shapes:  prediction [batch, ...], target the same, mask and weight [batch] or more of the terms' axes -> scalar
    Tape:    what slopes needs, mask, weight, factor, the prediction's dtype
    Raises:  ShapeError when the shapes differ: broadcasting would train on every pair.
    See:     the target, the mask and the sample weight are constants: they receive no delta.
    """

    _: KW_ONLY
    reduction: Annotated[
        Literal["mean", "sum", "none"],
        Words(
            "whether the terms are averaged, summed, or left one by one (not in training)",
            why="mean: the learning rate does not depend on the batch size; textbooks often sum",
        ),
    ] = "mean"
    scale: Annotated[
        PositiveFloat,
        Words(
            "multiplies the loss and all gradients",
            more="larger steps for plain gradient descent",
            less="smaller steps",
            why="1; 0.5 gives the textbook's half of the squared error",
        ),
    ] = 1.0

    open_numbers: ClassVar[tuple[str, ...]] = ("label_smoothing",)
    mixes_batch: ClassVar[bool] = True
    terms_for: ClassVar[Literal["element", "row", "example"]] = "element"  # of the prediction; a row has all classes
    takes_labels: ClassVar[bool] = False  # whether a target of integers numbers the outputs of a row
    reads_scores: ClassVar[bool] = False  # of which softmax or sigmoid makes shares; a loss may have `from_logits` too
    predictions: ClassVar[int] = 1  # how many inputs, the first ones, are compared and receive a delta
    targets: ClassVar[int] = 1  # how many constants follow them, before mask and sample weight

    def formulas(self) -> Equations:
        """Return the equations as these settings make them: of a sum or a mean, and scaled."""
        equations = self.written()
        is_mean = self.reduction == "mean"
        equations = equations if is_mean else summed(equations)
        equations = one_by_one(equations) if self.reduction == "none" else equations
        return equations if self.scale == 1 else scaled(equations, self.scale, is_mean)

    def written(self) -> Equations:
        """Return the equations of the mean, as the loss's other settings make them."""
        return getattr(self, "equations", UNWRITTEN)

    def terms(self, *given: Any) -> tuple[Array, Any]:
        """Return what is summed, and what `slopes` will need of it."""
        raise unwritten(self, "terms(self, y, t)", "which returns (terms, what slopes needs)")

    def slopes(self, kept: Any) -> Any:
        """Return the derivative of the terms by each element of the prediction (a tuple of them, if there are more)."""
        raise unwritten(self, "slopes(self, kept)", "the derivative of `terms` by y")

    def read_target(self, prediction: Array, target: Array) -> Array:
        """Return the target as `terms` wants it, or raise when it does not fit the prediction.

        Class numbers beside an output for each class stand for 1 at the class and 0 elsewhere.
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
        """Return predictions and targets as `terms` wants them."""
        prediction, target = inputs
        target = self.read_target(prediction, target)
        return prediction.astype(computing_dtype(prediction)), target

    def term_shape(self, prediction: Any) -> tuple[int, ...]:
        """Return the shape of the terms."""
        shape = tuple(prediction.shape)
        return {"element": shape, "row": shape[:-1], "example": shape[:1]}[self.terms_for]

    def count(self, *inputs: Any) -> Array:
        """Return what the mean divides by, so that micro-batches can be weighed against the whole batch.

        Of the prediction only the shape and dtype are looked at: a spec will do.
        """
        shape, dtype = self.term_shape(inputs[0]), computing_dtype(inputs[0])
        mask = self.sort(inputs)[1].mask
        if mask is None:
            return jnp.asarray(max(math.prod(shape), 1), dtype)
        return jnp.sum(mask, dtype=dtype) * jnp.asarray(math.prod(shape[mask.ndim :]), dtype)

    def factor(self, *inputs: Any) -> Array:
        """Return the number that multiplies the sum. Where the count is 0, so is the sum: the loss is 0, not NaN."""
        scale = jnp.asarray(self.scale, computing_dtype(inputs[0]))
        if self.reduction != "mean":
            return scale
        count = self.count(*inputs)
        return scale / jnp.where(count == 0, jnp.ones_like(count), count)

    def sort(self, inputs: tuple[Any, ...]) -> tuple[tuple[Any, ...], Further]:
        """Return predictions and targets, and what comes after them: mask and sample weight, told apart by dtype."""
        count = self.predictions + self.targets
        masks = [each for each in inputs[count:] if each.dtype == jnp.bool_]
        weights = [each for each in inputs[count:] if each.dtype != jnp.bool_]
        if len(inputs) < count or len(masks) > 1 or len(weights) > 1:
            shapes = ", ".join(f"{each.dtype.name}{list(each.shape)}" for each in inputs)
            raise ShapeError(f"expected {count} inputs to compare, and at most one mask (true or false) and one sample "
                             f"weight (numbers), got {shapes}")  # fmt: skip
        if 0 in inputs[0].shape[1:]:
            raise ShapeError(f"the prediction has the shape {tuple(inputs[0].shape)}: there is nothing to compare")
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
        each = slopes if isinstance(slopes, tuple) else (slopes,)
        dy = dy * factor  # one number, or one for each term
        deltas = [(weigh(s, further) * dy.reshape(dy.shape + (1,) * (s.ndim - dy.ndim) * (dy.ndim > 0))).astype(d)
                  for s, d in zip(each, dtypes, strict=True)]  # fmt: skip
        return Backward((*deltas, *(None,) * (count - len(deltas))))


def without_rows(tape: Static) -> Backward:
    """Return the deltas of a batch without rows: as empty as the predictions."""
    predictions, count = tape.value
    deltas = tuple(jnp.zeros(shape, dtype) for shape, dtype in predictions)
    return Backward((*deltas, *(None,) * (count - len(deltas))))


class Further(NamedTuple):
    """What multiplies the terms: the mask leaves out, the sample weight weighs."""

    mask: Array | None
    weight: Array | None


def computing_dtype(x: Any) -> Any:
    """Return the dtype in which a loss of this prediction is computed: float64 for float64, else float32."""
    return jnp.dtype(jnp.float64 if x.dtype == jnp.float64 else jnp.float32)


def expect_further(terms: Array, further: Further) -> None:
    """Raise ShapeError unless mask and sample weight have the leading axes of the terms."""
    for what, value in (("a mask", further.mask), ("a sample weight", further.weight)):
        if value is not None and value.shape != terms.shape[: value.ndim]:
            raise ShapeError(
                f"expected {what} of shape {tuple(terms.shape[:1])}, got {tuple(value.shape)}",
                cure=f"give one for each example (or for each of the loss's terms, {tuple(terms.shape)})",
            )


def weigh(terms: Array, further: Further) -> Array:
    """Multiply each example's terms by its sample weight; what the mask leaves out is 0, even where it is NaN."""
    mask, weight = (None if each is None else each.reshape(each.shape + (1,) * (terms.ndim - each.ndim))
                    for each in further)  # fmt: skip
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
