"""Runs a NumPy function with its operations recorded, and reruns it with one deliberately wrong derivative.

An operation whose result is replaced by base + (z - base of z) has the derivative 1 instead of its own; one replaced by
its base has none. The differences of such a run are the gradient of a backward pass with that mistake.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

LIBRARIES = (__file__, str(Path(np.__file__).parent))
CONSTANT = frozenset({"greater", "less", "greater_equal", "less_equal", "equal", "not_equal", "sign"})
MIXES = frozenset({"matmul", "vecdot", "matvec", "vecmat"})


class Operation(NamedTuple):
    """One operation: its name, the operation that it is an elementwise function of (or itself), and its result."""

    name: str
    root: int
    value: np.ndarray


Instead = Callable[[list[Operation]], np.ndarray]  # from the operations before it to its replacement


class Run:
    """One run: the operations so far, and those whose results are replaced."""

    def __init__(self, instead: Mapping[int, Instead] | None = None) -> None:
        self.operations: list[Operation] = []
        self.names: dict[int, str] = {}  # names of the user's variables, by operation
        self.instead = instead or {}

    def add(self, name: str, roots: list[int], shapes: list[Any], result: Any) -> Any:
        """Record a result, and return it as a recorded array."""
        if not isinstance(result, (np.ndarray, np.generic, float)):
            return result
        value, number = np.array(result), len(self.operations)  # a copy, since in-place operations may follow
        if number in self.instead:
            value = np.asarray(self.instead[number](self.operations))
        whole = [root for root, shape in zip(roots, shapes, strict=True) if shape == value.shape]
        alone = name not in MIXES and len(set(roots)) == 1 and whole and roots[0] >= 0
        self.operations.append(Operation(name, roots[0] if alone else number, value))
        recorded = value.copy().view(Recorded)
        recorded.run, recorded.node = self, number
        return recorded

    def watch(self, frame: Any, event: str, _: Any) -> None:
        """Record the names of the user's variables when one of the user's functions returns (for `sys.setprofile`)."""
        if event == "return" and not frame.f_code.co_filename.startswith(LIBRARIES):
            for name, value in frame.f_locals.items():
                if isinstance(value, Recorded) and value.run is self and value.node >= 0:
                    self.names.setdefault(value.node, name)


class Recorded(np.ndarray):
    """An array that reports every operation on it to its run."""

    run: Run | None
    node: int

    def __array_finalize__(self, obj: Any) -> None:
        self.run, self.node = getattr(obj, "run", None), -1

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **kwargs: Any) -> Any:
        arrays = [x for x in inputs if isinstance(x, Recorded)]
        plain = [_plain(x) for x in inputs]
        if out is not None:
            kwargs["out"] = tuple(_plain(x) for x in out)
            arrays = arrays or [x for x in out if isinstance(x, Recorded)]
        result = getattr(ufunc, method)(*plain, **kwargs)
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        return _record(arrays, name if method == "__call__" else "matmul", result, name)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        arrays = [x for x in _flat((args, tuple(kwargs.values()))) if isinstance(x, Recorded)]
        result = func(*_deep(args), **{key: _deep(value) for key, value in kwargs.items()})
        mixes = func is not np.where and func is not np.clip
        return _record(arrays, "matmul" if mixes else func.__name__, result, func.__name__)


def _record(arrays: list[Recorded], kind: str, result: Any, name: str) -> Any:
    run = next((array.run for array in arrays if array.run is not None), None)
    if run is None:
        return result
    roots, shapes = [], []
    for array in arrays:
        root = run.operations[array.node].root if array.node >= 0 else -1
        if root >= 0 and run.operations[root].name in CONSTANT:
            continue
        roots.append(root)
        shapes.append(array.shape)
    recorded = run.add(kind, roots or [-1], shapes or [()], result)
    if isinstance(recorded, Recorded):
        run.operations[-1] = run.operations[-1]._replace(name=name)
    return recorded


def leaf(value: np.ndarray, run: Run) -> Recorded:
    """Return a parameter as a recorded array of a run."""
    recorded = np.array(value).view(Recorded)
    recorded.run = run
    return recorded


def named(run: Run, call: Callable[[], Any]) -> Any:
    """Make a call while the run records the names of variables."""
    previous = sys.getprofile()
    sys.setprofile(run.watch)
    try:
        return call()
    finally:
        sys.setprofile(previous)


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, Recorded) else value


def _deep(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return type(value)(_deep(item) for item in value)
    return _plain(value)


def _flat(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        for item in value:
            yield from _flat(item)
    else:
        yield value
