"""The most likely boxes of an image that do not overlap much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import jax.numpy as jnp
from jax import Array, lax
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import ShapeError
from retrograd.base.quantities import Fraction, PositiveInt
from retrograd.network.layer import (
    Backward,
    Context,
    Equations,
    Forward,
    Input,
    Layer,
    Params,
    State,
    Static,
    examples,
    layers,
)
from retrograd.network.layers.boxes.geometry import expect_boxes, expect_truth, overlaps

FREE, SUPPRESSED, TAKEN = 0, 1, 2  # of a box, in the order of choice


@layers.register(
    "best_boxes",
    examples=examples(
        ({"count": 3}, [(2, 5), Input((2, 5, 4), "positive")]),
        ({"count": 2, "overlap": 0.3}, [(1, 2, 2, 1), Input((1, 4, 4), "positive")]),
        (
            {"count": 4},
            [(2, 6), Input((2, 6, 4), "positive"), Input((2, 2, 4), "positive"), Input((2, 1, 2), "labels", classes=3)],
        ),
    ),
)
@dataclass(frozen=True)
class BestBoxes(Layer):
    """Choose the boxes with the highest scores, only the best of those that overlap: non-maximum suppression.

        y[k] = the likeliest box that overlaps none of y[:k] by more than `overlap`

    If fewer than `count` remain, the likeliest suppressed ones follow. In training the true boxes, if given, come
    first, so that the next layers see objects from the first step; otherwise they are ignored, and a network in use
    does not need them. No gradient passes through the choice or the coordinates.

    Shapes:  scores [batch, ...], one for each box, boxes [batch, boxes, 4][, true boxes [batch, objects, 4], their
             class numbers [batch, ...], -1 where there is none] -> y [batch, count, 4]
    Tape:    shapes and dtypes of the inputs
    Raises:  ShapeError if the scores do not fit the boxes, or there are fewer boxes than `count`.
    See:     Ren et al. 2015, arXiv:1506.01497, section 3.3: 0.7, and 2000 boxes in training, 300 in use.
    """

    count: Annotated[
        PositiveInt, Words("number of boxes", more="misses fewer objects; slower", less="faster; misses objects")
    ]
    overlap: Annotated[
        Fraction,
        Words(
            "intersection over union beyond which the less likely of two boxes is suppressed",
            more="more boxes per object",
            less="neighbours are suppressed",
            why="0.7: the paper's",
        ),
    ] = 0.7

    inputs_in_use: ClassVar[int | None] = 2
    equations = Equations(
        forward="y[k] = the likeliest box that overlaps none of y[:k] by more than `overlap`",
        backward=("dscores = 0, dboxes = 0: the choice and the coordinates count as constants",),
        latex_forward=r"y_k = b_{\arg\max \{s_i : \mathrm{IoU}(b_i, y_j) \le o, \, j < k\}}",
        latex_backward=(r"\delta_s = 0, \quad \delta_b = 0",),
    )

    @property
    def surrogate(self) -> str:
        """Backward ignores that moving a box changes the values pooled from it, as in the paper."""
        return "the chosen boxes count as constants"

    @override
    def forward(
        self, params: Params, state: State, ctx: Context, scores: Array, boxes: Array, *truth: Array
    ) -> Forward:
        expect_boxes(boxes)
        if scores.size != boxes.size // 4 or scores.ndim < 2:
            raise ShapeError(f"expected a score for each of {boxes.shape[1]} boxes, got {tuple(scores.shape)}")
        if boxes.shape[1] < self.count:
            raise ShapeError(f"only {boxes.shape[1]} boxes to choose from", where="count", cure="choose fewer")
        if len(truth) not in (0, 2):
            raise ShapeError(f"expected true boxes and their class numbers, or neither; got {len(truth)} inputs")
        described = Static(tuple((array.shape, array.dtype) for array in (scores, boxes, *truth)))
        y = chosen(
            lax.stop_gradient(scores.reshape(boxes.shape[:2])), lax.stop_gradient(boxes), self.count, self.overlap
        )
        if truth:
            labels = expect_truth(*truth)
            y = true_first(y, lax.stop_gradient(truth[0]), labels) if ctx.train else y
        return Forward(y, described)

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        return Backward(no_deltas(tape))


def chosen(scores: Array, boxes: Array, count: int, most: float) -> Array:
    """Return the boxes [batch, count, 4] that non-maximum suppression chooses, then the likeliest suppressed ones."""
    order = jnp.argsort(-scores, axis=-1, stable=True)
    boxes = jnp.take_along_axis(boxes, order[..., None], 1)

    def choose(status: Array, _: None) -> tuple[Array, Array]:
        first = jnp.argmin(status, -1, keepdims=True)  # the first of equal ones, which is the likeliest
        best = jnp.take_along_axis(boxes, first[..., None], 1)
        near = overlaps(best, boxes)[:, 0] > most
        status = jnp.maximum(status, near.astype(status.dtype) * SUPPRESSED)
        return jnp.where(jnp.arange(status.shape[-1]) == first, TAKEN, status), best[:, 0]

    free = jnp.full(scores.shape, FREE, jnp.int32)
    return lax.scan(choose, free, None, length=count)[1].swapaxes(0, 1)


def true_first(boxes: Array, truth: Array, labels: Array) -> Array:
    """Return the same number of boxes, starting with the existing true ones."""
    last = jnp.where(labels >= 0, 0, 2)
    order = jnp.argsort(jnp.concatenate([last, jnp.ones(boxes.shape[:2], last.dtype)], -1), axis=-1, stable=True)
    everything = jnp.concatenate([truth.astype(boxes.dtype), boxes], 1)
    return jnp.take_along_axis(everything, order[:, : boxes.shape[1], None], 1)


def no_deltas(tape: Static) -> tuple[Array | None, ...]:
    """Return zero deltas for the real-valued inputs, whose shapes and dtypes are on the tape."""
    return tuple(jnp.zeros(shape, dtype) if jnp.issubdtype(dtype, jnp.inexact) else None for shape, dtype in tape.value)
