"""What identifies data: digests of files, and of rows in memory."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from retrograd.data.arrays import arrays_digest
from retrograd.data.images.decoding import SUFFIXES as IMAGE_SUFFIXES
from retrograd.data.images.reading import files_below
from retrograd.data.images.rows import Images
from retrograd.data.read.files import file_digest
from retrograd.data.read.parts import is_pattern, matching
from retrograd.data.table import Table, table_digest
from retrograd.data.texts.corpus import Corpus
from retrograd.data.texts.reading import SUFFIXES as TEXT_SUFFIXES


def rows_digest(rows: Any) -> str:
    """Return the digest of rows in memory."""
    if isinstance(rows, Corpus):
        return hashlib.sha256("".join(rows.pieces).encode()).hexdigest()
    if isinstance(rows, Table):
        return table_digest(rows)
    return rows.digest if isinstance(rows, Images) else arrays_digest(rows)


def file_digests(path: Path, rows: Any, max_bytes: int) -> list[str]:
    """Return the digest of a file and of the images that it names, or of a folder's files and of their names."""
    if path.is_dir():
        files = files_below(path, (*IMAGE_SUFFIXES, *TEXT_SUFFIXES))
        files = files if not isinstance(rows, Table) or rows.origin is None else map(Path, rows.origin.files)
        return [text for file in files for text in (str(file.relative_to(path)), file_digest(file, max_bytes))]
    named = matching(path) if is_pattern(path) else [path]
    if isinstance(rows, Images) and isinstance(rows.sources, tuple) and rows.sources != (path,):
        named += [*rows.sources, *(rows.masks if isinstance(rows.masks, tuple) else ())]
    return [file_digest(file, max_bytes) for file in named]


def joined_digest(digests: list[str]) -> str:
    """Return one digest for several."""
    return digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()
