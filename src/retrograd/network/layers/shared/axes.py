"""Settings that name axes of an input: valid values, and how they are resolved."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from jax import Array

from retrograd.base.annotations import Expect, Words
from retrograd.base.errors import ShapeError
from retrograd.base.quantities import Integer

Axes = Annotated[Integer | tuple[Integer, ...], Expect("an integer, or a list of them")]
KEPT_AXIS = Words("whether to keep the axis with length 1", why="true: the next layer expects (batch, features)")


def axes_of(x: Array | np.ndarray, axis: int | tuple[int, ...], where: str = "axis") -> tuple[int, ...]:
    """Return axes counted from 0; raise ShapeError unless all exist, each once, and none is the batch."""
    axes = (axis,) if isinstance(axis, int) else axis
    places = tuple(number % x.ndim for number in axes if -x.ndim <= number < x.ndim)
    if len(places) < len(axes) or 0 in places or len(set(places)) < len(places) or not axes:
        shown = axis if isinstance(axis, int) else list(axis)
        repeated = "is repeated" if axes else "names none"
        what = "is the batch" if 0 in places else "does not exist" if len(places) < len(axes) else repeated
        raise ShapeError(f"axis {shown} of {tuple(x.shape)} {what}", where=where,
                         cure="-1 is the last axis, 1 the first after the batch")  # fmt: skip
    return places
