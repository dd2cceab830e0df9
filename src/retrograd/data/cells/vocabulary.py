"""Tokens and their identifiers, and the way back to text."""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import ConfigDict

from retrograd.base.errors import ConfigError, DataError
from retrograd.base.memory import require_room
from retrograd.data.read.files import check_file
from retrograd.data.report import Report
from retrograd.data.texts.settings import TextSettings

PADDING, UNKNOWN, START, END = range(4)  # identifiers that stand for no token
SPECIAL = 4
TOKEN_BYTES = 9  # identifier, target and mask
UNSPACED = (
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"  # Chinese and Japanese characters
)
WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+|[^\w\s]")
NO_SPACE_BEFORE = re.compile(rf" (?=[.,;:!?)\]}}%'’。，；：！？）{UNSPACED}])|(?<=[(\[{{'’（{UNSPACED}]) ")
MAX_TOKENIZER_BYTES = 8 * 1024**2  # it is stored in the model's header
MISSING_EXTRA = "install it with `pip install 'retrograd[text]'`"


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that training knew; token i has the identifier i + 4, after padding, unknown, start and end."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    unit: Literal["words", "characters", "tokenizer"]
    lower: bool
    tokens: tuple[str, ...]
    tokenizer: str | None = None  # JSON

    def __post_init__(self) -> None:
        if (self.unit == "tokenizer") != (self.tokenizer is not None) or len(set(self.tokens)) < len(self.tokens):
            raise ValueError("a vocabulary of different tokens, or a tokenizer")

    @property
    def size(self) -> int:
        """How many identifiers there are, the four special ones included."""
        count = len(self.tokens) if self.tokenizer is None else tokenizer_of(self.tokenizer).get_vocab_size()
        return SPECIAL + count

    @functools.cached_property
    def _numbers(self) -> dict[str, int]:
        return {token: i for i, token in enumerate(self.tokens, SPECIAL)}

    def encode(self, text: str) -> np.ndarray:
        """Return the identifiers of a text's tokens, int32."""
        if self.tokenizer is not None:
            encoding = tokenizer_of(self.tokenizer).encode(
                text.lower() if self.lower else text, add_special_tokens=False
            )
            return np.array(encoding.ids, np.int32) + SPECIAL
        return np.array([self._numbers.get(token, UNKNOWN) for token in self.split(text)], np.int32)

    def split(self, text: str) -> list[str]:
        """Return a text's tokens."""
        return split(text, self.unit, self.lower)

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text of identifiers up to the end; padding and start are left out."""
        numbers_of_tokens: list[int] = []
        for number in map(int, numbers):
            if number == END:
                break
            if number not in (PADDING, START):
                numbers_of_tokens.append(number)
        if self.tokenizer is not None:
            text: str = tokenizer_of(self.tokenizer).decode([n - SPECIAL for n in numbers_of_tokens if n >= SPECIAL])
            return text
        unknown = "?" if self.unit == "characters" else "<unknown>"
        words = [self.tokens[number - SPECIAL] if number >= SPECIAL else unknown for number in numbers_of_tokens]
        return "".join(words) if self.unit == "characters" else NO_SPACE_BEFORE.sub("", " ".join(words))


def split(text: str, unit: str, lower: bool) -> list[str]:
    """Return a text's words (and marks, each for itself) or characters.

    Chinese and Japanese are written without blanks; each of their characters is a word, as in BERT's tokeniser.
    """
    text = text.lower() if lower else text
    return list(text) if unit == "characters" else WORD.findall(text)


def fit_vocabulary(texts: Iterable[str], settings: TextSettings, tokenizer: str | None) -> Vocabulary:
    """Return the most frequent tokens of training texts, in their order; ties go by the alphabet."""
    if tokenizer is not None:
        return Vocabulary("tokenizer", settings.lower, (), tokenizer)
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(split(text, settings.unit, settings.lower))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[: settings.max_tokens]
    tokens = tuple(token for token, count in ordered if count >= settings.min_count)
    if not tokens:
        raise DataError("the training texts have no tokens", cure="lower `min_count`, or look at the texts")
    return Vocabulary(settings.unit, settings.lower, tokens)


def read_tokenizer(settings: TextSettings, folder: Path) -> str | None:
    """Return the JSON of the tokenizer file that the settings name.

    Raises:  DataError for a file that is no tokenizer
    """
    if settings.tokenizer is None:
        return None
    path = folder / settings.tokenizer
    check_file(path, MAX_TOKENIZER_BYTES)
    try:
        text = json.dumps(json.loads(path.read_bytes()), ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"not a tokenizer file: {error}", where=str(path)) from None
    try:
        tokenizer_of(text)
    except ConfigError:
        raise
    except Exception as error:  # the package raises Exception itself
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"not a tokenizer file: {reason}", where=str(path), cure="write it with the package tokenizers"
        ) from None
    return text


def token_columns(
    texts: pl.Series, vocabulary: Vocabulary, length: int, column: str, report: Report
) -> tuple[np.ndarray, np.ndarray]:
    """Return identifiers, int32 [rows, length], cut or padded at the end, and a mask that is true where a token is.

    A missing or empty text is one unknown token, so that a mean over tokens always has one.
    """
    sequences = [count_tokens(vocabulary, text or "", column, report) for text in texts]
    cut = sum(len(ids) > length for ids in sequences)
    if cut:
        report.cut[column] += cut
    ids = padded([ids if len(ids) else np.array([UNKNOWN], np.int32) for ids in sequences], length)
    return ids, ids != PADDING


def count_tokens(vocabulary: Vocabulary, text: str, column: str, report: Report) -> np.ndarray:
    """Return a text's identifiers; the report counts those that training did not know."""
    ids = vocabulary.encode(text)
    report.tokens[column] += len(ids)
    unknown = int((ids == UNKNOWN).sum())
    if unknown:
        report.unknown[column] += unknown
        report.examples.setdefault(column, vocabulary.split(text)[int(np.argmax(ids == UNKNOWN))])
    return ids


@functools.lru_cache(maxsize=8)
def tokenizer_of(text: str) -> Any:
    """Return the tokenizer of a JSON text."""
    try:
        from tokenizers import Tokenizer  # of the extra `text`: only models that have a tokenizer need it
    except ImportError:
        raise ConfigError(
            "the package tokenizers is not installed", where="data.text.tokenizer", cure=MISSING_EXTRA
        ) from None
    return Tokenizer.from_str(text)


def padded(sequences: Sequence[np.ndarray], length: int, setting: str = "length") -> np.ndarray:
    """Return sequences of identifiers as int32 [rows, length]: cut, or filled up with padding.

    Raises:  ResourceError naming the setting of the length, where they and what goes with them do not fit into memory
    """
    cure = f"choose a smaller `{setting}`"
    require_room(len(sequences) * length * TOKEN_BYTES, f"texts of {length:,} tokens", f"data.text.{setting}", cure)
    table = np.full((len(sequences), length), PADDING, np.int32)
    for row, sequence in zip(table, sequences, strict=True):
        row[: min(length, len(sequence))] = sequence[:length]
    return table
