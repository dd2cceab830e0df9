"""NumPy files (.npy, .npz): sizes are checked against the header first; pickled objects are never loaded."""

from __future__ import annotations

import tokenize
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from retrograd.base.errors import DataError
from retrograd.data.read.files import check_file, open_bytes, too_large
from retrograd.data.read.reader import reads
from retrograd.data.settings import DataSettings

PLAIN_KINDS = "biufUS"  # booleans, integers, floats, text
HEADER_FAULTS = (ValueError, TypeError, EOFError, SyntaxError, RecursionError, tokenize.TokenError)  # NumPy raises any


@reads(".npy", arrays=True)
def read_npy(path: Path, settings: DataSettings) -> dict[str, np.ndarray]:
    """Return the array in a .npy file, under the name x.

    Raises:  DataError for a foreign or damaged file, one shorter than its header says, or one of Python objects
    """
    check_file(path, settings.max_bytes)
    with open_bytes(path) as stream:
        return {"x": _read_array(stream, path.stat().st_size, str(path))}


@reads(".npz", arrays=True)
def read_npz(path: Path, settings: DataSettings) -> dict[str, np.ndarray]:
    """Return the arrays in a .npz file by name; `max_bytes` limits their decompressed size."""
    check_file(path, settings.max_bytes)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(members, path, settings.max_bytes)
            return {_array_name(member): _read_member(archive, member, path) for member in members}
    except (zipfile.BadZipFile, RuntimeError, EOFError) as error:  # RuntimeError: a password, or a method it lacks
        raise DataError(f"cannot be read as .npz: {error}", where=str(path)) from None


def _check_members(members: list[zipfile.ZipInfo], path: Path, max_bytes: int) -> None:
    names = [_array_name(member) for member in members]
    if len(set(names)) < len(names):
        raise DataError("the file contains two arrays of the same name", where=str(path))
    total = sum(member.file_size for member in members)
    if total > max_bytes:
        raise too_large(path, f"its arrays take {total:,} bytes", max_bytes)


def _array_name(member: zipfile.ZipInfo) -> str:
    return member.filename.removesuffix(".npy")


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> np.ndarray:
    with archive.open(member) as stream:
        return _read_array(stream, member.file_size, f"{path}: {_array_name(member)}")


def _read_array(stream: IO[bytes], size: int, where: str) -> np.ndarray:
    """Read one array of `size` bytes, header included."""
    try:
        version = np.lib.format.read_magic(stream)
        read_header: Any = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read_header(stream)
        _check_header(shape, dtype, size - stream.tell(), where)
        stream.seek(0)
        return np.lib.format.read_array(stream, allow_pickle=False)
    except DataError:
        raise
    except HEADER_FAULTS as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"not a NumPy array file: {reason}", where=where) from None


def _check_header(shape: tuple[int, ...], dtype: np.dtype, body: int, where: str) -> None:
    """Compare the header with the number of bytes that follow it, before memory is allocated."""
    if dtype.hasobject:
        message = "the array contains pickled objects, which could run code"
        raise DataError(message, where=where, cure="save it as numbers or text")
    if dtype.kind not in PLAIN_KINDS:
        raise DataError(f"the array has values of type {dtype}", where=where, cure="save it as numbers or text")
    needed = dtype.itemsize
    for length in shape:
        needed *= length  # Python's integers do not overflow
    if needed != body or any(length < 0 for length in shape):
        message = f"the header says {shape} {dtype} = {needed:,} bytes, but the file has {body:,}"
        raise DataError(message, where=where)
