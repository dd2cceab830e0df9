"""Targets made of tokens: the next token of a text, hidden tokens, another text, or the transcript of a sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import ConfigDict

from retrograd.base.errors import DataError, UsageError
from retrograd.base.sentence import data_setting
from retrograd.data.cells.vocabulary import PADDING, Vocabulary, padded
from retrograd.data.table import CellFaults, Table
from retrograd.data.tables.target import Decoded, Link
from retrograd.data.texts.reading import texts_in


class OfTokens:
    """What all these targets share: an output unit for each identifier, marks included."""

    vocabulary: Vocabulary

    @property
    def units(self) -> int:
        """The output units that the network needs: a logit for each identifier."""
        return self.vocabulary.size


class OfRunningText(OfTokens):
    """What the targets of running text share: the inputs provide them."""

    @property
    def names(self) -> tuple[str, ...]:
        """The target's columns."""
        return ("y",)

    def columns(self, rows: Any) -> dict[str, Any]:
        """Return nothing: the inputs contain `y` already."""
        return {}


class OfColumn(OfTokens):
    """What targets from a column of texts share."""

    column: str

    @property
    def names(self) -> tuple[str, ...]:
        """The target's columns."""
        return (self.column,)


@dataclass(frozen=True)
class NextToken(OfRunningText):
    """Each next token of a text."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    vocabulary: Vocabulary
    kind: Literal["next_token"] = "next_token"

    def decode(self, outputs: np.ndarray, link: Link = "logit") -> Decoded:
        """Raise UsageError: a language model continues texts."""
        message = "a language model makes no predictions for rows"
        raise UsageError(message, cure="continue a text with `retrograd generate`")


@dataclass(frozen=True)
class MaskedToken(OfRunningText):
    """The hidden tokens of a text."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    vocabulary: Vocabulary
    kind: Literal["masked_token"] = "masked_token"

    def decode(self, outputs: np.ndarray, link: Link = "logit") -> Decoded:
        """Raise UsageError: whole texts are completed."""
        raise UsageError("outputs alone cannot complete a text", cure="use `predict` on texts that contain [MASK]")


@dataclass(frozen=True)
class Answer(OfColumn):
    """A text to generate: `previous` is what the decoder reads, `y` what it should say next.

    previous = start, a, b, c   y = a, b, c, end   both padded with 0, which a loss should ignore
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    column: str
    vocabulary: Vocabulary
    length: int
    kind: Literal["answer"] = "answer"

    def columns(self, table: Table) -> dict[str, Any]:
        """Return `previous` and `y`, int32 [rows, length].

        Raises:  DataError for a row without an answer, or an answer that is too long
        """
        encoded = encoded_texts(table, self.column, self.vocabulary)
        longest = max(len(ids) for ids in encoded)
        if longest >= self.length:
            cure = "set " + data_setting("answer_length", f"{longest + 1}", section="text") + " or larger"
            raise DataError(
                f"an answer of {longest} tokens, with its end token, is longer than {self.length}",
                where=table.where,
                cure=cure,
            )
        marks, no_target = self.vocabulary.marks, self.vocabulary.no_target
        begun = [np.concatenate([[marks.start], ids]) for ids in encoded]
        previous = padded(begun, self.length, "answer_length", marks.padding)
        ended = [np.concatenate([ids, [marks.end]]) for ids in encoded]
        y = padded(ended, self.length, "answer_length", no_target)
        return {"previous": previous, "y": y}

    def decode(self, outputs: np.ndarray, link: Link = "logit") -> Decoded:
        """Return the texts of identifiers [rows, length]."""
        return Decoded(labels=np.array([self.vocabulary.decode(row) for row in outputs], object))


@dataclass(frozen=True)
class Transcript(OfColumn):
    """A transcript of a sequence of steps, such as the frames of a sound: labels for the loss `ctc`.

    y = a, b, c, padded with 0, which is also the blank between labels
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    column: str
    vocabulary: Vocabulary
    kind: Literal["transcript"] = "transcript"

    def columns(self, table: Table) -> dict[str, Any]:
        """Return `y`, int32 [rows, tokens in the longest text].

        Raises:  DataError for a row without a text
        """
        encoded = encoded_texts(table, self.column, self.vocabulary)
        return {"y": padded(encoded, max(1, *map(len, encoded)), self.column)}

    def check_steps(self, y: np.ndarray, steps: np.ndarray, table: Table) -> None:
        """Check that no text [rows, tokens], with blanks between equal tokens, is longer than its row has steps.

        Raises:  DataError naming the first row
        """
        needed = (y != PADDING).sum(1) + ((y[:, 1:] == y[:, :-1]) & (y[:, 1:] != PADDING)).sum(1)
        if (needed > steps).any():
            row = int(np.argmax(needed > steps))
            where, words = table.place(row)
            message = f"{words}, column '{self.column}': the text needs {needed[row]} steps, but there are {steps[row]}"
            raise DataError(
                message,
                where=where,
                cure="check the text, or make the steps shorter (" + data_setting("audio.hop", "...") + ")",
            )

    def read(self, outputs: np.ndarray, there: np.ndarray | None = None) -> list[np.ndarray]:
        """Return the identifiers in each row's most likely alignment: repetitions are merged, then blanks removed.

        `there` marks the steps that count, if the outputs have as many steps.
        """
        likeliest = outputs.argmax(-1)
        if there is not None and there.shape == likeliest.shape:
            likeliest = np.where(there, likeliest, PADDING)
        changed = np.diff(likeliest, axis=1, prepend=PADDING) != 0
        return [row[new & (row != PADDING)] for row, new in zip(likeliest, changed, strict=True)]

    def decode(self, outputs: np.ndarray, link: Link = "logit", there: np.ndarray | None = None) -> Decoded:
        """Return the texts for logits [rows, steps, identifiers]."""
        texts = [self.vocabulary.decode(row) for row in self.read(outputs, there)]
        return Decoded(labels=np.array(texts, object))


def encoded_texts(table: Table, column: str, vocabulary: Vocabulary) -> list[np.ndarray]:
    """Return the identifiers of the texts in a column.

    Raises:  DataError for a row without a text
    """
    texts = texts_in(table, column)
    faults = CellFaults(table)
    faults.add(column, texts.is_null().arg_true(), "a text")
    faults.raise_any("complete these rows, or remove them")
    return [vocabulary.encode(text) for text in texts]
