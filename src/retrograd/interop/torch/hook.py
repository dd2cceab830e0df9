"""Hooks that stay behind when a watched model is copied or saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


def compiled(module: nn.Module) -> bool:
    """Return whether a compiler takes the place of the module's own call; hooks would change what it makes of it."""
    return getattr(module, "_compiled_call_impl", None) is not None or "_orig_mod" in module._modules


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
