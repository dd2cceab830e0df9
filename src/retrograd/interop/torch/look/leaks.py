"""Forbidden dependencies of an output: on later inputs that contain its answer, and on other rows of the batch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

LEAST = 4  # minimum number of rows, and of steps in a sequence
NEAR = 1e-6  # share of the largest dependence below which one is rounding


class Leak(NamedTuple):
    """A leak: `later` (an output sees the input that is its answer), `copied` (targets are the inputs), or `rows`."""

    kind: str
    at: int
    strength: float


def leaks(model: nn.Module, x: Tensor, first: Tensor, y: Tensor, target: Tensor) -> Leak | None:
    """Return a leak of this pass, found by an extra backward pass from one output to the model's first results."""
    if any(isinstance(module, _BatchNorm) and module.training for module in model.modules()):
        return None  # it mixes rows and steps by design
    if any(module._backward_hooks or module._backward_pre_hooks for module in model.modules()):
        return None  # the user's hooks would run
    sequence = _sequence(x, target)
    if sequence is not None:
        return _in_time(x, first, y, *sequence)
    return _between_rows(x, first, y, target)


def _sequence(x: Tensor, target: Tensor) -> tuple[int, bool] | None:
    """Return the time axis, and whether targets are the inputs unshifted; None if they are not inputs at all."""
    tokens = x.ndim == 2 and not x.is_floating_point() and not target.is_floating_point()
    numbers = x.ndim == 3 and x.is_floating_point() and target.is_floating_point()
    if not (tokens or numbers) or target.numel() != x.numel():
        return None
    shaped = target.reshape(x.shape)
    for axis in (1, 0):
        length = x.shape[axis]
        if length >= LEAST and torch.equal(shaped.narrow(axis, 0, length - 1), x.narrow(axis, 1, length - 1)):
            return axis, False
    return (1, True) if tokens and x.shape[1] >= LEAST and torch.equal(shaped, x) else None


def _in_time(x: Tensor, first: Tensor, y: Tensor, axis: int, same: bool) -> Leak | None:
    if first.shape[:2] != x.shape[:2]:
        return None
    outputs = y if y.shape[:2] == x.shape[:2] else y.reshape(*x.shape[:2], -1)
    middle, length = x.shape[axis] // 2, x.shape[axis]
    slope = _slope(outputs.select(axis, middle), first)
    if slope is None:
        return None
    later = slope.narrow(axis, middle + 1, length - middle - 1)
    share = float(later.abs().max() / slope.abs().max())
    if same:
        return Leak("copied", middle, share) if share <= NEAR else None
    return Leak("later", middle, share) if share > NEAR else None


def _between_rows(x: Tensor, first: Tensor, y: Tensor, target: Tensor) -> Leak | None:
    n = len(x)
    rows = y.ndim == 2 and len(y) == len(target) == len(first) == n >= LEAST and y.shape[1] != n
    if not rows or target.numel() not in (n, y.numel()):
        return None
    slope = _slope(y[n // 2], first)
    if slope is None:
        return None
    sizes = slope.reshape(n, -1).abs().amax(1)
    others = torch.cat([sizes[: n // 2], sizes[n // 2 + 1 :]])
    share = float(others.max() / sizes.max())
    return Leak("rows", n // 2, share) if share > NEAR else None


def _slope(output: Tensor, first: Tensor) -> Tensor | None:
    """Return the derivative of a weighted sum of the output; a plain sum of softmax would have none."""
    weights = torch.linspace(0.5, 1.5, output.numel(), dtype=output.dtype, device=output.device).reshape(output.shape)
    grad = getattr(torch.autograd.grad, "__wrapped__", torch.autograd.grad)  # not to be observed as the user's call
    (slope,) = grad((output * weights).sum(), [first], retain_graph=True, allow_unused=True)
    return None if slope is None or not bool(slope.any()) else slope.detach()
