"""Hooks that are left behind when a watched model is copied or saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


def compiled(module: nn.Module) -> bool:
    """Return whether a module is compiled; hooks would change the compiled code."""
    return getattr(module, "_compiled_call_impl", None) is not None or "_orig_mod" in module._modules


class Nothing:
    """What becomes of a hook in a copy or a file."""

    def __call__(self, *args: Any) -> None:
        """Do nothing."""


class Hook:
    """A hook that is not copied with the model, and that compiled code does not include."""

    def __init__(self, run: Callable[..., None]) -> None:
        self.run = run

    def __call__(self, *args: Any) -> None:
        """Run, unless a compiler is tracing the model."""
        if not torch.compiler.is_compiling():
            self.run(*args)

    def __deepcopy__(self, memo: Any) -> Nothing:
        return Nothing()

    def __reduce__(self) -> tuple[type[Nothing], tuple[()]]:
        return Nothing, ()
