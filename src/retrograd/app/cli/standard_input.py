"""Rows from standard input, kept in a temporary file while they are used."""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from retrograd.app.cli.options import existing_data
from retrograd.base.errors import RetrogradError, UsageError
from retrograd.data.read.files import CHUNK_BYTES, too_large
from retrograd.data.settings import DataSettings

NAME = "standard input"


def is_input(data: Path) -> bool:
    """Return whether a path means standard input."""
    return str(data) == "-"


@contextmanager
def data_path(data: Path) -> Iterator[Path]:
    """Yield the path of the data: a file, a folder, or for `-` a temporary file with a copy of standard input.

    Raises:  UsageError if the file is missing or standard input is empty
    """
    if not is_input(data):
        yield existing_data(data)
        return
    with tempfile.TemporaryDirectory() as folder, _named(f"{folder}/"):
        yield _written(Path(folder))


def _written(folder: Path) -> Path:
    stream = sys.stdin.buffer
    limit = DataSettings().max_bytes
    first = stream.read(CHUNK_BYTES)
    if not first.strip():
        raise UsageError("empty", where=NAME, cure="pipe rows with a header into the command")
    begin = first.removeprefix(b"\xef\xbb\xbf").lstrip()
    suffix = ".json" if begin[:1] == b"[" else ".jsonl" if begin[:1] == b"{" else ".csv"
    path = folder / f"{NAME}{suffix}"
    total = 0
    with open(path, "wb") as file:
        while first:
            total += len(first)
            if total > limit:
                raise too_large(NAME, "too much input", limit)
            file.write(first)
            first = stream.read(CHUNK_BYTES)
    return path


@contextmanager
def _named(folder: str) -> Iterator[None]:
    """Remove the temporary folder's name from errors and warnings."""
    with warnings.catch_warnings():
        show: Any = warnings.showwarning
        warnings.showwarning = lambda message, *rest, **more: show(str(message).replace(folder, ""), *rest, **more)
        try:
            yield
        except RetrogradError as error:
            shortened = [
                problem._replace(where=problem.where.replace(folder, ""), message=problem.message.replace(folder, ""))
                for problem in error.problems
            ]
            raise type(error)(shortened) from None
