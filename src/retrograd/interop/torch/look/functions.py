"""User-defined `autograd.Function`s in the graph: their backward is checked against differences, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from retrograd.base.errors import RetrogradError
from retrograd.interop.torch.gradient import check
from retrograd.interop.torch.nested import tensors

# limits on the cost: nodes of the graph, entries of an input, rows and entries that are checked
MOST_NODES, MOST_ENTRIES, ROWS, ENTRIES = 4096, 1 << 14, 2, 12


class OwnFunction(NamedTuple):
    """A function whose backward is wrong."""

    name: str
    file: str
    line: int
    error: float
    hint: str


class Functions:
    """Finds user-defined functions in the first graph, keeps inputs of their next call, and checks them on demand."""

    def __init__(self) -> None:
        self.inputs: dict[type, tuple[Any, ...]] = {}
        self._undo: list[Callable[[], None]] = []
        self._judged: dict[type, OwnFunction | None] = {}

    def find(self, losses: Any) -> None:
        """Walk the graph of the losses, and intercept the functions in it."""
        visited: set[Any] = set()
        todo = [loss.grad_fn for loss in tensors(losses) if loss.grad_fn is not None]
        while todo and len(visited) < MOST_NODES:
            node = todo.pop()
            if node in visited:
                continue
            visited.add(node)
            todo += [following for following, _ in node.next_functions if following is not None]
            kind = getattr(type(node), "_forward_cls", None)
            if kind is not None and not kind.__module__.startswith("torch.") and kind not in self.inputs:
                self._listen(kind)

    def _listen(self, kind: Any) -> None:
        original, inputs = vars(kind).get("forward"), self.inputs
        if not isinstance(original, staticmethod):
            return
        forward = original.__func__
        without_context = kind.setup_context is not torch.autograd.Function.setup_context
        inputs[kind] = ()

        def heard(*args: Any, **kwargs: Any) -> Any:
            if not inputs[kind]:
                inputs[kind] = kept(args if without_context else args[1:])
            return forward(*args, **kwargs)

        kind.forward = staticmethod(heard)
        self._undo.append(lambda: setattr(kind, "forward", original))

    def leave(self) -> None:
        """Restore the classes."""
        while self._undo:
            self._undo.pop()()

    def wrong(self) -> list[OwnFunction]:
        """Return the functions whose backward is not the derivative of their forward."""
        for kind, inputs in self.inputs.items():
            if inputs and kind not in self._judged:
                self._judged[kind] = judged(kind, inputs)
        return [function for function in self._judged.values() if function is not None]


def kept(args: Any) -> tuple[Any, ...]:
    """Return copies of arguments; if the largest tensor is too large, a few rows of all tensors with as many rows."""
    arguments = [arg for arg in args if isinstance(arg, Tensor)]
    largest = max(arguments, key=Tensor.numel, default=None)
    is_large = largest is not None and largest.numel() > MOST_ENTRIES and largest.ndim > 0
    rows = len(largest) if is_large and largest is not None else -1
    return tuple(_part(arg, rows) if isinstance(arg, Tensor) else arg for arg in args)


def _part(x: Tensor, rows: int) -> Tensor:
    return (x[:ROWS] if x.ndim and len(x) == rows else x).detach().clone()


def judged(kind: Any, inputs: tuple[Any, ...]) -> OwnFunction | None:
    """Return the function if its backward is wrong; None if it is right, cannot be checked, or differs on purpose.

    On purpose: an identity that reverses, scales or clips gradients on their way back, and steps, whose derivative is 0
    and replaced by a straight-through or surrogate gradient. Functions that compute in less than float64 cannot be
    checked.
    """
    try:
        double = [x.double() if isinstance(x, Tensor) and x.is_floating_point() else x for x in inputs]
        with torch.no_grad():
            outputs = list(tensors(kind.apply(*double)))
        if any(y.is_floating_point() and y.dtype != torch.float64 for y in outputs):
            return None
        if any(torch.equal(x, y) for x in double if isinstance(x, Tensor) for y in outputs):
            return None
        report = check(kind, *double, entries=ENTRIES)
    except (RetrogradError, RuntimeError, ValueError, TypeError, IndexError):  # it does not run in float64
        return None
    if report.verdict != "wrong" or any(tensor.is_step for tensor in report.tensors):
        return None
    code = vars(kind)["backward"].__func__.__code__ if "backward" in vars(kind) else None
    place = (code.co_filename, code.co_firstlineno) if code is not None else ("", 0)
    hint = next((tensor.hint for tensor in report.tensors if tensor.verdict == "wrong" and tensor.hint), "")
    return OwnFunction(kind.__name__, place[0], place[1], report.error, hint)
