"""The likeliest boxes of an image that do not lie on top of each other."""

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
    """Choose the boxes of the highest scores, of those that overlap the likelier one: non-maximum suppression.

        y[k] = the likeliest box that overlaps none of y[:k] by more than `overlap`

    Where fewer remain than are asked for, the likeliest of the suppressed ones follow. In training the true boxes, if
    they are given, come first, so that what reads the boxes sees objects from the first step; elsewhere they are not
    looked at, and a network in use does without them. Neither the choice nor the coordinates pass a gradient on.

    Shapes:  scores [batch, ...], one for each box, boxes [batch, boxes, 4][, true boxes [batch, objects, 4], their
             class numbers [batch, ...], -1 where there is none] -> y [batch, count, 4]
    Tape:    shapes and dtypes of the inputs
    Raises:  ShapeError when the scores do not fit the boxes, or there are fewer boxes than are asked for.
    See:     Ren et al. 2015, arXiv:1506.01497, section 3.3: 0.7, and 2000 boxes in training, 300 in use.
    """

    count: Annotated[
        PositiveInt, Words("how many boxes", more="fewer objects are missed; slower", less="faster; misses objects")
    ]
    overlap: Annotated[
        Fraction,
        Words(
            "intersection over union beyond which the less likely of two boxes is suppressed",
            more="more boxes of one object",
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
        """Moving a box moves what is pooled from it, and backward does not follow that, as in the paper."""
        return "the chosen boxes count as constants"

    @override
    def forward(
        self, params: Params, state: State, ctx: Context, scores: Array, boxes: Array, *truth: Array
    ) -> Forward:
        expect_boxes(boxes)
        if scores.size != boxes.size // 4 or scores.ndim < 2:
            raise ShapeError(f"expected a score for each of {boxes.shape[1]} boxes, got {tuple(scores.shape)}")
        if boxes.shape[1] < self.count:
            raise ShapeError(f"there are {boxes.shape[1]} boxes to choose from", where="count", cure="choose fewer")
        if len(truth) not in (0, 2):
            raise ShapeError(f"expected true boxes and their class numbers, or neither; got {len(truth)} inputs")
        described = Static(tuple((each.shape, each.dtype) for each in (scores, boxes, *truth)))
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
        first = jnp.argmin(status, -1, keepdims=True)  # of equals the first one, which is the likeliest
        best = jnp.take_along_axis(boxes, first[..., None], 1)
        near = overlaps(best, boxes)[:, 0] > most
        status = jnp.maximum(status, near.astype(status.dtype) * SUPPRESSED)
        return jnp.where(jnp.arange(status.shape[-1]) == first, TAKEN, status), best[:, 0]

    free = jnp.full(scores.shape, FREE, jnp.int32)
    return lax.scan(choose, free, None, length=count)[1].swapaxes(0, 1)


def true_first(boxes: Array, truth: Array, labels: Array) -> Array:
    """Return as many boxes, of which the first are the true ones that are there."""
    last = jnp.where(labels >= 0, 0, 2)
    order = jnp.argsort(jnp.concatenate([last, jnp.ones(boxes.shape[:2], last.dtype)], -1), axis=-1, stable=True)
    everything = jnp.concatenate([truth.astype(boxes.dtype), boxes], 1)
    return jnp.take_along_axis(everything, order[:, : boxes.shape[1], None], 1)


def no_deltas(tape: Static) -> tuple[Array | None, ...]:
    """Return deltas of 0 for the inputs, whose shapes and dtypes are on the tape, that hold real numbers."""
    return tuple(jnp.zeros(shape, dtype) if jnp.issubdtype(dtype, jnp.inexact) else None for shape, dtype in tape.value)
