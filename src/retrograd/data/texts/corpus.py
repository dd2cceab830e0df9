"""Running text for language models: one long text in pieces, or many texts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

PIECE = 1000  # characters; a text with longer lines is cut here


@dataclass(frozen=True)
class Corpus:
    """Pieces of one text, in order (`is_one`), or unrelated texts."""

    pieces: tuple[str, ...]
    is_one: bool
    where: str

    def __len__(self) -> int:
        return len(self.pieces)

    def take(self, rows: np.ndarray) -> Corpus:
        """Return the pieces at these indices, in this order."""
        return Corpus(tuple(self.pieces[i] for i in rows), self.is_one, self.where)

    def numbered(self) -> Corpus:
        """Return the pieces, which have no numbers."""
        return self

    @property
    def digest(self) -> str:
        """The SHA-256 of the text as hexadecimal text."""
        return hashlib.sha256("".join(self.pieces).encode()).hexdigest()

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts."""
        return ("".join(self.pieces),) if self.is_one else self.pieces


def corpus_of(texts: list[str], where: str) -> Corpus:
    """Return one text split into lines (or into pieces of equal size, if lines are long), or several texts as given."""
    if len(texts) > 1:
        return Corpus(tuple(texts), False, where)
    (text,) = texts
    lines = text.splitlines(keepends=True)
    if len(text) > PIECE * max(1, len(lines)):
        lines = [text[i : i + PIECE] for i in range(0, len(text), PIECE)]
    return Corpus(tuple(lines), True, where)
