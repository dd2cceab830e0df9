"""The packages of the extra `onnx`, imported on first use."""

from __future__ import annotations

import importlib
from typing import Any

from retrograd.base.errors import UsageError

MISSING_EXTRA = "pip install 'retrograd[onnx]'"


def onnx() -> Any:
    """Return the package onnx."""
    return _package("onnx")


def onnxruntime() -> Any:
    """Return the package onnxruntime."""
    return _package("onnxruntime")


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UsageError(f"the package {name} is not installed", cure=MISSING_EXTRA) from None
