"""Settings that name axes of an input: what they may hold, and which axes are meant."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from jax import Array

from retrograd.base.annotations import Expect, Words
from retrograd.base.errors import ShapeError
from retrograd.base.quantities import Integer

Axes = Annotated[Integer | tuple[Integer, ...], Expect("an integer, or a list of them")]
KEPT_AXIS = Words("whether the axis stays, with length 1", why="true: what follows expects (batch, features)")


def axes_of(x: Array | np.ndarray, axis: int | tuple[int, ...], where: str = "axis") -> tuple[int, ...]:
    """Return axes counted from 0; raise ShapeError unless all are there, each once, and none is the batch."""
    axes = (axis,) if isinstance(axis, int) else axis
    places = tuple(each % x.ndim for each in axes if -x.ndim <= each < x.ndim)
    if len(places) < len(axes) or 0 in places or len(set(places)) < len(places) or not axes:
        shown = axis if isinstance(axis, int) else list(axis)
        what = "the batch" if 0 in places else "not there" if len(places) < len(axes) else "no list of different axes"
        raise ShapeError(f"axis {shown} of {tuple(x.shape)} is {what}", where=where,
                         cure="-1 is the last axis, 1 the first after the batch")  # fmt: skip
    return places
