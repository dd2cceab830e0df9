"""Which encoding a text file has: its byte-order mark decides, then UTF-8, then GB18030 (with a warning)."""

from __future__ import annotations

import codecs
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

from retrograd.base.errors import ConfigError, DataError, RetrogradWarning

MARKS = (  # UTF-32 first: its little-endian mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SAMPLE_CHARACTERS = 40


def find_encoding(pieces: Callable[[], Iterable[bytes]], path: Path, chosen: str | None = None) -> str:
    """Return the name of a file's encoding; `pieces()` gives all of its bytes, each time from the beginning.

    Raises:  ConfigError for a chosen encoding that Python does not know; DataError when neither UTF-8 nor GB18030 fits
    """
    if chosen:
        return _known(chosen)
    start = next(iter(pieces()), b"")
    for mark, name in MARKS:
        if start.startswith(mark):
            return name
    if _sample(pieces(), "utf-8") is not None:
        return "utf-8"
    sample = _sample(pieces(), "gb18030")
    if sample is not None:
        _warn_of_gb18030(path, sample)
        return "gb18030"
    raise DataError(
        "the text is neither UTF-8 nor UTF-16 nor GB18030",
        where=str(path),
        cure="name its encoding, for example `encoding: latin-1` or `encoding: cp1252`",
    )


def is_plain(pieces: Callable[[], Iterable[bytes]]) -> bool:
    """Return whether a file says its encoding by a byte-order mark, or is UTF-8."""
    start = next(iter(pieces()), b"")
    return any(start.startswith(mark) for mark, _ in MARKS) or _sample(pieces(), "utf-8") is not None


def _sample(pieces: Iterable[bytes], name: str) -> str | None:
    """Return the beginning of the first line beyond ASCII, or None when the bytes are not of that encoding."""
    decoder = codecs.getincrementaldecoder(name)()
    sample = ""
    try:
        for piece in pieces:
            text = decoder.decode(piece)
            if not sample and not text.isascii():
                sample = next(line for line in text.splitlines() if not line.isascii())[:SAMPLE_CHARACTERS]
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return None
    return sample


def _known(name: str) -> str:
    try:
        "".encode(name)  # refuses codecs that are not text, which codecs.lookup finds
    except LookupError:
        raise ConfigError(
            f"unknown encoding '{name}'", where="data.encoding", cure="for example utf-8, utf-16, gb18030, latin-1"
        ) from None
    return name


def _warn_of_gb18030(path: Path, sample: str) -> None:
    warnings.warn(
        f"{path}: not UTF-8; read as GB18030, such as '{sample}'; if that is wrong, name its encoding with `encoding:`",
        RetrogradWarning,
        stacklevel=2,
    )
