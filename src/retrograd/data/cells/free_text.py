"""Telling free text from names and categories, by a whole column."""

from __future__ import annotations

import polars as pl

FEWEST_WORDS = 3  # a cell, on average. AutoGluon's threshold for a text column (`check_if_nlp_feature`) as well
FEWEST_TEXTS = 64  # different ones; as many as a category column keeps words at most
WORD = r"(?:^|\s)\S*\p{L}\S*"  # something with a letter between blanks: neither a number nor a time of day
UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}]"  # scripts written without blanks
CHARACTERS_A_WORD = 2  # of these scripts; the usual length of a Chinese word
SAMPLE = 5_000  # cells, spread evenly; more would not change an average of words


def is_free_text(cells: pl.Series) -> bool:
    """Return whether most cells of a text column differ and hold several words, as reviews and descriptions do."""
    different = cells.n_unique()
    if cells.dtype != pl.String or (different <= FEWEST_TEXTS and 2 * different <= len(cells)):
        return False
    return words_a_cell(cells) >= FEWEST_WORDS


def words_a_cell(cells: pl.Series) -> float:
    """Return how many words the different texts of a column have on average."""
    texts = cells.unique(maintain_order=True).gather_every(max(1, cells.n_unique() // SAMPLE))
    spaced = texts.str.count_matches(WORD).cast(pl.Float64)
    unspaced = texts.str.count_matches(UNSPACED).cast(pl.Float64)
    return float((spaced + unspaced / CHARACTERS_A_WORD).mean() or 0)
