"""How much memory is available, and the error for too little of it."""

from __future__ import annotations

import contextlib
import os
import re
import resource
from collections.abc import Iterator
from pathlib import Path

from retrograd.base.errors import ResourceError

CURE = "reduce training.batch_size or the size of the network"


def available_bytes() -> int | None:
    """Return the bytes available on the default device; None if it does not report them."""
    import jax  # takes seconds to import, and verbs that compute nothing do not need it

    device = jax.local_devices()[0]  # `check_device` reports a missing device
    if device.platform != "cpu":
        stats = device.memory_stats() or {}
        return stats["bytes_limit"] - stats["bytes_in_use"] if "bytes_limit" in stats else None
    return host_bytes()


def host_bytes() -> int | None:
    """Return how many bytes this process can still allocate; None if the system does not report it."""
    return min((room for room in (_system_bytes(), _process_bytes()) if room is not None), default=None)


def require_room(needed: int, what: str, where: str, cure: str) -> None:
    """Refuse an allocation that cannot succeed, before a part of it fills the memory.

    Raises:  ResourceError if fewer than `needed` bytes are available
    """
    available = available_bytes()
    if available is not None and needed > available:
        raise ResourceError(f"{what} would take {needed:,} bytes, {available:,} are available", where=where, cure=cure)


def out_of_memory(needed: int | None, what: str = "") -> ResourceError:
    """Return the out-of-memory error, with the bytes needed and available."""
    available = available_bytes()
    message = "out of memory" if needed is None else f"out of memory: {what or 'one array'} needs {needed:,} bytes"
    limit = "" if available is None else f", {available:,} are available"
    return ResourceError(f"{message}{limit}", cure=CURE)


def check_device() -> None:
    """Raise ResourceError if JAX finds none of the requested devices (JAX_PLATFORMS=cuda)."""
    import jax

    try:
        jax.local_devices()
    except Exception as error:  # some are an AssertionError without a message
        platforms = os.environ.get("JAX_PLATFORMS", "")
        reason = str(error).partition("\n")[0]
        raise ResourceError(
            f"JAX does not find this device{f' ({reason})' if reason else ''}", where=f"JAX_PLATFORMS={platforms}",
            cure="unset JAX_PLATFORMS or set it to cpu; for a GPU install its driver and jax[cuda12]",
        ) from error  # fmt: skip


def memory_error(error: BaseException) -> ResourceError | None:
    """Convert an out-of-memory error of Python, NumPy or XLA to ResourceError; None for any other error."""
    text = str(error)
    if not isinstance(error, MemoryError) and not text.startswith("RESOURCE_EXHAUSTED"):  # from XLA
        return None
    bytes_named = re.search(r"([\d,]+) ?bytes", text)
    return out_of_memory(int(bytes_named[1].replace(",", "")) if bytes_named else None)


@contextlib.contextmanager
def memory_told() -> Iterator[None]:
    """Raise ResourceError if the body runs out of memory."""
    try:
        yield
    except Exception as error:
        shortage = memory_error(error)
        if shortage is None:
            raise
        raise shortage from error


def _system_bytes() -> int | None:
    with contextlib.suppress(OSError):  # not Linux
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _process_bytes() -> int | None:
    """Return how many more bytes `ulimit -v` allows this process; None without a limit."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    return max(0, limit - used)
