"""The shared library of native kernels: whether it is available, its variant for this processor, and the switch."""

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

from retrograd.base.compilation.programs import depends_on
from retrograd.base.errors import UsageError
from retrograd.native import build

VARIABLE = "RETROGRAD_KERNELS"  # off; or the variant to use, such as x86_64_v3
OFF = ("off", "0", "no", "false")
REBUILD = "python -m retrograd.native.build"
TARGETS = ("convolve", "data_gradient", "weight_gradient", "transposed_product", "recurrent_gradients",
           "lstm", "lstm_back", "gru", "gru_back", "attend", "attend_back")  # fmt: skip
_LOCK = threading.Lock()
_wanted: ContextVar[bool] = ContextVar("native_kernels", default=True)


class Loaded(NamedTuple):
    """The variant in use, or the reason why there is none."""

    variant: str = ""
    reason: str = ""

    def __str__(self) -> str:
        return f"native kernels: {self.variant}" if self.variant else f"native kernels: off ({self.reason})"


@contextmanager
def kernels(wanted: bool) -> Iterator[None]:
    """Let functions traced inside use native kernels if available, or only XLA's formulas.

    The choice becomes part of a compiled program: a function traced before is not affected.
    """
    token = _wanted.set(wanted and _wanted.get())
    try:
        yield
    finally:
        _wanted.reset(token)


def active() -> bool:
    """Return whether a program traced now may call kernels: switched on, loaded, and for the CPU."""
    return _wanted.get() and jax.default_backend() == "cpu" and bool(loaded().variant)


depends_on(active)


def loaded() -> Loaded:
    """Return the loaded variant, or why there is none; the library is searched once per process."""
    with _LOCK:
        return _load()


@functools.cache
def _load() -> Loaded:
    setting = os.environ.get(VARIABLE, "").strip().lower()
    if setting in OFF:
        return Loaded(reason=f"{VARIABLE}={setting}")
    if not build.LIBRARY.is_file():
        return Loaded(reason=f"not built; build them with {REBUILD} (needs a C++ compiler)")
    try:
        library = _open()
        if library.retrograd_digest().decode() != build.digest():
            return Loaded(reason=f"built from other sources; rebuild them with {REBUILD}")
        return _choose(library, setting)
    except (OSError, AttributeError, jax.errors.JaxRuntimeError) as error:
        return Loaded(reason=f"{build.LIBRARY.name} cannot be loaded: {str(error).partition(chr(10))[0]}")


def _open() -> ctypes.CDLL:
    library = ctypes.CDLL(str(build.LIBRARY.absolute()))
    library.retrograd_digest.restype = library.retrograd_variant.restype = ctypes.c_char_p
    return library


def variants(library: ctypes.CDLL) -> dict[str, int]:
    """Return the numbers of a library's variants that run on this processor, the most basic first."""
    names = {library.retrograd_variant(i).decode(): i for i in range(library.retrograd_variants())}
    return {name: i for name, i in names.items() if library.retrograd_runs_here(i)}


def able() -> tuple[str, ...]:
    """Return the names of the variants that run on this processor, the most basic first; empty without a library."""
    return tuple(variants(_open())) if build.LIBRARY.is_file() else ()


def _choose(library: ctypes.CDLL, setting: str) -> Loaded:
    """Register the kernels of the best variant for this processor, or of the requested one."""
    numbers = variants(library)
    if setting not in ("", "on", *numbers):
        raise UsageError(f"{VARIABLE}={setting}: expected off, or one of {', '.join(numbers)}")
    if not numbers:
        return Loaded(reason="no variant runs on this processor")
    name = [*numbers][-1] if setting in ("", "on") else setting
    library.retrograd_choose(numbers[name])
    for target in TARGETS:
        capsule = jax.ffi.pycapsule(getattr(library, f"retrograd_{target}"))
        jax.ffi.register_ffi_target(f"retrograd_{target}", capsule, platform="cpu")
    return Loaded(name)
