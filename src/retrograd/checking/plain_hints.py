"""How a wrong gradient of a NumPy function is related to the right one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from retrograd.checking.recorded import CONSTANT, Instead, Operation, Run, leaf, named
from retrograd.checking.slips import (
    close,
    masked,
    misplaced,
    nothing,
    of_shape,
    part_of,
    sign_or_factor,
    size_and_direction,
)

STEP = 1e-5
TRIED = 12  # entries of an array that a mistake inside the function must explain
SAME = 1e-5  # relative; compares differences with differences
MOST_OPERATIONS = 400


class Case(NamedTuple):
    """A loss, its parameters, the claimed gradients, and the differences (NaN at corners) at the chosen entries."""

    run: Callable[[list[Any]], Any]
    arrays: list[np.ndarray]
    names: tuple[str, ...]
    claimed: list[np.ndarray]
    chosen: list[np.ndarray]
    differences: list[np.ndarray]
    around: dict[str, np.ndarray]


def hint(case: Case, i: int) -> str:
    """Describe the likely mistake in a wrong gradient."""
    claimed, array = case.claimed[i], case.arrays[i]
    whole = len(case.chosen[i]) == array.size and not np.isnan(case.differences[i]).any()
    right = case.differences[i].reshape(array.shape) if whole else case.differences[i]
    if claimed.shape != array.shape:
        return of_shape(claimed, right) if whole else f"its shape is {list(claimed.shape)}"
    mine = claimed if whole else claimed.reshape(-1)[case.chosen[i]]
    known = ~np.isnan(right)
    if words := nothing(mine):
        return words
    words = sign_or_factor(mine[known], right[known], _counts(case))
    words = words or (_in_place(case, i, mine, right) if whole else "")
    value = array if whole else array.reshape(-1)[case.chosen[i]]
    words = words or part_of(mine[known], right[known], value[known]) or next(_inside(case, i), "")
    words = words or masked(mine[known], right[known])
    return words or size_and_direction(mine[known], right[known])


def _counts(case: Case) -> dict[int, str]:
    """Return the lengths over which a mean may have been taken."""
    counts: dict[int, str] = {}
    for name, array in case.around.items():
        for axis, length in enumerate(array.shape):
            counts.setdefault(length, f"the {length} rows of {name}" if axis == 0 else f"axis {axis} of {name}")
        counts.setdefault(array.size, f"all {array.size} entries of {name}")
    return counts


def _in_place(case: Case, i: int, mine: np.ndarray, right: np.ndarray) -> str:
    """The right numbers in the wrong places, or the gradient of another parameter."""
    if words := misplaced(mine, right):
        return words
    for j, name in enumerate(case.names):
        is_complete = len(case.chosen[j]) == case.arrays[j].size
        if j != i and is_complete and case.arrays[j].shape == mine.shape:
            other = case.differences[j].reshape(mine.shape)
            if close(mine, other):
                return f"it is the gradient of {name}"
    return ""


def _inside(case: Case, i: int) -> Iterator[str]:
    """Yield mistakes inside the function that would give this gradient: omitted, misplaced or truncated derivatives."""
    try:
        base = _recorded(case, Run())
        run = Run()
        named(run, lambda: case.run([leaf(array, run) for array in case.arrays]))
    except Exception:  # a function that needs plain arrays: other hints apply
        return
    if len(base.operations) > MOST_OPERATIONS or not base.operations:
        return
    factors = [1.0, 2.0, 0.5, *(factor for n in _counts(case) for factor in (n, 1 / n))]
    for words, instead in _slips(base.operations, run.names):
        try:
            with np.errstate(all="ignore"):
                ratio = _explains(case, i, instead)
        except Exception:  # the user's function may refuse the values that this mistake produces
            continue
        if ratio is not None and abs(ratio - 1) < SAME:
            yield words
        elif ratio is not None and any(abs(abs(ratio) / factor - 1) < SAME for factor in factors):
            yield f"{words}; and it is multiplied by {ratio:.6g}"


def _slips(operations: list[Operation], names: dict[int, str]) -> Iterator[tuple[str, dict[int, Instead]]]:
    """Yield possible mistakes, most likely first: derivatives omitted or misplaced, then paths omitted."""
    steps = [(op.root, a) for a, op in enumerate(operations) if op.root != a and op.name not in CONSTANT]
    known = [(z, a) for z, a in steps if _activation(operations[z].value, operations[a].value)]
    rest = [pair for pair in steps if pair not in known]
    for z, a in (*reversed(known), *reversed(rest)):
        before, after = operations[z].value, operations[a].value
        called = f" at {names[a]}" if a in names else f" (an array of shape {list(after.shape)})"
        words, kind, again = _activation(before, after) or ("the derivative of the activation", "", None)
        yield f"a factor is missing: {words}{called}", {a: _with_derivative(operations, z, a, 1.0)}
        if again is not None:
            yield (f"the derivative of {kind}{called} is evaluated at its output instead of its input",
                   {a: _with_derivative(operations, z, a, again)})  # fmt: skip
    if len(known) > 1:
        words = ", ".join(
            sorted({(_activation(operations[z].value, operations[a].value) or ("",))[0] for z, a in known})
        )
        yield f"a factor is missing everywhere: {words}", {a: _with_derivative(operations, z, a, 1.0) for z, a in known}
    sums: dict[tuple[int, ...], list[int]] = {}
    for k, operation in enumerate(operations):
        if "reduce" in operation.name and operation.value.size > 1:
            sums.setdefault(operation.value.shape, []).append(k)
    for shape, places in sums.items():
        if len(places) > 1:
            yield (f"terms are missing: sums of shape {list(shape)}, perhaps a mean and a variance, are constants",
                   {k: _constant(operations[k]) for k in places})  # fmt: skip
    for k, operation in reversed(list(enumerate(operations[:-1]))):
        name = f"{names[k]} ({operation.name})" if k in names else operation.name
        yield (f"a term is missing: {name} of shape {list(operation.value.shape)} is taken as a constant",
               {k: _constant(operation)})  # fmt: skip


def _with_derivative(operations: list[Operation], z: int, a: int, derivative: Any) -> Instead:
    """Return a replacement that gives an operation another derivative: base + derivative (z - base of z)."""
    before, after = operations[z].value, operations[a].value
    return lambda now: after + derivative * (now[z].value - before)


def _constant(operation: Operation) -> Instead:
    """Return a replacement that removes the derivative of an operation."""
    return lambda now: operation.value


def _activation(before: np.ndarray, after: np.ndarray) -> tuple[str, str, np.ndarray | None] | None:
    """Recognise an activation by its values; return its derivative and name, and its derivative taken at the output."""
    with np.errstate(over="ignore"):
        if close(after, 1 / (1 + np.exp(-before))):
            again = 1 / (1 + np.exp(-after))
            return "y (1 - y) of the sigmoid", "the sigmoid", again * (1 - again)
    if close(after, np.tanh(before)):
        return "1 - y^2 of tanh", "tanh", 1 - np.tanh(after) ** 2
    if close(after, np.maximum(before, 0)):
        return "(y > 0) of relu", "relu", None
    return None


def _recorded(case: Case, run: Run) -> Run:
    case.run([leaf(array, run) for array in case.arrays])
    return run


def _explains(case: Case, i: int, instead: dict[int, Instead]) -> float | None:
    """Return the ratio of the claimed gradient to the differences of a run with this mistake, if it is constant."""
    flat = case.claimed[i].reshape(-1)
    spots = case.chosen[i][~np.isnan(case.differences[i])]
    spots = spots[np.linspace(0, len(spots) - 1, min(TRIED, len(spots))).astype(int)]
    quotients = []
    for place in spots:
        ends = []
        h = STEP * max(1.0, abs(float(case.arrays[i].reshape(-1)[place])))
        for sign in (1, -1):
            arrays = [array.copy() for array in case.arrays]
            arrays[i].reshape(-1)[place] += sign * h
            run = Run(instead)
            ends.append(float(np.asarray(case.run([leaf(array, run) for array in arrays]))))
        quotients.append((ends[0] - ends[1]) / (2 * h))
    wrong, mine = np.array(quotients), flat[spots]
    power = float(np.vdot(wrong, wrong))
    ratio = float(np.vdot(mine, wrong)) / power if power else 1.0
    free = len(spots) > 3 and abs(ratio) > SAME  # with few entries, a free factor fits too easily
    ratio = ratio if free else 1.0
    return ratio if float(np.linalg.norm(ratio * wrong - mine)) <= SAME * float(np.linalg.norm(mine)) else None
