"""Which encoding a text file has: its byte-order mark decides, then UTF-8, then GB18030 (with a warning)."""

from __future__ import annotations

import codecs
import warnings
from collections.abc import Iterable
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


def find_encoding(pieces: Iterable[bytes], path: Path, chosen: str | None = None) -> str:
    """Return the name of a file's encoding after reading all of its bytes.

    Raises:  ConfigError for a chosen encoding that Python does not know; DataError when neither UTF-8 nor GB18030 fits
    """
    utf8, gb18030 = _Trial("utf-8"), _Trial("gb18030")
    marked = ""
    for number, piece in enumerate(pieces):
        if number == 0:
            marked = next((name for mark, name in MARKS if piece.startswith(mark)), "")
        if not (chosen or marked):
            utf8.feed(piece)
            gb18030.feed(piece)
    if chosen:
        return _known(chosen)
    if marked or utf8.fits():
        return marked or "utf-8"
    if gb18030.fits():
        _warn_of_gb18030(path, gb18030.sample)
        return "gb18030"
    raise DataError(
        "the text is neither UTF-8 nor UTF-16 nor GB18030",
        where=str(path),
        cure="name its encoding, for example `encoding: latin-1` or `encoding: cp1252`",
    )


class _Trial:
    """Decodes a stream piece by piece and remembers whether that worked, and the first line beyond ASCII."""

    def __init__(self, name: str) -> None:
        self._decoder = codecs.getincrementaldecoder(name)()
        self._works = True
        self.sample = ""

    def feed(self, piece: bytes) -> None:
        if not self._works:
            return
        try:
            text = self._decoder.decode(piece)
        except UnicodeDecodeError:
            self._works = False
            return
        if not self.sample and not text.isascii():
            line = next(line for line in text.splitlines() if not line.isascii())
            self.sample = line[:SAMPLE_CHARACTERS]

    def fits(self) -> bool:
        try:
            self._decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
        return self._works


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
