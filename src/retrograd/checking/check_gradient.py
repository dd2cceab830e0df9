"""`check_gradient`: whether any function's gradients are those of its loss."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from retrograd.base.errors import NonFiniteError, UsageError
from retrograd.checking.gradient_report import GradientReport, TensorError
from retrograd.checking.plain_hints import Case, hint
from retrograd.checking.slopes import resolution, slope, verdict_of

SECONDS = 5.0  # time limit for the differences of all entries; if they take longer, a sample is checked
FEW = 24  # entries per tensor in a sample

Tree = Any  # arrays and numbers in dictionaries, lists and tuples


def check_gradient(
    loss: Callable[..., Any], grads: Any, params: Tree, *, entries: int | None = None, seed: int = 0
) -> GradientReport:
    """Compare gradients with central differences of a loss in float64, and name the likely mistake in a wrong one.

        error = |gradient - difference| / max(|gradient|, |difference|, round-off), over the entries checked

    `params` are NumPy arrays or numbers in dictionaries, lists or tuples, possibly nested. `loss(params)` returns the
    loss, alone or as the first of several values; `loss(*params)` works too, as does `loss()` for a function that reads
    the arrays itself. `grads` has the structure of `params`, or is a function that returns it, called like the loss.
    All entries are checked if that takes only seconds, otherwise a sample of every array; `entries` sets its size.

        report = rg.check_gradient(loss, backward, {"W": W, "b": b})
        print(report)
        assert report.ok

    Raises:  UsageError if the structures differ or the loss is not a number; NonFiniteError if it is not finite
    """
    names, values = zip(*_leaves(params, ""), strict=True) if any(True for _ in _leaves(params, "")) else ((), ())
    if not names:
        raise UsageError("no parameters", where="check_gradient", cure="check_gradient(loss, grads, params)")
    problem = _Problem(loss, params, list(values))
    middle = problem.value()
    claimed = problem.gradients(grads, names)
    limit = entries or problem.affordable()
    rng = np.random.default_rng(seed)
    chosen = [np.arange(x.size) if x.size <= limit else np.sort(rng.choice(x.size, limit, replace=False))
              for x in problem.arrays]  # fmt: skip
    differences = [problem.differences(i, at, middle) for i, at in enumerate(chosen)]
    case = Case(problem.run, problem.arrays, names, claimed, chosen, differences, problem.around())
    checks = tuple(_compared(case, i, middle) for i in range(len(names)))
    return GradientReport(checks, middle, problem.notes)


class _Problem:
    """The loss as a function of arrays in float64."""

    def __init__(self, loss: Callable[..., Any], params: Tree, values: list[Any]) -> None:
        if not callable(loss):
            raise UsageError(f"expected a function, found {type(loss).__name__}", where="loss")
        self.loss, self.params = loss, params
        self.call = _called(loss, params)
        self.arrays = [np.array(value, np.float64) for value in values]
        self.originals = values
        self.seconds = 0.0
        self.notes: tuple[str, ...] = ()

    def run(self, arrays: list[Any]) -> Any:
        """Return the loss for other arrays; those read by a function without arguments are changed in place."""
        if self.call == "nothing":
            return _first(self._in_place(arrays))
        tree = _rebuilt(self.params, iter(arrays))
        return _first(self.loss(*tree) if self.call == "spread" else self.loss(tree))

    def _in_place(self, arrays: list[Any]) -> Any:
        saved = [np.array(array) for array in self.originals]
        for original, value in zip(self.originals, arrays, strict=True):
            original[...] = np.asarray(value)
        try:
            return self.loss()
        finally:
            for original, value in zip(self.originals, saved, strict=True):
                original[...] = value

    def number(self, arrays: list[Any]) -> float:
        """Return the loss as a number."""
        value = np.asarray(self.run([array.copy() for array in arrays]))
        if value.size != 1 or value.dtype.kind not in "fiu":
            kind = f"an array of shape {list(value.shape)}" if value.size != 1 else f"a value of type {value.dtype}"
            raise UsageError(
                f"expected one number, found {kind}",
                where="loss",
                cure="return the mean or the sum over the rows",
            )
        if value.dtype in (np.float32, np.float16):
            self.notes = (f"the loss is computed in {value.dtype}: differences have at most three correct digits",)
        return float(value.ravel()[0])

    def value(self) -> float:
        """Return the loss at the point, computed twice to check that it is deterministic."""
        begin = time.perf_counter()
        first = self.number(self.arrays)
        self.seconds = time.perf_counter() - begin
        if not math.isfinite(first):
            raise NonFiniteError(f"the loss is {first}", where="loss", cure="check at a point where it is finite")
        if self.number(self.arrays) != first:
            raise UsageError(
                "two calls with the same parameters give different losses",
                where="loss",
                cure="draw random numbers (dropout, noise, rows) from a generator seeded inside the function",
            )
        return first

    def affordable(self) -> int:
        """Return the number of entries per array that can be checked in time."""
        total = sum(array.size for array in self.arrays)
        return max(FEW, total) if 2 * total * self.seconds <= SECONDS else FEW

    def differences(self, i: int, chosen: np.ndarray, middle: float) -> np.ndarray:
        """Return the difference quotients at some entries of an array; NaN at corners."""
        arrays = [array.copy() for array in self.arrays]
        flat = arrays[i].reshape(-1)

        def at(place: int, x: float) -> float:
            old, flat[place] = flat[place], x
            try:
                return self.number(arrays)
            finally:
                flat[place] = old

        slopes = [slope(lambda x, k=k: at(k, x), float(flat[k]), middle) for k in map(int, chosen)]  # type: ignore[misc]
        return np.array([math.nan if quotient is None else quotient for quotient in slopes])

    def gradients(self, grads: Any, names: tuple[str, ...]) -> list[np.ndarray]:
        """Return the gradients to check, in the order of the parameters."""
        if callable(grads):
            tree = _rebuilt(self.params, iter([array.copy() for array in self.arrays]))
            grads_of = grads() if self.call == "nothing" else grads(*tree) if self.call == "spread" else grads(tree)
        else:
            grads_of = grads
        if isinstance(grads_of, tuple) and len(grads_of) == 2 and _same_names(grads_of[1], names):
            grads_of = grads_of[1]  # (loss, gradients)
        if not _same_names(grads_of, names):
            names_found = [name for name, _ in _leaves(grads_of, "")]
            raise UsageError(
                f"expected gradients for {', '.join(names)}, found {', '.join(names_found) or 'none'}",
                where="grads",
                cure="return them in the structure of the parameters",
            )
        return [np.asarray(value, np.float64) for _, value in _leaves(grads_of, "")]

    def around(self) -> dict[str, np.ndarray]:
        """Return the arrays that the loss reads besides its parameters."""
        variables = inspect.getclosurevars(self.loss) if inspect.isfunction(self.loss) else None
        spaces: list[Mapping[Any, Any]] = [
            *([variables.nonlocals, variables.globals] if variables else []),
            dict(enumerate(getattr(self.loss, "args", ()))),
        ]
        return {str(name): value for space in spaces for name, value in space.items() if isinstance(value, np.ndarray)}


def _compared(case: Case, i: int, middle: float) -> TensorError:
    name, claimed, right, chosen = case.names[i], case.claimed[i], case.differences[i], case.chosen[i]
    shape = case.arrays[i].shape
    known = ~np.isnan(right)
    kinks = int((~known).sum())
    if claimed.shape != shape:
        return TensorError(name, shape, math.inf, len(chosen), kinks, hint=hint(case, i))
    mine, right = claimed.reshape(-1)[chosen][known], right[known]
    if not len(mine):
        return TensorError(name, shape, 0.0, 0, kinks)
    scale = max(float(np.linalg.norm(mine)), float(np.linalg.norm(right)), resolution(middle))
    error = float(np.linalg.norm(mine - right)) / scale
    error = math.inf if math.isnan(error) else error
    worst = int(np.argmax(np.nan_to_num(np.abs(mine - right), nan=math.inf)))
    at = tuple(int(k) for k in np.unravel_index(int(chosen[known][worst]), shape))
    words = hint(case, i) if verdict_of(error) in ("suspicious", "wrong") else ""
    return TensorError(name, shape, error, len(mine), kinks, at, float(mine[worst]), float(right[worst]), words)


def _called(loss: Callable[..., Any], params: Tree) -> str:
    """Return how the function takes its parameters: as one argument, as separate arguments, or not at all."""
    try:
        signature = inspect.signature(loss)
    except (TypeError, ValueError):
        return "whole"
    needed = [parameter for parameter in signature.parameters.values() if parameter.default is parameter.empty
              and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)]  # fmt: skip
    if not signature.parameters:
        return "nothing"
    if len(needed) > 1 and isinstance(params, (list, tuple)) and len(needed) == len(params):
        return "spread"
    if len(needed) > 1:
        raise UsageError(
            f"the loss takes {', '.join(parameter.name for parameter in needed)}, which do not match the parameters",
            where="loss",
            cure="wrap it: lambda params: loss(params, x, y)",
        )
    return "whole"


def _leaves(tree: Tree, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _leaves(value, f"{path}/{key}" if path else str(key))
    elif isinstance(tree, (list, tuple)):
        for i, value in enumerate(tree):
            yield from _leaves(value, f"{path}/{i}" if path else str(i))
    elif tree is not None:
        yield path or "params", tree


def _rebuilt(tree: Tree, values: Iterator[Any]) -> Tree:
    if isinstance(tree, Mapping):
        return {key: _rebuilt(value, values) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        parts = [_rebuilt(value, values) for value in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    if tree is None:
        return None
    value = next(values)
    return value if isinstance(tree, np.ndarray) or np.ndim(value) else value[()]


def _same_names(tree: Tree, names: tuple[str, ...]) -> bool:
    """Return whether a structure has leaves with exactly these names."""
    return [name for name, _ in _leaves(tree, "")] == list(names)


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, (tuple, list)) else value
