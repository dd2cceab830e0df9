"""Moving and stretching boxes by a network's predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.errors import ShapeError
from retrograd.network.layer import Backward, Context, Equations, Forward, Input, Layer, Params, State, examples, layers
from retrograd.network.layers.boxes.geometry import MOST_STRETCH, expect_boxes, shifted


@layers.register(
    "shift_boxes",
    examples=examples(({}, [Input((2, 3, 4), "positive"), (2, 3, 4)]), ({}, [Input((1, 1, 4), "positive"), (1, 1, 4)])),
)
@dataclass(frozen=True)
class ShiftBoxes(Layer):
    """Move and stretch boxes by four numbers each, relative to their own sides, and clip them to the image.

        c' = c + (tx, ty) s,  s' = s exp(tw, th),  y = min(1, max(0, (c' - s'/2, c' + s'/2)))

    Shapes:  boxes [batch, boxes, 4]: x_min, y_min, x_max, y_max as shares of the image, t the same -> y the same
    Tape:    boxes, t, and which edges lie inside the image
    Raises:  ShapeError for anything but boxes and an equal number of shifts.
    See:     Ren et al. 2015, arXiv:1506.01497, equation 2, solved for the box; tw and th are capped at log(1000 / 16),
             as in Detectron. A clipped edge has delta 0.
    """

    equations = Equations(
        forward="c' = c + (tx, ty) s, s' = s exp(tw, th), y = (c' - s'/2, c' + s'/2) clipped to [0, 1]",
        backward=(
            "dc' = dlow + dhigh, ds' = (dhigh - dlow) / 2, of edges inside the image",
            "d(tx, ty) = s dc', d(tw, th) = s' ds'; dc = dc', ds = (tx, ty) dc' + exp(tw, th) ds'",
        ),
        latex_forward=r"c' = c + t_{xy} s, \quad s' = s e^{t_{wh}}, \quad y = (c' - s'/2, \; c' + s'/2)",
        latex_backward=(
            r"\delta_{t_{xy}} = s \delta_{c'}, \quad \delta_{t_{wh}} = s' \delta_{s'}",
            r"\delta_c = \delta_{c'}, \quad \delta_s = t_{xy} \delta_{c'} + e^{t_{wh}} \delta_{s'}",
        ),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, boxes: Array, shifts: Array) -> Forward:
        expect_boxes(boxes, shifts)
        if boxes.shape != shifts.shape:
            raise ShapeError(f"expected four numbers for each of {boxes.shape[1]} boxes, got {tuple(shifts.shape)}")
        y = shifted(boxes, shifts)
        return Forward(jnp.clip(y, 0, 1), (boxes, shifts, (y > 0) & (y < 1)))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        boxes, shifts, inside = tape
        low, high = jnp.split(jnp.where(inside, dy, jnp.zeros_like(dy)), 2, -1)
        dmiddle, dside = low + high, (high - low) / 2
        side, move, stretch = boxes[..., 2:] - boxes[..., :2], shifts[..., :2], shifts[..., 2:]
        factor = jnp.exp(jnp.minimum(stretch, MOST_STRETCH))
        dstretch = jnp.where(stretch < MOST_STRETCH, side * factor * dside, jnp.zeros_like(dside))
        before = move * dmiddle + factor * dside  # by the side of the input box
        dboxes = jnp.concatenate([dmiddle / 2 - before, dmiddle / 2 + before], -1)
        return Backward((dboxes, jnp.concatenate([side * dmiddle, dstretch], -1)))
