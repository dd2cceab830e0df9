"""The doctor for PyTorch: `watch` observes any training loop, `check` tests any gradients.

Importing this package does not import PyTorch; the first use of one of its names does.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from retrograd.base.errors import UsageError

_HOMES = {"watch": "chart", "Chart": "chart", "check": "gradient", "faults": "faults"}
__all__ = ["Chart", "check", "faults", "watch"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    if importlib.util.find_spec("torch") is None:
        raise UsageError(
            "PyTorch is not installed", where=f"retrograd.torch.{name}", cure="pip install 'retrograd[torch]'"
        )
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
