"""Whether a view merely reshapes the numbers, or misuses a reshape to permute dimensions."""

from __future__ import annotations

import torch


def misplaced(before: torch.Size, after: torch.Size) -> bool:
    """Return whether a dimension keeps its size in a view but gets another stride, so that numbers are mixed.

    Right: (8, 3, 4) -> (8, 12). Wrong: (8, 5, 5, 3) -> (8, 3, 5, 5), which needs a permute.
    """
    old, new = _strides(before), _strides(after)
    return any(
        size in {length for length, _ in new} and (size, stride) not in new and size > 1
        for size, stride in old
        if not {s for length, s in old if length == size} & {s for length, s in new if length == size}
    )


def _strides(shape: torch.Size) -> list[tuple[int, int]]:
    strides, stride = [], 1
    for size in reversed(shape):
        strides.append((size, stride))
        stride *= size
    return strides
