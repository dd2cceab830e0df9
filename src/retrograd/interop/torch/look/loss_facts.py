"""What a loss function receives: probabilities, log-probabilities, or plain numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from retrograd.interop.torch.journal import LossCall
from retrograd.interop.torch.look.floor import made_by
from retrograd.interop.torch.look.later import copied
from retrograd.interop.torch.place import Place

ROWS_READ = 4096  # maximum number of rows read per batch


def read_loss(
    kind: str, place: Place | None, prediction: Tensor, target: Tensor, result: Any, options: Any
) -> Callable[[], LossCall]:
    """Return a deferred reading of a loss call."""
    shapes = tuple(prediction.shape), tuple(target.shape)
    dtypes = str(prediction.dtype).removeprefix("torch."), str(target.dtype).removeprefix("torch.")
    facts = frozenset({"summed"} if options.get("reduction") == "sum" else ())
    facts |= {"after_sigmoid"} if made_by(prediction.grad_fn, ("Sigmoid", "Softmax")) else set()
    value = result.detach().mean() if isinstance(result, Tensor) else math.nan
    read = copied(prediction.detach()[:ROWS_READ], lambda values: (facts.union(_facts(values)), float(values.min())))
    return lambda: LossCall(kind, place, *shapes, *dtypes, *read(), float(value))


def _facts(values: Tensor) -> list[str]:
    """Return facts about the numbers: class probabilities, their logarithms, or numbers from 0 to 1."""
    values = values.to(torch.float32)
    spacing = precision(values)
    low, high = float(values.min()), float(values.max())
    facts = ["unit_interval"] if low >= 0 and high <= 1 else []
    if values.ndim < 2 or values.shape[1] < 2:
        return facts
    if low >= 0 and _near(values.sum(1), 1.0, spacing):
        facts.append("probabilities")
    # rounding may raise the logarithm of 1 above 0
    if high <= 1e-6 and any(_logs_along(values, axis, spacing) for axis in {1, values.ndim - 1}):
        facts.append("log_probabilities")
    by_column = values.sum(0) if low >= 0 else values.logsumexp(0)
    if (
        len(values) > 1
        and _near(by_column, 1.0 if low >= 0 else 0.0, spacing * (1 + math.log(len(values))))
        and not facts[1:]
    ):
        facts.append("columns_sum_to_one")
    return facts


def _logs_along(values: Tensor, axis: int, spacing: float) -> bool:
    return _near(values.logsumexp(axis), 0.0, spacing * (1 + math.log(values.shape[axis])))


def precision(values: Tensor) -> float:
    """Return the relative spacing of the narrowest type that represents all values exactly; 0 for float32."""
    for dtype in (torch.bfloat16, torch.float16):
        if bool((values.to(dtype).to(torch.float32) == values).all()):
            return float(torch.finfo(dtype).eps)
    return 0.0


def _near(values: Tensor, expected: float, spacing: float) -> bool:
    """Return whether sums are as expected up to rounding.

    The error of a sum of probabilities p is at most their spacing; that of log(sum(exp(l))) is spacing * sum(p |l|),
    and sum(p |l|) is an entropy, at most the logarithm of the number of classes.
    """
    return bool(((values - expected).abs() < 1e-3 + spacing).all())  # rounding of the sum, and of the type
