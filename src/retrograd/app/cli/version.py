"""The details of `retrograd --version --verbose`: whatever the numbers of a run depend on."""

from __future__ import annotations

import platform
from collections import Counter

import jax
import numpy as np

from retrograd.native.library import loaded


def details() -> str:
    """Return the versions of Python and its numerical libraries, the devices, and the native kernels or why none."""
    versions = f"Python {platform.python_version()}, jax {jax.__version__}, numpy {np.__version__}"
    return f"{versions}\n{devices()}\n{loaded()}"


def devices() -> str:
    """Return the devices that JAX finds, with their memory if known, and the processor of this machine."""
    backend, local = jax.default_backend(), jax.local_devices()
    if backend == "cpu":
        several = f" of {len(local)} devices" if len(local) > 1 else ""
        return f"device: cpu{several}, {platform.machine()}"
    kinds = Counter(f"{device.device_kind}{memory(device)}" for device in local)
    listed = ", ".join(f"{count} x {kind}" for kind, count in kinds.items())
    return f"device: {backend}: {listed}; programs compiled by XLA; host: {platform.machine()}"


def memory(device: jax.Device) -> str:
    """Return a device's memory in GiB as text, if the device reports it."""
    limit = (device.memory_stats() or {}).get("bytes_limit", 0)
    return f" ({limit / 2**30:.0f} GiB)" if limit else ""
