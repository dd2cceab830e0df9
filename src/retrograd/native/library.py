"""The shared library of native kernels: whether it is there, which variant this processor runs, and the switch."""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import jax

from retrograd.base.errors import UsageError
from retrograd.native import build

VARIABLE = "RETROGRAD_KERNELS"  # off; or the variant to use, such as x86_64_v3
OFF = ("off", "0", "no", "false")
REBUILD = "python -m retrograd.native.build"
TARGETS = ("convolve", "data_gradient", "weight_gradient")
_LOCK = threading.Lock()
_wanted: ContextVar[bool] = ContextVar("native_kernels", default=True)


class Loaded(NamedTuple):
    """The variant that runs here, or why none does."""

    variant: str = ""
    reason: str = ""

    def __str__(self) -> str:
        return f"native kernels: {self.variant}" if self.variant else f"native kernels: off ({self.reason})"


@contextmanager
def kernels(wanted: bool) -> Iterator[None]:
    """Let what is traced inside use native kernels where there are some, or XLA's formulas alone.

    The choice becomes part of a compiled program: a function that was traced before keeps its own.
    """
    token = _wanted.set(wanted and _wanted.get())
    try:
        yield
    finally:
        _wanted.reset(token)


def active() -> bool:
    """Tell whether a program that is traced now may call kernels: wanted, loaded, and for the CPU."""
    return _wanted.get() and jax.default_backend() == "cpu" and bool(loaded().variant)


def loaded() -> Loaded:
    """Return which variant was loaded, or why none was; the library is looked for once in a process."""
    with _LOCK:
        return _load()


@functools.cache
def _load() -> Loaded:
    setting = os.environ.get(VARIABLE, "").strip().lower()
    if setting in OFF:
        return Loaded(reason=f"{VARIABLE}={setting}")
    if not build.LIBRARY.is_file():
        return Loaded(reason=f"not built; {REBUILD} builds them where there is a C++ compiler")
    try:
        library = ctypes.CDLL(str(build.LIBRARY))
        library.retrograd_digest.restype = library.retrograd_variant.restype = ctypes.c_char_p
        if library.retrograd_digest().decode() != build.digest():
            return Loaded(reason=f"built from other sources; {REBUILD} builds them anew")
        return _choose(library, setting)
    except (OSError, AttributeError, jax.errors.JaxRuntimeError) as error:
        return Loaded(reason=f"{build.LIBRARY.name} does not load: {str(error).partition(chr(10))[0]}")


def _choose(library: ctypes.CDLL, setting: str) -> Loaded:
    """Register the kernels of the best variant that this processor runs, or of the one that is asked for."""
    names = [library.retrograd_variant(i).decode() for i in range(library.retrograd_variants())]
    if setting and setting not in ("on", *names):
        raise UsageError(f"{VARIABLE}={setting}: expected off, or one of {', '.join(names)}")
    able = [i for i, name in enumerate(names) if library.retrograd_runs_here(i) and setting in ("", "on", name)]
    if not able:
        return Loaded(reason=f"this processor does not run {setting or names[0]}")
    library.retrograd_choose(able[-1])
    for target in TARGETS:
        capsule = jax.ffi.pycapsule(getattr(library, f"retrograd_{target}"))
        jax.ffi.register_ffi_target(f"retrograd_{target}", capsule, platform="cpu")
    return Loaded(names[able[-1]])
