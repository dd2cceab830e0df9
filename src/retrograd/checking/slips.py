"""Common mistakes that can be recognised from just two arrays: the claimed gradient and the right one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

SAME = 1e-6  # relative; the gap between equal and different formulas is wide


DIAGONAL = "only the diagonal of the Jacobian is used, but each output depends on all inputs of its row, as in softmax"


def close(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether two arrays are equal up to rounding, in norm; arrays of zeros never match."""
    a, b = np.asarray(a), np.asarray(b)
    size = max(float(np.linalg.norm(a)), float(np.linalg.norm(b)))
    return a.shape == b.shape and size > 0 and float(np.linalg.norm(a - b)) <= SAME * size


def of_shape(claimed: np.ndarray, right: np.ndarray) -> str:
    """For arrays of different shapes, describe which sum is missing or which axis is wrong."""
    shapes = f"its shape is {list(claimed.shape)}, that of the tensor {list(right.shape)}"
    extra = claimed.ndim - right.ndim
    if extra > 0 and close(claimed.sum(tuple(range(extra))), right):
        return f"{shapes}: the sum over the batch is missing"
    if claimed.ndim == right.ndim:
        axes = tuple(i for i in range(claimed.ndim) if right.shape[i] == 1 != claimed.shape[i])
        if axes and close(claimed.sum(axes, keepdims=True), right):
            return f"{shapes}: the sum over the broadcast axis {axes[0]} is missing"
    if claimed.shape == right.T.shape and close(claimed.T, right):
        return f"{shapes}: it is transposed"
    if claimed.size == right.size and close(claimed.ravel(), right.ravel()):
        return f"{shapes}: the numbers are right, but need the shape of the tensor"
    if another_axis(claimed, right):
        return f"{shapes}: it is summed over the wrong axis"
    return f"{shapes}: a sum or a transposition is missing"


def another_axis(claimed: np.ndarray, right: np.ndarray) -> bool:
    """Return whether these may be sums of one matrix over different axes, as for a bias summed wrongly."""
    vectors = max(claimed.shape, default=1) == claimed.size and max(right.shape, default=1) == right.size
    return vectors and not close(claimed.ravel(), right.ravel()) and close(claimed.sum(keepdims=True).ravel(),
                                                                         right.sum(keepdims=True).ravel())  # fmt: skip


def sign_or_factor(claimed: np.ndarray, right: np.ndarray, counts: Mapping[int, str]) -> str:
    """Name a wrong constant factor; `counts` maps the possible lengths of a mean to their meaning."""
    ratio = float(np.vdot(claimed, right) / max(float(np.vdot(right, right)), 1e-300))
    if not right.any() or not close(claimed, ratio * right):
        return ""
    if abs(ratio + 1) < SAME:
        return "the sign is wrong: it is -1 times what it should be"
    for count, words in counts.items():
        if count > 2 and abs(abs(ratio) * count - 1) < SAME:
            return _signed(f"it is 1/{count} of what it should be: a mean over {words} instead of a sum", ratio)
        if count > 2 and abs(abs(ratio) / count - 1) < SAME:
            return _signed(f"it is {count} times what it should be: a sum over {words} instead of a mean", ratio)
    if abs(abs(ratio) - 2) < SAME or abs(abs(ratio) - 0.5) < SAME:
        guess = (
            "the 2 from a squared error is missing" if abs(ratio) < 1 else "an extra 2, perhaps from a squared error"
        )
        return _signed(f"a factor is wrong: it is {abs(ratio):g} times what it should be ({guess})", ratio)
    return f"a factor is wrong: it is {ratio:.6g} times what it should be"


def _signed(words: str, ratio: float) -> str:
    return words if ratio > 0 else f"{words}, and the sign is wrong"


def transposed(claimed: np.ndarray, right: np.ndarray) -> str:
    """The transpose of the right gradient of a square matrix."""
    if right.ndim >= 2 and right.shape[-1] == right.shape[-2] and close(np.swapaxes(claimed, -1, -2), right):
        return "it is the transpose of what it should be"
    return ""


def unaligned(claimed: np.ndarray, right: np.ndarray) -> str:
    """The right numbers in the wrong places: shifted or reversed along an axis."""
    for axis in range(right.ndim):
        if right.shape[axis] > 1:
            if close(np.flip(claimed, axis), right):
                return f"it is reversed along axis {axis}"
            for shift in (1, -1):
                if close(np.roll(claimed, shift, axis), right):
                    return f"it is shifted by one along axis {axis}"
    return ""


