"""A safetensors file with a checksum over every byte of it: written whole or not at all, and believed only when right.

Its metadata: `format` (whose file it is), `version`, `checksum` (SHA-256 of the whole file with these 64 digits as
zeros), and texts in JSON.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from retrograd.base.annotations import show
from retrograd.base.errors import ModelFileError, ResourceError, UsageError
from retrograd.record.files import open_regular, write_file
from retrograd.record.header import DTYPE_NAMES, MAX_HEADER_BYTES, Entry, Form, Header, read_header, write_header
from retrograd.record.strict_json import parse_json, write_json
from retrograd.record.tree import raw_bytes

BLANK = "0" * 64


class NewerFormatError(ModelFileError):
    """A later version wrote the file, which is no damage."""


class Content(NamedTuple):
    """What a file holds: arrays and texts by name, and its checksum."""

    arrays: dict[str, np.ndarray]
    texts: dict[str, dict[str, Any]]
    checksum: str


def write_sealed(path: Path, form: Form, arrays: Mapping[str, Any], texts: Mapping[str, Mapping[str, Any]]) -> str:
    """Write a file, and return its checksum; a failure leaves what was there.

    Raises:  ResourceError when the disk refuses; UsageError for values that cannot be stored
    """
    checksum, pieces = sealed(form, arrays, texts, str(path))
    write_file(path, *pieces)
    return checksum


def sealed(
    form: Form, arrays: Mapping[str, Any], texts: Mapping[str, Mapping[str, Any]], where: str
) -> tuple[str, tuple[bytes | memoryview, ...]]:
    """Return the checksum of a file that holds these, and its bytes. Equal contents give equal files.

    Texts hold what JSON can say; tuples become lists, NaN and infinities "nan", "inf", "-inf".

    Raises:  UsageError for values that cannot be stored
    """
    stored = {name: _storable(name, array) for name, array in arrays.items()}
    stored = dict(sorted(stored.items(), key=lambda item: (-item[1].itemsize, item[0])))  # aligned for every reader
    written = {key: write_json(texts[key]) for key in form.texts}
    about = {"format": form.format, "version": str(form.version), "checksum": BLANK, **written}
    header = write_header(stored, about)
    if len(header) > MAX_HEADER_BYTES:
        raise UsageError(
            f"names, {' and '.join(form.texts)} take {len(header):,} bytes, "
            f"a {form.noun} file has room for {MAX_HEADER_BYTES:,}",
            where=where,
            cure="limit the vocabulary",
        )
    body = [raw_bytes(array) for array in stored.values()]
    checksum = hashlib.sha256(header)
    for piece in body:
        checksum.update(piece)
    return checksum.hexdigest(), (header.replace(_seal(BLANK), _seal(checksum.hexdigest())), *body)


def read_sealed(path: Path, form: Form, max_bytes: int) -> Content:
    """Return what a file holds, after every byte of it has been checked. Nothing in it can run.

    Raises:  UsageError when there is no such file; ModelFileError for any other file, and for a damaged one
    """
    with open_regular(path) as stream:
        size = stream.seek(0, 2)
        stream.seek(0)
        if size > max_bytes:
            cure = "raise max_bytes if you trust it"
            raise ModelFileError(f"{size:,} bytes, larger than the limit of {max_bytes:,}", where=str(path), cure=cure)
        header = read_header(stream, size, str(path), form)
        _check_version(header)
        arrays = _read_arrays(stream, header.entries(), header)
    return Content(arrays, {key: _parse(header, key) for key in form.texts}, header.metadata["checksum"])


def _storable(name: str, value: Any) -> np.ndarray:
    dtype = getattr(value, "dtype", None) or np.asarray(value).dtype
    if getattr(dtype, "name", "") not in DTYPE_NAMES:
        raise UsageError(f"an array of the type {dtype} cannot be stored", where=name)
    return np.asarray(value)


def _check_version(header: Header) -> None:
    """Refuse what a later version wrote, before anything is said about rules that it may have changed."""
    version, known = header.metadata.get("version", ""), header.form.version
    if header.is_ours and re.fullmatch("[0-9]{1,9}", version) and int(version) > known:
        message = f"the file has format {int(version)}, this version reads up to {known}"
        raise NewerFormatError(message, where=header.where, cure="use a newer version of retrograd")


def _blanked(header: Header) -> bytes:
    """Return the bytes of the header of a complete file as they were when its checksum was taken."""
    if not header.is_ours:
        what = header.metadata.get("format", "")
        whose = f"a {what}" if what.startswith("retrograd") else "a safetensors file of another program"
        raise ModelFileError(f"not a retrograd {header.form.noun}: {whose}", where=header.where)
    if header.metadata.get("version") != str(header.form.version) or set(header.form.texts) - set(header.metadata):
        raise ModelFileError("damaged: its metadata are not complete", where=header.where)
    checksum = header.metadata.get("checksum", "")
    seal = _seal(checksum) if re.fullmatch("[0-9a-f]{64}", checksum) else b""
    if not seal or header.raw.count(seal) != 1:
        raise ModelFileError("damaged: it has no checksum", where=header.where)
    return header.raw.replace(seal, _seal(BLANK))


def _seal(checksum: str) -> bytes:
    """Return the place of the checksum in a header. Quotes inside a JSON text are escaped, so there is but one."""
    return f'"checksum":"{checksum}"'.encode()


def _read_arrays(stream: io.BufferedReader, entries: list[Entry], header: Header) -> dict[str, np.ndarray]:
    """Return the arrays, once the checksum over every byte of the file has proved right."""
    checksum = hashlib.sha256(_blanked(header))
    arrays = {}
    for entry in entries:
        try:
            array = np.empty(entry.shape, entry.dtype)
        except MemoryError:
            message = f"out of memory: {show(entry.name)} takes {entry.nbytes:,} bytes"
            raise ResourceError(message, where=header.where) from None
        raw = array.reshape(-1).view(np.uint8)
        if stream.readinto(raw.data) != entry.nbytes:
            raise ModelFileError("truncated while it was read", where=header.where)
        checksum.update(raw.data)
        arrays[entry.name] = array
    if checksum.hexdigest() != header.metadata["checksum"]:
        cure = "use a copy that is whole, or train again"
        raise ModelFileError("damaged: its content does not match its checksum", where=header.where, cure=cure)
    for name, array in arrays.items():
        if array.dtype == np.bool_ and (array.view(np.uint8) > 1).any():
            where = f"{header.where}: tensor {show(name)}"
            raise ModelFileError("it holds bytes that are no booleans", where=where)
    return arrays


def _parse(header: Header, key: str) -> dict[str, Any]:
    try:
        value = parse_json(header.metadata[key])
    except ValueError as error:
        raise ModelFileError(f"its {key} is damaged: {error}", where=header.where) from None
    if not isinstance(value, dict):
        raise ModelFileError(f"its {key} is damaged: expected an object, found {show(value)}", where=header.where)
    return value
