"""Keeps errors of the doctor out of the user's loop."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol

import torch

from retrograd.interop.torch.journal import Journal


class Guarded(Protocol):
    """An object with a journal."""

    journal: Journal


def guarded(method: Callable[..., None]) -> Callable[..., None]:
    """Run a method on plain tensors, and write its errors into the journal instead of raising them."""

    @functools.wraps(method)
    def run(self: Guarded, *args: Any) -> None:
        try:
            with torch._C.DisableTorchFunction():  # the doctor's own computations are not observed
                method(self, *args)
        except Exception as error:
            self.journal.trouble.append(f"{method.__name__}: {error!r}")

    return run
