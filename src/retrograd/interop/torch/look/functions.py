"""The user's own `autograd.Function`s in the graph: their backward is compared with differences, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from retrograd.base.errors import RetrogradError
from retrograd.interop.torch.gradient import check
from retrograd.interop.torch.nested import tensors

# bounds of the cost: nodes of the graph, entries of an input, rows and entries that are tried
MOST_NODES, MOST_ENTRIES, ROWS, ENTRIES = 4096, 1 << 14, 2, 12


class OwnFunction(NamedTuple):
    """A function whose backward is wrong."""

    name: str
    file: str
    line: int
    error: float
    hint: str


class Functions:
    """Finds them in a first graph, keeps the inputs of their next call, and judges them when somebody asks."""

    def __init__(self) -> None:
        self.inputs: dict[type, tuple[Any, ...]] = {}
        self._undo: list[Callable[[], None]] = []
        self._judged: dict[type, OwnFunction | None] = {}

    def find(self, given: Any) -> None:
        """Walk a graph, and listen to the functions in it."""
        seen: set[Any] = set()
        todo = [each.grad_fn for each in tensors(given) if each.grad_fn is not None]
        while todo and len(seen) < MOST_NODES:
            node = todo.pop()
            if node in seen:
                continue
            seen.add(node)
            todo += [following for following, _ in node.next_functions if following is not None]
            kind = getattr(type(node), "_forward_cls", None)
            if kind is not None and not kind.__module__.startswith("torch.") and kind not in self.inputs:
                self._listen(kind)

    def _listen(self, kind: Any) -> None:
        own, inputs = vars(kind).get("forward"), self.inputs
        if not isinstance(own, staticmethod):
            return
        forward = own.__func__
        apart = kind.setup_context is not torch.autograd.Function.setup_context
        inputs[kind] = ()

        def heard(*args: Any, **kwargs: Any) -> Any:
            if not inputs[kind]:
                inputs[kind] = kept(args if apart else args[1:])
            return forward(*args, **kwargs)

        kind.forward = staticmethod(heard)
        self._undo.append(lambda: setattr(kind, "forward", own))

    def leave(self) -> None:
        """Leave the classes as they were."""
        while self._undo:
            self._undo.pop()()

    def wrong(self) -> list[OwnFunction]:
        """Return those whose backward is not the derivative of their forward."""
        for kind, inputs in self.inputs.items():
            if inputs and kind not in self._judged:
                self._judged[kind] = judged(kind, inputs)
        return [found for found in self._judged.values() if found is not None]


def kept(args: Any) -> tuple[Any, ...]:
    """Return copies of arguments; of large tensors, some rows of those that have as many rows as the largest."""
    found = [arg for arg in args if isinstance(arg, Tensor)]
    whole = max(found, key=Tensor.numel, default=None)
    large = whole is not None and whole.numel() > MOST_ENTRIES and whole.ndim > 0
    rows = len(whole) if large and whole is not None else -1
    return tuple(_part(arg, rows) if isinstance(arg, Tensor) else arg for arg in args)


def _part(x: Tensor, rows: int) -> Tensor:
    return (x[:ROWS] if x.ndim and len(x) == rows else x).detach().clone()


def judged(kind: Any, inputs: tuple[Any, ...]) -> OwnFunction | None:
    """Return a wrong function. What is no derivative on purpose is right.

    That is: an identity, which reverses, scales or clips gradients on their way back; steps, whose derivative is 0 and
    for which a straight-through or surrogate gradient stands; what computes in less than float64 cannot be judged.
    """
    try:
        double = [x.double() if isinstance(x, Tensor) and x.is_floating_point() else x for x in inputs]
        with torch.no_grad():
            outputs = list(tensors(kind.apply(*double)))
        if any(y.is_floating_point() and y.dtype != torch.float64 for y in outputs):
            return None
        if any(torch.equal(x, y) for x in double if isinstance(x, Tensor) for y in outputs):
            return None
        found = check(kind, *double, entries=ENTRIES)
    except (RetrogradError, RuntimeError, ValueError, TypeError, IndexError):  # what has no form in float64
        return None
    if found.verdict != "wrong" or any(each.is_step for each in found.tensors):
        return None
    code = vars(kind)["backward"].__func__.__code__ if "backward" in vars(kind) else None
    place = (code.co_filename, code.co_firstlineno) if code is not None else ("", 0)
    hint = next((each.hint for each in found.tensors if each.verdict == "wrong" and each.hint), "")
    return OwnFunction(kind.__name__, place[0], place[1], found.error, hint)
