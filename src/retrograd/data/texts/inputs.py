"""Fitted inputs of texts: sequences of identifiers with their masks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import ConfigDict

from retrograd.base.errors import DataError
from retrograd.data.cells.vocabulary import Vocabulary, count_tokens, padded, there, token_columns
from retrograd.data.report import Report
from retrograd.data.table import Table, from_any_frame
from retrograd.data.texts.corpus import Corpus, corpus_of
from retrograd.data.texts.masking import Masking
from retrograd.data.texts.reading import corpus_of_table, texts_in

SEGMENTS = "segments"  # the batch column with the number of the text in a row that a token belongs to
TOKENS = "tokens"  # the size of the vocabulary, as a configuration may name it


class Identifiers:
    """What texts and corpora share: x contains identifiers of a vocabulary."""

    vocabulary: Vocabulary

    @property
    def features(self) -> tuple[str, ...]:
        """No names: x contains identifiers."""
        return ()

    @property
    def embedded(self) -> dict[str, int]:
        """The size of the vocabulary."""
        return {TOKENS: self.vocabulary.size}


@dataclass(frozen=True)
class TextInputs(Identifiers):
    """One text per row: identifiers, cut or padded at the end to a fixed length, and a mask that is true for tokens."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    column: str
    vocabulary: Vocabulary
    length: int
    missing_values: tuple[str, ...]
    kind: Literal["texts"] = "texts"

    def rows_of(self, data: Any, targets: tuple[str, ...] = ()) -> Table:
        """Return a table of texts: a data frame, or a list of texts."""
        if isinstance(data, Table) or hasattr(data, "columns"):
            table = data if isinstance(data, Table) else from_any_frame(data)
            return table.with_missing(self.missing_values)
        columns = dict(data) if isinstance(data, dict) else {"x": data}
        texts = listed_texts(columns.pop("x", None))
        return Table(
            pl.DataFrame(
                {self.column: texts}
                | {targets[0] if name == "y" and targets else name: list(values) for name, values in columns.items()}
            ),
            "texts",
        )

    def target_table(self, table: Table) -> Table:
        """Return the table with the target: the same table."""
        return table

    def encode(self, table: Table, report: Report, with_target: bool) -> dict[str, np.ndarray]:
        """Return `x`, int32 [rows, length], `mask`, bool [rows, length], and `segments` for a tokenizer's own marks.

        An empty text is one unknown token. `segments` distinguishes the texts in a row; with only one, all are 0.
        """
        if self.column not in table.names:
            raise DataError(f"missing column '{self.column}'; have: {', '.join(table.names)}", where=table.where)
        texts = texts_in(table, self.column)
        if texts.null_count():
            report.missing[self.column] += texts.null_count()
        x, mask = token_columns(texts, self.vocabulary, self.length, self.column, report)
        segments = {} if self.vocabulary.special is None else {SEGMENTS: np.zeros_like(x)}
        return {"x": x, "mask": mask, **segments}


@dataclass(frozen=True)
class CorpusInputs(Identifiers):
    """Running text as sequences of equal length; `y` is each one shifted by a token, and 0 (-1 with a tokenizer's own
    marks) beyond its end.

    A text begins with the start token and ends with the end token. `masked` is the share of the tokens that is hidden
    in `x`; then `y` contains these tokens, and -1 elsewhere.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    column: str | None
    vocabulary: Vocabulary
    length: int
    stride: int
    masked: float | None = None
    kind: Literal["corpus"] = "corpus"

    @property
    def masking(self) -> Masking | None:
        """How tokens are hidden; None if the next token is learned."""
        return None if self.masked is None else Masking.of(self.vocabulary, self.masked)

    def rows_of(self, data: Any, targets: tuple[str, ...] = ()) -> Corpus:
        """Return a corpus from a table's column, a text, or a list of texts."""
        if isinstance(data, Corpus):
            return data
        if isinstance(data, Table) or hasattr(data, "columns"):
            table = data if isinstance(data, Table) else from_any_frame(data)
            return corpus_of_table(table, self.column or "text")
        return corpus_of(listed_texts([data] if isinstance(data, str) else data), "texts")

    def target_table(self, corpus: Corpus) -> Table:
        """Raise DataError: the target is each next token."""
        raise DataError("running text has no table of targets", where=corpus.where)

    def encode(self, corpus: Corpus, report: Report, with_target: bool) -> dict[str, np.ndarray]:
        """Return `x`, `y` (int32) and `mask` (bool), each [sequences, length].

        Without targets, no token is hidden, and masked models have no `y`.
        """
        inputs, targets, marks = [], [], self.vocabulary.marks
        streams = (
            np.concatenate([[marks.start], count_tokens(self.vocabulary, text, "text", report), [marks.end]])
            for text in corpus.texts
        )
        if self.masking is not None:
            return self._masked(self.masking, list(streams), corpus.where, with_target)
        for stream in streams:
            for start in range(0, max(1, len(stream) - 1), self.stride):
                inputs.append(stream[start : min(start + self.length, len(stream) - 1)])
                targets.append(stream[start + 1 : start + 1 + self.length])
        x = padded(inputs, self.length, filler=marks.padding)
        y = padded(targets, self.length, filler=self.vocabulary.no_target)
        return {"x": x, "y": y, "mask": there(inputs, self.length)}

    def _masked(
        self, masking: Masking, streams: list[np.ndarray], where: str, with_target: bool
    ) -> dict[str, np.ndarray]:
        """Return the columns with hidden tokens, without sequences that have no token to hide.

        Raises:  DataError if no sequence has one
        """
        stride = self.stride if with_target else self.length  # a text to complete is read once
        pieces = [stream[i : i + self.length] for stream in streams for i in range(0, len(stream), stride)]
        ids, mask = padded(pieces, self.length, filler=self.vocabulary.marks.padding), there(pieces, self.length)
        if not with_target:
            return {"x": ids, "mask": mask}
        useful = masking.may_hide(ids).any(1)
        if not useful.any():
            raise DataError("the texts have no known token that could be hidden", where=where,
                            cure="use longer texts, or a vocabulary with more of their tokens")  # fmt: skip
        x, y = masking.fixed(ids[useful])
        return {"x": x, "y": y, "mask": mask[useful]}


def listed_texts(data: Any) -> list[str]:
    """Return a list, an array or a series of texts as a list."""
    texts = data.to_list() if isinstance(data, pl.Series) else data.tolist() if isinstance(data, np.ndarray) else data
    if isinstance(texts, (str, Path)) or not isinstance(texts, (list, tuple)) or not texts:
        raise DataError("expected a list of texts, a table or a file")
    if not all(isinstance(text, str) for text in texts):
        raise DataError("expected a list of texts, but it contains other values")
    return list(texts)
