"""What each box should have been called: the targets of a detector's losses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import Problem
from retrograd.base.quantities import Fraction
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
    Units,
    examples,
    layers,
)
from retrograd.network.layers.boxes.best_boxes import no_deltas
from retrograd.network.layers.boxes.geometry import expect_boxes, expect_truth, overlaps, shifts_between


@layers.register(
    "match_boxes",
    examples=examples(
        (
            {"classes": 3},
            [Input((2, 5, 4), "positive"), Input((2, 2, 4), "positive"), Input((2, 1, 2), "labels", classes=3)],
        ),
        (
            {"classes": 2, "positive": 0.3, "negative": 0.1, "each": True},
            [Input((1, 4, 4), "positive"), Input((1, 1, 4), "positive"), Input((1, 1), "labels", classes=2)],
        ),
    ),
)
@dataclass(frozen=True)
class MatchBoxes(Layer):
    """Say of each box which true box it overlaps most, and with that what the losses compare a detector's words with.

        class, t = those of the true box that it overlaps most, where by at least `positive`
        t = ((x' - x)/w, (y' - y)/h, log(w'/w), log(h'/h)) from the box to the true one, x and y the centres

    Below `negative` the box is background; between the two it does not count.

    The output has the parts `object` [batch, boxes], 1 for an object and 0 for background; `known` [batch, boxes], 0
    for a box that does not count; `class` [batch, boxes, 1 + classes], 1 at the class, of which the first is the
    background, and 0 throughout for a box that does not count; `shift` [batch, boxes, 4], 0 where there is no object.
    As numbers, `object` and `known` are sample weights of a loss. No gradient passes.

    Shapes:  boxes [batch, boxes, 4], true boxes [batch, objects, 4], their class numbers [batch, ...], -1 where there
             is none -> the parts above
    Tape:    shapes and dtypes of the inputs
    Raises:  ShapeError when the class numbers do not fit the true boxes.
    See:     Ren et al. 2015, arXiv:1506.01497, section 3.1.2: 0.7, 0.3 and `each` for anchors, 0.5 and 0.5 for the
             second stage. There 256 anchors are drawn, half of them objects; here all count.
    """

    classes: Annotated[Units, Words("number of classes of the objects", why="as many as the data have")] = "classes"
    positive: Annotated[
        Fraction,
        Words(
            "least overlap of a box that stands for an object",
            more="nearer boxes, fewer of them",
            less="more boxes stand for an object, and farther ones",
            why="0.5: usual in the second stage; of anchors 0.7",
        ),
    ] = 0.5
    negative: Annotated[
        Fraction,
        Words(
            "overlap below which a box is background",
            more="nearer boxes are background too",
            less="more boxes do not count",
            why="0.5: with positive 0.5 every box counts",
        ),
    ] = 0.5
    each: Annotated[
        bool,
        Words(
            "whether the boxes that overlap an object most stand for it, however little that is",
            why="false; of anchors true: each object has one then",
        ),
    ] = False

    equations = Equations(
        forward="class, t = those of the true box that it overlaps most, where by at least `positive`",
        backward=("dboxes = 0, dtruth = 0: targets are constants",),
        latex_forward=r"t = \left( \frac{c' - c}{s}, \; \log \frac{s'}{s} \right), \quad"
        r" c', s' = \arg\max_j \mathrm{IoU}(b, b'_j)",
        latex_backward=(r"\delta_b = 0, \quad \delta_{b'} = 0",),
    )

    @property
    def surrogate(self) -> str:
        """The shift between two boxes depends on them; as a target it is constant."""
        return "targets count as constants"

    @override
    def rules(self) -> Iterator[Problem]:
        if self.negative > self.positive:
            cure = f"choose at most {self.positive:g}: no box is an object and background at once"
            yield Problem("negative", f"is larger than positive: {self.negative:g}", cure)

    @override
    def forward(self, params: Params, state: State, ctx: Context, boxes: Array, truth: Array, labels: Array) -> Forward:
        expect_boxes(boxes, truth)
        described = Static(tuple((each.shape, each.dtype) for each in (boxes, truth, labels)))
        labels = expect_truth(truth, labels)
        boxes, truth = lax.stop_gradient(boxes), lax.stop_gradient(truth.astype(boxes.dtype))
        shares = jnp.where(labels[:, None, :] >= 0, overlaps(boxes, truth), jnp.zeros((), boxes.dtype))
        nearest, most = jnp.argmax(shares, -1), jnp.max(shares, -1)
        is_object = (most >= self.positive) & (most > 0)
        if self.each:
            is_object |= jnp.any((shares == jnp.max(shares, 1, keepdims=True)) & (shares > 0), -1)
        is_known = is_object | (most < self.negative)
        number = jnp.where(is_object, jnp.take_along_axis(labels, nearest, 1) + 1, jnp.where(is_known, 0, -1))
        shift = shifts_between(boxes, jnp.take_along_axis(truth, nearest[..., None], 1))
        y = {
            "object": is_object.astype(boxes.dtype),
            "known": is_known.astype(boxes.dtype),
            "class": jax.nn.one_hot(number, int(self.classes) + 1, dtype=boxes.dtype),
            "shift": jnp.where(is_object[..., None], shift, jnp.zeros_like(shift)),
        }
        return Forward(y, described)

    @override
    def backward(self, params: Params, tape: Any, dy: Any) -> Backward:
        """dboxes = 0, dtruth = 0."""
        return Backward(no_deltas(tape))
