"""Random time shifts of sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import ShapeError
from retrograd.base.quantities import NonNegativeInt
from retrograd.network.layer import Backward, Context, Equations, Forward, Layer, Params, State, examples, layers
from retrograd.network.layers.augmentation.drawing import OwnSeed, expect_reals, own_key, whole
from retrograd.network.layers.augmentation.shifting import moved, moved_back


@layers.register(
    "time_shift",
    examples=examples(({"steps": 2}, [(5, 4, 2)]), ({"steps": 1, "seed": 3}, [(1, 3, 1)]), ({"steps": 0}, [(2, 3, 2)])),
)
@dataclass(frozen=True)
class TimeShift(Layer):
    """In training, shift a sequence by up to `steps` steps, filling with zeros.

        y[t] = x[t - a], 0 where that lies outside

    a is an integer from -steps to steps, drawn for each sequence.

    Shapes:  x [batch, time, features] -> y, the same
    Tape:    a [batch]; None when not training
    See:     suits signals whose meaning does not depend on when they start: recordings, gestures; not forecasts.
    """

    steps: Annotated[
        NonNegativeInt,
        Words(
            "maximum shift in steps, forwards or backwards",
            more="events appear at more times; too much moves them out",
            less="events stay nearly in place",
            why="2: small compared with most sequences",
        ),
    ] = 2
    seed: OwnSeed = None

    mixes_batch: ClassVar[bool] = True  # drawn by position in the batch
    keeps_scale: ClassVar[bool] = True
    equations = Equations(
        forward="y[t] = x[t - a], 0 where that lies outside (y = x when not training)",
        backward=("dx[t] = dy[t + a], 0 where that lies outside (dx = dy when not training)",),
        latex_forward=r"y_t = x_{t-a}, \quad a \sim U\{-s, \dots, s\}",
        latex_backward=(r"\delta_{x,t} = \delta_{y,\,t+a}",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        expect_reals(x)
        if x.ndim != 3:
            raise ShapeError(f"expected sequences (batch, time, features), got {tuple(x.shape)}")
        if not ctx.train or self.steps == 0:
            return Forward(x, None)
        offsets = {1: whole(own_key(ctx, self.seed), x, -self.steps, self.steps)}
        return Forward(moved(x, offsets), offsets)

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        return Backward((dy if tape is None else moved_back(dy, tape),))
