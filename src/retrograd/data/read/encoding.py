"""The encoding of a text file: decided by its byte-order mark, else UTF-8 if it fits, else by its characters.

Several encodings can decode the same bytes, but only in the right one nearly all characters are common.
"""

from __future__ import annotations

import codecs
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from retrograd.base.errors import ConfigError, DataError, RetrogradWarning
from retrograd.base.sentence import data_setting

MARKS = (  # UTF-32 first: its little-endian mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SAMPLE_CHARACTERS = 40
SAMPLE_BYTES = 1 << 18  # of lines beyond ASCII by which an encoding is recognised
COMMON = 0.9  # share of common characters in the right encoding; the first level of GB 2312 covers 99.7 % of Chinese
KOREAN = 20  # characters without any from the second half of the first level: one chance in a million in Chinese


class Candidate(NamedTuple):
    """An East Asian encoding, and the bytes of its common characters and of all its characters."""

    name: str
    shown: str
    common: re.Pattern[bytes]
    all: re.Pattern[bytes]
    script: re.Pattern[bytes] | None = None  # characters that must occur


CANDIDATES = (  # in the order in which they are tried
    Candidate(
        "shift_jis", "Shift-JIS (cp932)",
        re.compile(rb"\x82[\x9f-\xf1]|\x83[\x40-\x96]|\x81[\x40-\x7e\x80-\xac]|[\x88-\x97][\x40-\x7e\x80-\xfc]"),
        re.compile(rb"[\x81-\x9f\xe0-\xfc][\x40-\x7e\x80-\xfc]|[\xa1-\xdf]"),
    ),
    Candidate(
        "euc_jp", "EUC-JP",
        re.compile(rb"[\xa1\xa3-\xa5][\xa1-\xfe]|[\xb0-\xcf][\xa1-\xfe]"), re.compile(rb"[\x80-\xff]{2}"),
        re.compile(rb"[\xa4\xa5][\xa1-\xf6]"),
    ),
    Candidate(
        "gb18030", "GB18030",
        re.compile(rb"[\xb0-\xd7][\xa1-\xfe]|[\xa1-\xa3][\xa1-\xfe]"),
        re.compile(rb"[\x81-\xfe][\x30-\x39][\x81-\xfe][\x30-\x39]|[\x81-\xfe][\x40-\x7e\x80-\xfe]"),
    ),
    Candidate(
        "big5", "Big5 (cp950)",
        re.compile(rb"[\xa4-\xc6][\x40-\x7e\xa1-\xfe]|\xa1[\x40-\x7e\xa1-\xfe]"),
        re.compile(rb"[\x81-\xfe][\x40-\x7e\xa1-\xfe]"),
    ),
)  # fmt: skip
PYTHONS = {"shift_jis": "cp932", "big5": "cp950"}  # the variants used by Windows
WORDS_OF_HIGH = re.compile(rb"[\x80-\xff]{3,}")
HIGH = re.compile(rb"[\x80-\xff]")
NO_CP1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")


def find_encoding(pieces: Callable[[], Iterable[bytes]], path: Path, chosen: str | None = None) -> str:
    """Return the encoding of a file; each call of `pieces()` returns all of its bytes from the start.

    Warns:   RetrogradWarning with a sample if the characters decided
    Raises:  ConfigError for a configured encoding unknown to Python; DataError if no encoding fits all bytes
    """
    if chosen:
        return _known(chosen)
    start = next(iter(pieces()), b"")
    for mark, name in MARKS:
        if start.startswith(mark):
            return name
    if _fits(pieces(), "utf-8"):
        return "utf-8"
    lines = _lines_beyond_ascii(pieces())
    if b"\0" in start:  # reported where the lines are read
        return "latin-1"
    for name, shown in _likely(b"\n".join(lines)):
        if _fits(pieces(), name):
            _warn(path, shown, lines[0].decode(name, "replace"))
            return name
    raise DataError("the encoding of the text is not recognised", where=str(path),
                    cure="set it, for example " + data_setting("encoding", "cp1251"))  # fmt: skip


def is_plain(pieces: Callable[[], Iterable[bytes]]) -> bool:
    """Return whether a file has a byte-order mark, or is UTF-8."""
    start = next(iter(pieces()), b"")
    return any(start.startswith(mark) for mark, _ in MARKS) or _fits(pieces(), "utf-8")


def _fits(pieces: Iterable[bytes], name: str) -> bool:
    """Return whether all bytes are valid in an encoding."""
    decoder = codecs.getincrementaldecoder(name)()
    try:
        for piece in pieces:
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _lines_beyond_ascii(pieces: Iterable[bytes]) -> list[bytes]:
    """Return the first lines that are not ASCII."""
    lines: list[bytes] = []
    total, rest = 0, b""
    for piece in pieces:
        *whole, rest = re.split(rb"[\r\n]", rest + piece)
        lines += [line for line in whole if not line.isascii()]
        total = sum(map(len, lines))
        if total > SAMPLE_BYTES:
            return lines
    return [*lines, rest] if not rest.isascii() or not lines else lines


def _likely(text: bytes) -> Iterator[tuple[str, str]]:
    """Yield the encodings in which this text consists of common characters, with the names to show."""
    for candidate in CANDIDATES:
        if _is_common(text, candidate):
            if candidate.name == "gb18030" and _is_korean(text):
                yield "cp949", "EUC-KR (cp949)"
            yield PYTHONS.get(candidate.name, candidate.name), candidate.shown
    words = WORDS_OF_HIGH.findall(text)
    if sum(map(len, words)) > len(HIGH.findall(text)) / 2:  # whole words beyond ASCII: not a Western language
        lower = sum(byte >= 0xE0 for word in words for byte in word)
        total = sum(map(len, words))
        yield ("cp1251", "Windows-1251 (Cyrillic)") if 2 * lower > total else ("koi8-r", "KOI8-R (Cyrillic)")
    elif NO_CP1252.search(text):
        yield "latin-1", "Latin-1"
    else:
        yield "cp1252", "Windows-1252 (Western European, Latin-1)"


def _is_common(text: bytes, candidate: Candidate) -> bool:
    """Return whether nearly all characters beyond ASCII are common, and not isolated among Latin letters."""
    characters = list(candidate.all.finditer(text))
    if not characters or (candidate.script and len(candidate.script.findall(text)) < len(characters) / 10):
        return False
    common = [match for match in characters if candidate.common.fullmatch(match.group())]
    isolated = sum(_is_letter(text, match.start() - 1) or _is_letter(text, match.end()) for match in common)
    edges = {edge for match in characters for edge in (match.start(), -match.end())}
    single = [
        match
        for match in common
        if match.group()[-1] < 0x80 and match.end() not in edges and -match.start() not in edges
    ]
    if 2 * len(single) > len(common):  # a sign before an ASCII letter, as in °C
        return False
    covered = sum(len(HIGH.findall(match.group())) for match in common)
    return covered >= COMMON * len(HIGH.findall(text)) and isolated <= len(common) / 2


def _is_letter(text: bytes, index: int) -> bool:
    return 0 <= index < len(text) and text[index : index + 1].isalpha()


def _is_korean(text: bytes) -> bool:
    leads = [pair[0] for pair in re.findall(rb"[\xb0-\xd7][\xa1-\xfe]", text)]
    return len(leads) >= KOREAN and all(lead <= 0xC8 for lead in leads)


def _known(name: str) -> str:
    try:
        "".encode(name)  # rejects codecs that are not text encodings, unlike codecs.lookup
    except LookupError:
        raise ConfigError(
            f"unknown encoding '{name}'", where="data.encoding", cure="for example utf-8, utf-16, gb18030, latin-1"
        ) from None
    return name


def _warn(path: Path, shown: str, sample: str) -> None:
    sample = sample.strip()[:SAMPLE_CHARACTERS]
    message = (
        f"{path}: not UTF-8; read as {shown}, such as '{sample}'; if that is wrong, set the encoding with "
        + data_setting("encoding")
    )
    warnings.warn(message, RetrogradWarning, stacklevel=2)
