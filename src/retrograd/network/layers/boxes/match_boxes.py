"""Matching boxes with true boxes: the targets of a detector's losses."""

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
    """Match each box with the true box that it overlaps most, which gives the targets of a detector's losses.

        class, t = those of the true box that it overlaps most, where by at least `positive`
        t = ((x' - x)/w, (y' - y)/h, log(w'/w), log(h'/h)) from the box to the true one, x and y the centres

    Below `negative` the box is background; between the two bounds it does not count.

    The output has the parts `object` [batch, boxes], 1 for an object and 0 for background; `known` [batch, boxes], 0
    for a box that does not count; `class` [batch, boxes, 1 + classes], 1 at the class, the first being the background,
    and all 0 for a box that does not count; `shift` [batch, boxes, 4], 0 where there is no object. `object` and
    `known` can serve as sample weights of a loss. No gradient passes.

    Shapes:  boxes [batch, boxes, 4], true boxes [batch, objects, 4], their class numbers [batch, ...], -1 where there
             is none -> the parts above
    Tape:    shapes and dtypes of the inputs
    Raises:  ShapeError if the class numbers do not fit the true boxes.
    See:     Ren et al. 2015, arXiv:1506.01497, section 3.1.2: 0.7, 0.3 and `each` for anchors, 0.5 and 0.5 for the
             second stage. The paper samples 256 anchors, half of them objects; here all count.
    """

    classes: Annotated[Units, Words("number of object classes", why="that of the data")] = "classes"
    positive: Annotated[
        Fraction,
        Words(
            "minimum overlap for a box to count as an object",
            more="closer boxes, fewer of them",
            less="more boxes count as objects, including less close ones",
            why="0.5: usual in the second stage; 0.7 for anchors",
        ),
    ] = 0.5
    negative: Annotated[
        Fraction,
        Words(
            "overlap below which a box is background",
            more="closer boxes are background too",
            less="more boxes do not count",
            why="0.5: with positive 0.5 every box counts",
        ),
    ] = 0.5
    each: Annotated[
        bool,
        Words(
            "whether the boxes that overlap an object most count as it, however small the overlap",
            why="false; true for anchors: then each object has one",
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
            cure = f"choose at most {self.positive:g}: a box cannot be both object and background"
            yield Problem("negative", f"{self.negative:g} is larger than `positive`", cure)

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
