"""What `retrograd --version --verbose` tells besides the version: what the numbers of a run depend on."""

from __future__ import annotations

import platform

import jax
import numpy as np

from retrograd.native.library import loaded


def details() -> str:
    """Return Python, the libraries that compute, the device, and which native kernels are active, or why none."""
    versions = f"Python {platform.python_version()}, jax {jax.__version__}, numpy {np.__version__}"
    return f"{versions}\ndevice: {jax.default_backend()}, {platform.machine()}\n{loaded()}"
