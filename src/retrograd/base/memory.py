"""Memory: how much there is, and the one error for not having enough of it."""

from __future__ import annotations

import contextlib
import os
import re
import resource
from collections.abc import Iterator
from pathlib import Path

from retrograd.base.errors import ResourceError

CURE = "lower training.batch_size, or the units of the network"


def available_bytes() -> int | None:
    """Return how many bytes the device that computes has left; None when it does not tell."""
    import jax  # seconds to import: not for verbs that compute nothing

    device = jax.local_devices()[0]  # `check_device` has told of one that is not there
    if device.platform != "cpu":
        stats = device.memory_stats() or {}
        return stats["bytes_limit"] - stats["bytes_in_use"] if "bytes_limit" in stats else None
    return host_bytes()


def host_bytes() -> int | None:
    """Return how many bytes this process can still take of the machine's memory; None where nothing tells."""
    return min((room for room in (_system_bytes(), _process_bytes()) if room is not None), default=None)


def require_room(needed: int, what: str, where: str, cure: str) -> None:
    """Refuse an allocation that cannot succeed, before a part of it fills the memory.

    Raises:  ResourceError when fewer than `needed` bytes are available
    """
    available = available_bytes()
    if available is not None and needed > available:
        raise ResourceError(f"{what} would take {needed:,} bytes, {available:,} are available", where=where, cure=cure)


def out_of_memory(needed: int | None, what: str = "") -> ResourceError:
    """Return the error that tells the bytes that were needed and those that there are."""
    available = available_bytes()
    words = "out of memory" if needed is None else f"out of memory: {what or 'one array'} needs {needed:,} bytes"
    there = "" if available is None else f", {available:,} are available"
    return ResourceError(f"{words}{there}", cure=CURE)


def check_device() -> None:
    """Raise ResourceError where JAX finds none of the devices that it was told to use (JAX_PLATFORMS=cuda)."""
    import jax

    try:
        jax.local_devices()
    except Exception as error:  # an AssertionError without a word among them
        wanted = os.environ.get("JAX_PLATFORMS", "")
        reason = str(error).partition("\n")[0]
        raise ResourceError(
            f"JAX finds no such device here{f' ({reason})' if reason else ''}", where=f"JAX_PLATFORMS={wanted}",
            cure="unset JAX_PLATFORMS or set it to cpu; for a GPU install its driver and jax[cuda12]",
        ) from error  # fmt: skip


def memory_error(error: BaseException) -> ResourceError | None:
    """Return the ResourceError that an error of Python, NumPy or XLA stands for; None for any other error."""
    text = str(error)
    if not isinstance(error, MemoryError) and not text.startswith("RESOURCE_EXHAUSTED"):  # XLA's word for it
        return None
    bytes_named = re.search(r"([\d,]+) ?bytes", text)
    return out_of_memory(int(bytes_named[1].replace(",", "")) if bytes_named else None)


@contextlib.contextmanager
def memory_told() -> Iterator[None]:
    """Raise ResourceError where the body runs out of memory."""
    try:
        yield
    except Exception as error:
        told = memory_error(error)
        if told is None:
            raise
        raise told from error


def _system_bytes() -> int | None:
    with contextlib.suppress(OSError):  # not a Linux
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _process_bytes() -> int | None:
    """Return what `ulimit -v` leaves to this process."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    return max(0, limit - used)
