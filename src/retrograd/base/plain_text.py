"""Text for a terminal, with control characters escaped so that they cannot control it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

_CONTROLS = [*range(0x20), *range(0x7F, 0xA0)]  # of ASCII and Latin-1: ESC, BEL, CSI and the like
_DIRECTIONS = [
    0x061C,
    0x200E,
    0x200F,
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
]  # characters that change the direction of text
_SHOWN = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in (*_CONTROLS, *_DIRECTIONS)}
_SHOWN.pop(ord("\n"))
_SHOWN.pop(ord("\t"))


def plain(text: str) -> str:
    """Escape the control characters of a text (`\\x1b`), except line feed and tab."""
    return text if text.isascii() and text.isprintable() else text.translate(_SHOWN)


class PlainStream:
    """A text stream that escapes control characters; `bare` is the underlying stream, for progress bars."""

    def __init__(self, bare: TextIO) -> None:
        self.bare = bare

    def write(self, text: str) -> int:
        """Write an escaped text, so that names and labels from other people's files cannot control the terminal."""
        self.bare.write(plain(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bare, name)


@contextmanager
def plain_streams() -> Iterator[None]:
    """Make standard output and standard error escape control characters."""
    originals = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (stream and PlainStream(stream) for stream in originals)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = originals


def bare(stream: Any) -> Any:
    """Return the stream underlying a PlainStream; any other stream is returned as it is."""
    return getattr(stream, "bare", stream)


def short_powers(text: str) -> str:
    """Return a text with the powers of ten of its numbers in their shortest form: `1.7e-5` for `1.7e-05`."""
    return re.sub(r"(?<![\w.])(\d[\d.]*)e(-?)\+?0*(\d+)\b", r"\1e\2\3", text)
