"""Hooks that stay behind when a watched model is copied or saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class Nothing:
    """What a hook becomes in a copy or a file."""

    def __call__(self, *args: Any) -> None:
        """Do nothing."""


class Hook:
    """A hook that a copy of the model does not copy, and that a compiled model does not hold."""

    def __init__(self, run: Callable[..., None]) -> None:
        self.run = run

    def __call__(self, *args: Any) -> None:
        """Run, unless this is a compiler that reads the model."""
        if not torch.compiler.is_compiling():
            self.run(*args)

    def __deepcopy__(self, memo: Any) -> Nothing:
        return Nothing()

    def __reduce__(self) -> tuple[type[Nothing], tuple[()]]:
        return Nothing, ()
