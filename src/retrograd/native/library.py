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


depends_on(active)


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
        library = _open()
        if library.retrograd_digest().decode() != build.digest():
            return Loaded(reason=f"built from other sources; {REBUILD} builds them anew")
        return _choose(library, setting)
    except (OSError, AttributeError, jax.errors.JaxRuntimeError) as error:
        return Loaded(reason=f"{build.LIBRARY.name} does not load: {str(error).partition(chr(10))[0]}")


def _open() -> ctypes.CDLL:
    library = ctypes.CDLL(str(build.LIBRARY.absolute()))
    library.retrograd_digest.restype = library.retrograd_variant.restype = ctypes.c_char_p
    return library


def variants(library: ctypes.CDLL) -> dict[str, int]:
    """Return the numbers of the variants in a library that this processor runs, the plainest first."""
    names = {library.retrograd_variant(i).decode(): i for i in range(library.retrograd_variants())}
    return {name: i for name, i in names.items() if library.retrograd_runs_here(i)}


def able() -> tuple[str, ...]:
    """Return the names of the variants that this processor runs, the plainest first; none without a library."""
    return tuple(variants(_open())) if build.LIBRARY.is_file() else ()


def _choose(library: ctypes.CDLL, setting: str) -> Loaded:
    """Register the kernels of the best variant that this processor runs, or of the one that is asked for."""
    here = variants(library)
    if setting not in ("", "on", *here):
        raise UsageError(f"{VARIABLE}={setting}: expected off, or one of {', '.join(here)}")
    if not here:
        return Loaded(reason="this processor runs none of the variants")
    name = [*here][-1] if setting in ("", "on") else setting
    library.retrograd_choose(here[name])
    for target in TARGETS:
        capsule = jax.ffi.pycapsule(getattr(library, f"retrograd_{target}"))
        jax.ffi.register_ffi_target(f"retrograd_{target}", capsule, platform="cpu")
    return Loaded(name)
