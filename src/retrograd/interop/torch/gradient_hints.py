"""What a wrong gradient of a module or function has in common with the right one."""

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
    """Return the slip that the numbers tell, or nothing.

    `found` and `right` are the entries tried; `value` is the tensor where these are all; `doubled` is the gradient when
    twice as much arrives at the outputs.
    """
    if gradient is None or not bool(gradient.any()):
        return "no gradient arrives here" if gradient is None else "it is 0 everywhere"
    if doubled is not None:
        again, once = doubled.detach().cpu().numpy(), gradient.detach().cpu().numpy()
        if close(again, once):
            return "it does not change with the incoming gradient: backward ignores grad_output"
        if not close(again, 2 * once):
            return "it is not proportional to the incoming gradient: grad_output must be a factor of every term"
    mine, wanted = found.numpy(), right.numpy()
    counts = {length: f"axis {axis} of this tensor" for axis, length in enumerate(shape)}
    words = sign_or_factor(mine, wanted, counts)
    if words or value is None:
        return words
    mine, wanted, x = (each.reshape(shape) for each in (mine, wanted, value.cpu().numpy()))
    return misplaced(mine, wanted) or statistics_as_constants(mine, wanted, x)


def diagonal_only(found: Tensor, right: Tensor) -> str:
    """Say so where a gradient is the incoming one times the diagonal of the Jacobian."""
    # what float64 leaves of exactly equal ones is far less
    if float((found - right).norm()) > 1e-6 * float(right.norm()):
        return ""
    return DIAGONAL
