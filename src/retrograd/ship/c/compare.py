"""Compiling and running a C file, to compare it with the run before it is written."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from retrograd.base.errors import UsageError

COMPILERS = ("cc", "gcc", "clang")
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-O2")


def outputs_of(source: str, x: np.ndarray, size: int) -> np.ndarray:
    """Return the outputs of the function `net` of a C file for rows, float32 [rows, size], after a strict compilation.

    Raises:  UsageError if there is no C compiler
    """
    compiler = next((found for name in COMPILERS if (found := shutil.which(name))), None)
    if compiler is None:
        raise UsageError("no C compiler was found to check the file before it is written",
                         cure=f"install one of {', '.join(COMPILERS)}")  # fmt: skip
    y = np.zeros((len(x), size), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "net.c").write_text(source, encoding="utf-8")
        library = Path(folder) / "net.so"
        command = [compiler, *STRICT, "-shared", "-fPIC", "net.c", "-o", str(library), "-lm"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if "error" in line] or [done.stderr.strip()]
            raise UsageError(f"{compiler} rejects the file: {said[0]}")
        net = ctypes.CDLL(str(library)).net
        floats = np.ctypeslib.ndpointer(np.float32, flags="C_CONTIGUOUS")
        net.argtypes, net.restype = [floats, floats], None
        for row, out in zip(np.ascontiguousarray(x.reshape(len(x), -1), np.float32), y, strict=True):
            net(row, out)
    return y
