"""Compile the native kernels into one shared library beside this file: `python -m retrograd.native.build`.

Nothing depends on its success: without a compiler the XLA formulas are used, and one line says so. It needs only the
standard library (and the headers inside jaxlib), so that installers can run it before anything is installed.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

FOLDER = Path(__file__).parent
SOURCES = FOLDER / "kernels"
LIBRARY = Path(os.environ.get("RETROGRAD_KERNELS_LIBRARY") or FOLDER / "kernels.so")
FAMILIES = ("convolution", "winograd", "matrix", "recurrence", "attention")
COMPILERS = ("c++", "g++", "clang++")
TIMEOUT = 300  # seconds, for one file

# No -ffast-math: NaN and infinity must propagate. `-ffp-contract=fast` fuses a product and a sum into one operation
# with one rounding; dropping errno and traps changes no result.
FLAGS = ("-std=c++17", "-O3", "-fPIC", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math",
         "-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-psabi")  # fmt: skip
AVX512 = ("f", "vl", "bw", "dq", "cd")
VARIANTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {  # exactly the features that the library tests for
    "x86_64": {
        "x86_64_v2": ("-msse4.2",),
        "x86_64_v3": ("-mavx2", "-mfma"),
        "x86_64_v4": ("-mavx2", "-mfma", *(f"-mavx512{part}" for part in AVX512)),
    },
    "aarch64": {"arm64": ()},
}
SANITIZERS = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer", "-g")


class Unavailable(Exception):
    """Why no kernels can be built here, in one line."""


def digest() -> str:
    """Return a digest that identifies a build: its sources, and how they are compiled."""
    sums = hashlib.sha256(repr((FLAGS, VARIANTS)).encode())
    for path in sorted(SOURCES.glob("*")):
        sums.update(path.read_bytes())
    return sums.hexdigest()[:16]


def headers() -> Path:
    """Return the folder of XLA's headers inside jaxlib, found without importing it."""
    spec = importlib.util.find_spec("jaxlib")
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable("jaxlib, whose headers are needed, is not installed")
    folder = Path(next(iter(spec.submodule_search_locations))) / "include"
    if not (folder / "xla" / "ffi" / "api" / "ffi.h").is_file():
        raise Unavailable(f"jaxlib has no headers in {folder}")
    return folder


def compiler() -> list[str]:
    """Return the command of a C++ compiler: $CXX, or the first one on PATH."""
    if chosen := os.environ.get("CXX", "").split():
        if shutil.which(chosen[0]) is None:
            raise Unavailable(f"CXX={' '.join(chosen)} is not on PATH")
        return chosen
    for name in COMPILERS:
        if shutil.which(name):
            return [name]
    raise Unavailable("no C++ compiler on PATH")


def commands(cxx: Sequence[str], machine: str, folder: Path, extra: Sequence[str] = ()) -> list[list[str]]:
    """Return one independent command for each object file."""
    if machine not in VARIANTS:
        raise Unavailable(f"{machine} is not supported")
    include = str(headers())
    baseline = next(iter(VARIANTS[machine]))
    handlers = [f'-DRETROGRAD_DIGEST="{digest()}"', f"-DKERNELS_BASELINE={baseline}", "-isystem", include]
    jobs = [("handlers", "handlers", handlers)]
    for variant, flags in VARIANTS[machine].items():
        jobs += [(family, f"{family}-{variant}", [f"-DVARIANT={variant}", *flags]) for family in FAMILIES]
    return [[*cxx, *FLAGS, *extra, *flags, "-c", str(SOURCES / f"{source}.cc"), "-o", str(folder / f"{name}.o")]
            for source, name, flags in jobs]  # fmt: skip


def build(target: Path = LIBRARY, machine: str | None = None, sanitize: bool = False) -> None:
    """Compile and link; the library is replaced atomically or not at all.

    Raises:  Unavailable if something is missing or the compiler fails.
    """
    machine = {"AMD64": "x86_64", "arm64": "aarch64"}.get(machine or platform.machine(), machine or platform.machine())
    if sys.platform == "win32":
        raise Unavailable("Windows is not supported")
    cxx, extra = compiler(), SANITIZERS if sanitize else ()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        jobs = commands(cxx, machine, folder, extra)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(_run, jobs))
        objects = [job[-1] for job in jobs]
        linked = folder / "linked.so"
        _run([*cxx, "-shared", *extra, *objects, "-o", str(linked)])
        try:
            temporary = target.with_name(f".{target.name}.{os.getpid()}")
            shutil.copyfile(linked, temporary)
            temporary.replace(target)
        except OSError as error:
            raise Unavailable(f"{target.parent} cannot be written: {error.strerror}") from None


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{command[0]}: {error}") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or ["failed"]
        raise Unavailable(f"{' '.join(command[:1])} failed: {lines[0]}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, and report the result in one line; a failure changes the exit code only with `--strict`."""
    parser = argparse.ArgumentParser(prog="python -m retrograd.native.build", description=__doc__)
    parser.add_argument("--strict", action="store_true", help="exit with code 1 if the kernels cannot be built")
    parser.add_argument("--sanitize", action="store_true", help="with AddressSanitizer and UndefinedBehaviorSanitizer")
    parser.add_argument("--output", type=Path, default=LIBRARY, help="the library to write")
    options = parser.parse_args(arguments)
    try:
        build(options.output, sanitize=options.sanitize)
    except Unavailable as reason:
        print(f"native kernels: not built ({reason}); XLA's formulas are used instead", file=sys.stderr)
        return 1 if options.strict else 0
    print(f"native kernels: built {options.output}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