def nothing(claimed: np.ndarray) -> str:
    """No gradient at all: 0 everywhere, or not finite."""
    if not np.isfinite(claimed).all():
        return "it is not finite"
    return "" if claimed.any() else "it is 0 everywhere"


def misplaced(claimed: np.ndarray, right: np.ndarray) -> str:
    """The right numbers in the wrong places: transposed, shifted, reversed, or summed over another axis."""
    if words := transposed(claimed, right) or unaligned(claimed, right):
        return words
    return wrong_axis(claimed, right)


def wrong_axis(claimed: np.ndarray, right: np.ndarray) -> str:
    """A bias gradient summed over its own axis instead of the batch."""
    return "it is summed over the wrong axis: only the total is right" if another_axis(claimed, right) else ""


def masked(claimed: np.ndarray, right: np.ndarray) -> str:
    """Equal (up to a factor) where neither is 0, but 0 in different places."""
    both = (claimed != 0) & (right != 0)
    ratio = float(np.vdot(claimed[both], right[both]) / np.vdot(right[both], right[both])) if both.any() else 1.0
    more, less = int(((claimed != 0) & (right == 0)).sum()), int(((claimed == 0) & (right != 0)).sum())
    if not (more or less) or not (right == 0).any():
        return ""
    if both.any() and not close(claimed[both], ratio * right[both]):
        return ""
    if more and not less:
        scaled = "" if abs(ratio - 1) < SAME else f", and the others lack a factor {1 / ratio:.6g}"
        return f"a mask is missing: {more} entries should be 0 but are not{scaled}"
    if less and not more:
        return f"a mask covers too much: {less} entries are 0 but should not be"
    return f"the wrong mask: {more} entries should be 0 but are not, {less} are 0 but should not be"


def part_of(claimed: np.ndarray, right: np.ndarray, value: np.ndarray) -> str:
    """A missing or extra term proportional to the tensor itself, such as the gradient of a penalty on it."""
    missing, power = right - claimed, float(np.vdot(value, value))
    share = float(np.vdot(missing, value)) / power if power else 0.0
    if value.size > 1 and abs(share) > SAME and close(missing, share * value):
        term = "a term is missing" if share > 0 else "an extra term"
        return f"{term}: {abs(share):.6g} times the tensor itself, as from a penalty on its squares"
    return ""


def size_and_direction(claimed: np.ndarray, right: np.ndarray) -> str:
    """No mistake is recognised: compare only size and direction."""
    length = float(np.linalg.norm(claimed) / max(float(np.linalg.norm(right)), 1e-300))
    cosine = float(np.vdot(claimed, right)) / max(float(np.linalg.norm(claimed) * np.linalg.norm(right)), 1e-300)
    return f"its norm is {length:.4g} times what it should be, cosine {cosine:.4f}"


def statistics_as_constants(claimed: np.ndarray, right: np.ndarray, value: np.ndarray) -> str:
    """The missing term is a + b value along some axes: the contribution of the mean and variance over them."""
    missing = right - claimed
    if value.shape != right.shape or not missing.any():
        return ""
    for axes in axes_of(right.ndim):
        if np.prod([right.shape[axis] for axis in axes]) < 4:  # two unknowns almost always fit two or three numbers
            continue
        centred = value - value.mean(axes, keepdims=True)
        power = (centred * centred).sum(axes, keepdims=True)
        slope = (missing * centred).sum(axes, keepdims=True) / np.where(power == 0, 1, power)
        level = missing.mean(axes, keepdims=True)
        along = ", ".join(str(axis) for axis in axes)
        if close(missing, level + slope * centred):
            if not slope.any() or float(np.linalg.norm(slope * centred)) <= SAME * float(np.linalg.norm(missing)):
                return f"a term is missing: a constant along axis {along}; is the mean over it taken as a constant?"
            return f"a term is missing: the mean and variance along axis {along} are taken as constants"
    return ""


def axes_of(count: int) -> Iterator[tuple[int, ...]]:
    """Yield sets of axes: single ones from the last to the first, then combinations of several."""
    yield from ((axis,) for axis in reversed(range(count)))
    if count > 2:
        yield tuple(range(count - 1))
        yield tuple(range(1, count))
        yield tuple(range(1, count - 1))
