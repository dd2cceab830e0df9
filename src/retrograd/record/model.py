"""The model file: weights and state, with the configuration and preprocessing that give them a meaning.

A safetensors file. Tensors are named `params/<node>/<name>` and `state/<node>/<name>`. Its metadata: `format`
(retrograd), `version`, `checksum` (SHA-256 of the whole file with these 64 digits as zeros), and as JSON `config`,
`preprocessing` and `facts`.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrograd.base.annotations import show
from retrograd.base.errors import ModelFileError, Problem, ResourceError, UsageError
from retrograd.record.files import open_regular, write_file
from retrograd.record.header import DTYPE_NAMES, FORMAT, MAX_HEADER_BYTES, Entry, Header, read_header, write_header
from retrograd.record.strict_json import parse_json, write_json
from retrograd.record.tree import Tree, flatten, is_path, raw_bytes, unflatten

VERSION = 1
MAX_BYTES = 2**32
PARTS = ("params", "state")
TEXTS = ("config", "preprocessing", "facts")
BLANK = "0" * 64


@dataclass(frozen=True)
class ModelFile:
    """What a model file holds; `facts` is what training found out (metrics, seed, versions, and so on)."""

    params: dict[str, dict[str, np.ndarray]]
    state: dict[str, dict[str, np.ndarray]]
    config: dict[str, Any]
    preprocessing: dict[str, Any]
    facts: dict[str, Any]


def save_model(
    path: Path,
    params: Tree,
    state: Tree,
    *,
    config: Mapping[str, Any],
    preprocessing: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> None:
    """Write a model file; a failure leaves what was there. Equal models give equal files.

    The three mappings hold what JSON can say; tuples become lists, NaN and infinities the texts "nan", "inf", "-inf".

    Raises:  ResourceError when the disk refuses; UsageError for values that cannot be stored
    """
    path = Path(path)
    arrays = {**_arrays("params", params), **_arrays("state", state)}
    arrays = dict(sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0])))  # aligned for every reader
    texts = {key: write_json(value) for key, value in zip(TEXTS, (config, preprocessing, facts), strict=True)}
    header = write_header(arrays, {"format": FORMAT, "version": str(VERSION), "checksum": BLANK, **texts})
    if len(header) > MAX_HEADER_BYTES:
        raise UsageError(
            f"names, configuration and preprocessing take {len(header):,} bytes, "
            f"a model file has room for {MAX_HEADER_BYTES:,}",
            where=str(path),
            cure="limit the vocabulary",
        )
    body = [raw_bytes(array) for array in arrays.values()]
    checksum = hashlib.sha256(header)
    for piece in body:
        checksum.update(piece)
    write_file(path, header.replace(_seal(BLANK), _seal(checksum.hexdigest())), *body)


def load_model(path: Path, *, max_bytes: int = MAX_BYTES) -> ModelFile:
    """Return what a model file holds, after every byte of it has been checked. Nothing in it can run.

    Raises:  UsageError when there is no such file; ModelFileError for any other file, and for a damaged one
    """
    path = Path(path)
    with open_regular(path) as stream:
        size = stream.seek(0, 2)
        stream.seek(0)
        if size > max_bytes:
            cure = "raise max_bytes if you trust it"
            raise ModelFileError(f"{size:,} bytes, larger than the limit of {max_bytes:,}", where=str(path), cure=cure)
        header = read_header(stream, size, str(path))
        _check_version(header)
        entries = header.entries()
        arrays = _read_arrays(stream, entries, header)
    parts = {part: unflatten(_below(part, arrays)) for part in PARTS}
    return ModelFile(**parts, **{key: _parse(header, key) for key in TEXTS})


def check_fits(tree: Tree, expected: Tree, *, where: str = "") -> None:
    """Compare a file's params or state with those that a network expects ({node: {name: spec or array}}).

    Raises:  ModelFileError naming every array of another shape or dtype, missing, or too many
    """
    found, wanted = flatten(tree), flatten(expected)
    problems = [Problem(path, f"missing, expected {_form(spec)}") for path, spec in wanted.items() if path not in found]
    problems += [Problem(path, "not in the network") for path in found if path not in wanted]
    both = [path for path in wanted if path in found]
    problems += [Problem(path, text) for path in both if (text := _difference(wanted[path], found[path]))]
    if problems:
        prefix = f"{where}: " if where else ""
        problems = [problem._replace(where=prefix + problem.where) for problem in sorted(problems)]
        problems[-1] = problems[-1]._replace(cure="these are the weights of another network")
        raise ModelFileError(problems)


def _arrays(part: str, tree: Tree) -> dict[str, np.ndarray]:
    found = {}
    for path, given in flatten(tree).items():
        dtype = getattr(given, "dtype", None) or np.asarray(given).dtype
        if getattr(dtype, "name", "") not in DTYPE_NAMES:
            raise UsageError(f"an array of the type {dtype} cannot be stored", where=f"{part}/{path}")
        found[f"{part}/{path}"] = np.asarray(given)
    return found


def _check_version(header: Header) -> None:
    """Refuse what a later version wrote, before anything is said about rules that it may have changed."""
    version = header.metadata.get("version", "")
    if header.is_ours and re.fullmatch("[0-9]{1,9}", version) and int(version) > VERSION:
        message = f"the file has format {int(version)}, this version reads up to {VERSION}"
        raise ModelFileError(message, where=header.where, cure="use a newer version of retrograd")


def _blanked(header: Header) -> bytes:
    """Return the bytes of the header of a complete model file as they were when its checksum was taken."""
    if not header.is_ours:
        raise ModelFileError("not a retrograd model: a safetensors file of another program", where=header.where)
    if header.metadata.get("version") != str(VERSION) or any(key not in header.metadata for key in TEXTS):
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
        stored = array.reshape(-1).view(np.uint8)
        if stream.readinto(stored.data) != entry.nbytes:
            raise ModelFileError("truncated while it was read", where=header.where)
        checksum.update(stored.data)
        arrays[entry.name] = array
    if checksum.hexdigest() != header.metadata["checksum"]:
        cure = "use a copy that is whole, or train again"
        raise ModelFileError("damaged: its content does not match its checksum", where=header.where, cure=cure)
    for name, array in arrays.items():
        _check_tensor(name, array, header.where)
    return arrays


def _check_tensor(name: str, array: np.ndarray, where: str) -> None:
    part, _, path = name.partition("/")
    if part not in PARTS or not is_path(path):
        raise ModelFileError("its name is not params or state/<node>/<name>", where=f"{where}: tensor {show(name)}")
    if array.dtype == np.bool_ and (array.view(np.uint8) > 1).any():
        raise ModelFileError("it holds bytes that are no booleans", where=f"{where}: tensor {show(name)}")


def _below(part: str, arrays: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    for name, array in arrays.items():
        if name.startswith(f"{part}/"):
            yield name.removeprefix(f"{part}/"), array


def _parse(header: Header, key: str) -> dict[str, Any]:
    try:
        value = parse_json(header.metadata[key])
    except ValueError as error:
        raise ModelFileError(f"its {key} is damaged: {error}", where=header.where) from None
    if not isinstance(value, dict):
        raise ModelFileError(f"its {key} is damaged: expected an object, found {show(value)}", where=header.where)
    return value


def _form(spec: Any) -> str:
    return f"{np.dtype(spec.dtype).name} {tuple(spec.shape)}"


def _difference(wanted: Any, found: Any) -> str:
    if tuple(wanted.shape) != tuple(found.shape):
        return f"expected {tuple(wanted.shape)}, found {tuple(found.shape)}"
    if np.dtype(wanted.dtype) != np.dtype(found.dtype):
        return f"expected {np.dtype(wanted.dtype).name}, found {np.dtype(found.dtype).name}"
    return ""
