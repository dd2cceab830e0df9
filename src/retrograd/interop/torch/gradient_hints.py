"""Hints on how a wrong gradient of a module or function differs from the right one."""

from __future__ import annotations

from torch import Tensor

from retrograd.checking.slips import DIAGONAL, close, misplaced, sign_or_factor, statistics_as_constants


def hint(
    found: Tensor,
    right: Tensor,
    value: Tensor | None,
    shape: tuple[int, ...],
    doubled: Tensor | None,
    gradient: Tensor | None,
) -> str:
    """Return the mistake that the numbers suggest, or an empty text.

    `found` and `right` are the checked entries; `value` is the tensor if these are all its entries; `doubled` is the
    gradient for a doubled incoming gradient.
    """
    if gradient is None or not bool(gradient.any()):
        return "no gradient arrives here" if gradient is None else "it is 0 everywhere"
    if doubled is not None:
        twice, once = doubled.detach().cpu().numpy(), gradient.detach().cpu().numpy()
        if close(twice, once):
            return "it does not change with the incoming gradient: backward ignores grad_output"
        if not close(twice, 2 * once):
            return "it is not proportional to the incoming gradient: grad_output must be a factor of every term"
    computed, expected = found.numpy(), right.numpy()
    counts = {length: f"axis {axis} of this tensor" for axis, length in enumerate(shape)}
    words = sign_or_factor(computed, expected, counts)
    if words or value is None:
        return words
    computed, expected, x = (array.reshape(shape) for array in (computed, expected, value.cpu().numpy()))
    return misplaced(computed, expected) or statistics_as_constants(computed, expected, x)


def diagonal_only(found: Tensor, right: Tensor) -> str:
    """Return a hint if a gradient is the incoming one times the diagonal of the Jacobian, else an empty text."""
    # equal ones differ by far less in float64
    if float((found - right).norm()) > 1e-6 * float(right.norm()):
        return ""
    return DIAGONAL
