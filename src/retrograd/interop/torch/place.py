"""Lines of the user's program: where a call comes from, and the source code around it."""

from __future__ import annotations

import ast
import contextlib
import inspect
import linecache
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import torch

_FOREIGN = (
    str(Path(__file__).parent) + os.sep,
    str(Path(torch.__file__).parent) + os.sep,
    contextlib.__file__,
    "<frozen",
)


FRAMES_OWN = 3  # references to a snapshot that only its frame holds: the frame, a local variable, the argument


class Place(NamedTuple):
    """A line of the user's program."""

    file: str
    line: int

    def __str__(self) -> str:
        relative = os.path.relpath(self.file) if os.path.isabs(self.file) else self.file
        return f"{self.file if relative.startswith('..') else relative}:{self.line}"

    @property
    def text(self) -> str:
        """The source line without its indentation; empty if there is no source."""
        return linecache.getline(self.file, self.line).strip()


def caller() -> FrameType | None:
    """Return the innermost frame that belongs neither to PyTorch nor to the doctor."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_FOREIGN):
        frame = frame.f_back  # type: ignore[assignment]
    return frame


def variables(frame: FrameType) -> list[Any]:
    """Return the values of a frame's variables without leaving a snapshot of them behind.

    Up to Python 3.12, `f_locals` of a function fills a dictionary that lives as long as the frame, and so does every
    tensor in it. If the user holds that dictionary, by `locals()`, it is not cleared.
    """
    snapshot = frame.f_locals
    values = list(snapshot.values())
    optimized = frame.f_code.co_flags & inspect.CO_OPTIMIZED
    if optimized and isinstance(snapshot, dict) and sys.getrefcount(snapshot) <= FRAMES_OWN:
        snapshot.clear()
    return values


def within(*files: str) -> bool:
    """Return whether a function from one of these PyTorch files is running."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.endswith(files):
            return True
        frame = frame.f_back
    return False


def call_site() -> tuple[tuple[str, int], ...]:
    """Return the user's calls on the stack with their bytecode offsets, which distinguish two calls on one line."""
    calls, frame = [], caller()
    while frame is not None:
        calls.append((frame.f_code.co_filename, frame.f_lasti))
        frame = frame.f_back
    return tuple(calls)


def here() -> Place | None:
    """Return the user's line that is running."""
    frame = caller()
    return None if frame is None else Place(frame.f_code.co_filename, frame.f_lineno)


def assigned(place: Place | None, method: str) -> Place | None:
    """Return where the object whose `method` is called at a place was made: the nearest assignment above it.

    For `loss.backward()` it is the line `loss = ...`.
    """
    if place is None:
        return None
    for call in _calls(place.file):
        if not call.lineno <= place.line <= (call.end_lineno or call.lineno):
            continue
        if isinstance(call.func, ast.Attribute) and call.func.attr == method and isinstance(call.func.value, ast.Name):
            name = call.func.value.id
            lines = [line for line, names in _assignments(place.file) if name in names and line <= place.line]
            return Place(place.file, max(lines)) if lines else None
    return None


def called(file: str, wanted: Callable[[str], bool]) -> list[Place]:
    """Return the lines of a file that call a function whose name is wanted."""
    return [Place(file, call.lineno) for call in _calls(file) if wanted(_name(call.func))]


def _tree(file: str) -> ast.AST:
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):  # cells with magic commands, generated sources
        return ast.Module(body=[], type_ignores=[])


def _calls(file: str) -> Iterator[ast.Call]:
    return (node for node in ast.walk(_tree(file)) if isinstance(node, ast.Call))


def _assignments(file: str) -> Iterator[tuple[int, set[str]]]:
    for node in ast.walk(_tree(file)):
        targets = node.targets if isinstance(node, ast.Assign) else []
        names = {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
        if names:
            yield node.lineno, names  # type: ignore[attr-defined]


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
