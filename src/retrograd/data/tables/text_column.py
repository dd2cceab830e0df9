"""A fitted text column of a table: a sequence of token identifiers and a mask beside the table's numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from pydantic import Field

from retrograd.base.errors import ConfigError, DataError
from retrograd.base.sentence import data_setting
from retrograd.data.cells.vocabulary import Vocabulary, fit_vocabulary, token_columns
from retrograd.data.report import Report
from retrograd.data.settings import DataSettings
from retrograd.data.tables.columns import FittedColumn
from retrograd.data.texts.settings import LONGEST, TextSettings

NOT_IN_NAMES = re.compile(r"[./]+")  # these separate the parts of a path in a configuration


@dataclass(frozen=True)
class TextColumn(FittedColumn):
    """A column of free text. Its tokens become two batch columns; `flag` adds a feature for missing text."""

    vocabulary: Vocabulary
    length: int = Field(gt=0)
    kind: Literal["text"] = "text"

    @property
    def value_features(self) -> tuple[str, ...]:
        """None: the tokens are in separate batch columns."""
        return ()

    @property
    def tokens(self) -> str:
        """The batch column of identifiers, as a configuration names it."""
        return NOT_IN_NAMES.sub("_", self.name)

    @property
    def mask(self) -> str:
        """The batch column that is true for tokens."""
        return f"{self.tokens}_mask"

    @property
    def sizes(self) -> dict[str, int]:
        """The batch column of identifiers, and the size of the vocabulary."""
        return {self.tokens: self.vocabulary.size}

    @property
    def beside(self) -> tuple[str, ...]:
        """The batch columns beside `x`."""
        return (self.tokens, self.mask)

    @property
    def merging(self) -> str:  # type: ignore[override]
        """The setting that removes the column's own batch columns."""
        return "set " + data_setting("kinds", f"{{{self.name}: category}}")

    def encode_values(self, values: pl.Series) -> np.ndarray:
        """Return no feature."""
        return np.empty((len(values), 0))

    def batch_columns(self, values: pl.Series, report: Report) -> dict[str, np.ndarray]:
        """Return identifiers, int32 [rows, length], and the mask, bool [rows, length]; see `token_columns`."""
        ids, mask = token_columns(values, self.vocabulary, self.length, self.name, report)
        return {self.tokens: ids, self.mask: mask}


def fit_text_column(name: str, values: pl.Series, settings: DataSettings) -> TextColumn:
    """Return a text column with vocabulary and length from the training rows; `text:` says how it is tokenised.

    Raises:  DataError if the training rows have no text; ConfigError for a tokenizer
    """
    section = settings.text or TextSettings()
    if section.unit == "tokenizer":
        cure = (
            "choose "
            + data_setting("unit", "words", section="text")
            + " or `characters`, or remove `kinds` to learn from the text alone"
        )
        raise ConfigError(
            "a tokenizer cannot be used for text next to other columns", where="data.text.unit", cure=cure
        )
    texts = [text for text in values if text]
    if not texts:
        raise DataError(
            f"column '{name}' is empty in the training part",
            cure="remove it with " + data_setting("exclude", f"[{name}]"),
        )
    vocabulary = fit_vocabulary(texts, section, None)
    longest = max(len(vocabulary.encode(text)) for text in texts)
    return TextColumn(name, len(texts) < len(values), vocabulary, section.length or max(1, min(longest, LONGEST)))
