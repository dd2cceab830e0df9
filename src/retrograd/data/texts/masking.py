"""Hidden tokens: which tokens of a text are to be restored, and what replaces them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrograd.data.cells.vocabulary import Vocabulary

HIDDEN, REPLACED = 0.8, 0.1  # shares of the chosen tokens; the rest stay, so that a visible token may be right or wrong
BLOCK = 4096  # rows hidden at once


@dataclass(frozen=True)
class Masking:
    """How tokens are hidden, as in BERT.

        chosen: max(1, round(share n)) of the n tokens in a sequence; marks and unknown tokens are never chosen
        x = the mask for 80 % of the chosen tokens, any token for 10 %, else the token    y = the token, if chosen

    See:  Devlin et al. 2019, arXiv:1810.04805, appendix A.1. There, 15 % of all positions are drawn; here, the number
          is rounded, so that every sequence has hidden tokens.
    """

    share: float
    mask: int
    first: int
    beyond: int  # the last token's identifier plus 1
    never: tuple[int, ...]  # the marks, which are neither hidden nor inserted
    no_target: int

    @staticmethod
    def of(vocabulary: Vocabulary, share: float) -> Masking:
        """Return the way to hide tokens of a vocabulary that has a mask."""
        marks = vocabulary.marks
        assert marks.mask is not None
        never = (marks.padding, marks.unknown, marks.start, marks.end, marks.mask)
        return Masking(share, marks.mask, vocabulary.first, vocabulary.beyond, never, vocabulary.no_target)

    def may_hide(self, ids: Any) -> Any:
        """Return which tokens may be hidden."""
        may = ids != self.never[0]
        for mark in self.never[1:]:
            may = may & (ids != mark)
        return may

    def hide(self, ids: Any, draws: Any, xp: Any = np) -> tuple[Any, Any]:
        """Return `x` and `y` for sequences, with NumPy or JAX operations.

        Shapes:  ids integers [rows, length], draws float32 in [0, 1) [3, rows, length] -> x, y as ids
        """
        may, (place, fate, token) = self.may_hide(ids), draws
        place = xp.where(may, place, xp.float32(2))
        count = xp.maximum(1, xp.round(may.sum(-1, keepdims=True).astype(xp.float32) * xp.float32(self.share)))
        chosen = may & (place <= xp.take_along_axis(xp.sort(place, -1), count.astype(xp.int32) - 1, -1))
        other = (self.first + xp.floor(token * xp.float32(self.beyond - self.first))).astype(ids.dtype)
        instead = xp.where(fate < HIDDEN, xp.full_like(ids, self.mask), xp.where(fate < HIDDEN + REPLACED, other, ids))
        return xp.where(chosen, instead, ids), xp.where(chosen, ids, xp.full_like(ids, self.no_target))

    def shown(self, x: Any, y: Any, xp: Any = np) -> Any:
        """Return the original sequences."""
        return xp.where(y == self.no_target, x, y)

    def fixed(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return `x` and `y` for sequences, seeded by each one's content, so that equal ones are hidden alike."""
        blocks = [ids[i : i + BLOCK] for i in range(0, len(ids), BLOCK)]
        x, y = zip(*(self.hide(block, np.stack([_draws(row) for row in block], 1)) for block in blocks), strict=True)
        return np.concatenate(x), np.concatenate(y)


def _draws(row: np.ndarray) -> np.ndarray:
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(row.tobytes())))
    return rng.random((3, len(row)), np.float32)
