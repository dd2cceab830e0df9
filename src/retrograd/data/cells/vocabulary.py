"""Tokens, their identifiers, and decoding to text."""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from pydantic import ConfigDict

from retrograd.base.errors import ConfigError, DataError
from retrograd.base.memory import require_room
from retrograd.data.read.files import check_file
from retrograd.data.report import Report
from retrograd.data.texts.settings import TextSettings

PADDING, UNKNOWN, START, END = range(4)  # identifiers without a token
SPECIAL = 4
MASK = "[MASK]"  # stands for a hidden token in text
NO_TARGET = -1  # marks places without a target if 0 may be one
TOKEN_BYTES = 9  # of memory per token: identifier, target and mask
UNSPACED = (
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"  # Chinese and Japanese characters
)
WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+|[^\w\s]")
NO_SPACE_BEFORE = re.compile(rf" (?=[.,;:!?)\]}}%'’。，；：！？）{UNSPACED}])|(?<=[(\[{{'’（{UNSPACED}]) ")
MAX_TOKENIZER_BYTES = 8 * 1024**2  # since it is stored in the model's header
MISSING_EXTRA = "install it with `pip install 'retrograd[text]'`"


class Marks(NamedTuple):
    """The special identifiers, which stand for no token."""

    padding: int = PADDING
    unknown: int = UNKNOWN
    start: int = START
    end: int = END
    mask: int | None = None


@dataclass(frozen=True)
class Vocabulary:
    """The tokens known to training; token i has the identifier i + 4, after padding, unknown, start and end.

    With `special`, identifiers are those of the tokenizer, including these four. If tokens can be hidden (`has_mask`),
    the mask comes after the tokens, or is that of the tokenizer.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    unit: Literal["words", "characters", "tokenizer"]
    lower: bool
    tokens: tuple[str, ...]
    tokenizer: str | None = None  # JSON
    special: Marks | None = None
    has_mask: bool = False

    def __post_init__(self) -> None:
        if (self.unit == "tokenizer") != (self.tokenizer is not None) or len(set(self.tokens)) < len(self.tokens):
            raise ValueError("expected a vocabulary of distinct tokens, or a tokenizer")
        if self.has_mask and self.special is not None and self.special.mask is None:
            raise ValueError("the tokenizer has no mask of its own")

    @property
    def size(self) -> int:
        """The number of identifiers, including the four special ones and the mask."""
        return self.beyond + (self.has_mask and self.special is None)

    @property
    def marks(self) -> Marks:
        """The special identifiers, which stand for no token."""
        return self.special or Marks(mask=self.beyond if self.has_mask else None)

    @property
    def mask(self) -> int | None:
        """The identifier that hides a token; None if tokens are not hidden."""
        return self.marks.mask if self.has_mask else None

    @property
    def first(self) -> int:
        """The identifier of the first token."""
        return SPECIAL if self.special is None else 0

    @functools.cached_property
    def beyond(self) -> int:
        """The identifier after the last token."""
        count = len(self.tokens) if self.tokenizer is None else tokenizer_of(self.tokenizer).get_vocab_size()
        return self.first + count

    @property
    def no_target(self) -> int:
        """The number that marks places without a target."""
        return PADDING if self.special is None and not self.has_mask else NO_TARGET

    @functools.cached_property
    def _numbers(self) -> dict[str, int]:
        return {token: i for i, token in enumerate(self.tokens, SPECIAL)}

    def encode(self, text: str) -> np.ndarray:
        """Return the identifiers of the tokens in a text, int32; if tokens can be hidden, [MASK] becomes the mask."""
        if self.mask is None or MASK not in text:
            return self._encoded(text)
        mask = np.array([self.mask], np.int32)
        return np.concatenate([ids for piece in text.split(MASK) for ids in (mask, self._encoded(piece))][1:])

    def _encoded(self, text: str) -> np.ndarray:
        if self.tokenizer is not None:
            return np.array(self._encoding(text, False).ids, np.int32) + self.first
        return np.array([self._numbers.get(token, UNKNOWN) for token in self._pieces(text)], np.int32)

    def encode_whole(self, text: str, length: int) -> np.ndarray:
        """Return the identifiers of a text with the special tokens that the tokenizer adds, cut to a length."""
        ids = np.array(self._encoding(text, True).ids, np.int32)
        if len(ids) > length and ids[-1] == self.marks.end:
            ids[length - 1] = self.marks.end
        return ids[:length]

    def split(self, text: str) -> list[str]:
        """Return the tokens of a text."""
        if self.mask is None:
            return self._pieces(text)
        return [token for piece in text.split(MASK) for token in (MASK, *self._pieces(piece))][1:]

    def _pieces(self, text: str) -> list[str]:
        if self.tokenizer is not None:
            return [text[first:last] for first, last in self._encoding(text, False).offsets]
        return split(text, self.unit, self.lower)

    def _encoding(self, text: str, marked: bool) -> Any:
        return tokenizer_of(str(self.tokenizer)).encode(text.lower() if self.lower else text, add_special_tokens=marked)

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text of identifiers up to the end mark, without padding and start."""
        numbers_of_tokens: list[int] = []
        for number in map(int, numbers):
            if number == self.marks.end:
                break
            if number not in (self.marks.padding, self.marks.start):
                numbers_of_tokens.append(number)
        if self.tokenizer is not None:
            ids = [number - self.first for number in numbers_of_tokens if number >= self.first]
            text: str = tokenizer_of(self.tokenizer).decode(ids)
            return text
        unknown = "?" if self.unit == "characters" else "<unknown>"
        tokens = (*self.tokens, MASK) if self.has_mask else self.tokens
        words = [tokens[number - SPECIAL] if number >= SPECIAL else unknown for number in numbers_of_tokens]
        return "".join(words) if self.unit == "characters" else NO_SPACE_BEFORE.sub("", " ".join(words))


def split(text: str, unit: str, lower: bool) -> list[str]:
    """Return the words and punctuation marks of a text, or its characters.

    Chinese and Japanese are written without spaces; each of their characters is a word, as in BERT's tokenizer.
    """
    text = text.lower() if lower else text
    return list(text) if unit == "characters" else WORD.findall(text)


def fit_vocabulary(texts: Iterable[str], settings: TextSettings, tokenizer: str | None) -> Vocabulary:
    """Return the most frequent tokens of training texts, in order of frequency; ties are alphabetical."""
    has_mask = settings.masked is not None
    if tokenizer is not None:
        special = settings.special
        marks = Marks(*special.others, special.mask) if special else None
        return Vocabulary("tokenizer", settings.lower, (), tokenizer, marks, has_mask)
    counts: Counter[str] = Counter()
    for text in texts:
        for piece in text.split(MASK) if has_mask else (text,):
            counts.update(split(piece, settings.unit, settings.lower))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[: settings.max_tokens]
    tokens = tuple(token for token, count in ordered if count >= settings.min_count)
    if not tokens:
        raise DataError("the training texts have no tokens", cure="lower `min_count`, or check the texts")
    return Vocabulary(settings.unit, settings.lower, tokens, has_mask=has_mask)


def read_tokenizer(settings: TextSettings, folder: Path) -> str | None:
    """Return the JSON of the configured tokenizer file; None without one.

    Raises:  DataError for a file that is not a tokenizer
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
            f"not a tokenizer file: {reason}", where=str(path), cure="create it with the package tokenizers"
        ) from None
    return text


def token_columns(
    texts: pl.Series, vocabulary: Vocabulary, length: int, column: str, report: Report
) -> tuple[np.ndarray, np.ndarray]:
    """Return identifiers, int32 [rows, length], cut or padded at the end, and a mask that is true for tokens.

    A missing or empty text becomes one unknown token, so that a mean over tokens is always defined.
    """
    sequences = [count_tokens(vocabulary, text or "", column, report) for text in texts]
    cut = sum(len(ids) > length for ids in sequences)
    if cut:
        report.cut[column] += cut
    if vocabulary.special is not None:
        sequences = [vocabulary.encode_whole(text or "", length) for text in texts]
    marks = vocabulary.marks
    sequences = [ids if len(ids) else np.array([marks.unknown], np.int32) for ids in sequences]
    return padded(sequences, length, filler=marks.padding), there(sequences, length)


def count_tokens(vocabulary: Vocabulary, text: str, column: str, report: Report) -> np.ndarray:
    """Return the identifiers of a text; the report counts tokens unknown to training."""
    ids = vocabulary.encode(text)
    report.tokens[column] += len(ids)
    unknown = int((ids == vocabulary.marks.unknown).sum())
    if unknown:
        report.unknown[column] += unknown
        report.examples.setdefault(column, vocabulary.split(text)[int(np.argmax(ids == vocabulary.marks.unknown))])
    return ids


@functools.lru_cache(maxsize=8)
def tokenizer_of(text: str) -> Any:
    """Return the tokenizer of a JSON text."""
    try:
        from tokenizers import Tokenizer  # in the extra `text`: only models with a tokenizer need it
    except ImportError:
        raise ConfigError(
            "the package tokenizers is not installed", where="data.text.tokenizer", cure=MISSING_EXTRA
        ) from None
    return Tokenizer.from_str(text)


def there(sequences: Sequence[np.ndarray], length: int) -> np.ndarray:
    """Return where `padded` places identifiers of the sequences, bool [rows, length]."""
    lengths = np.array([len(ids) for ids in sequences])
    mask: np.ndarray = np.arange(length) < lengths[:, None]
    return mask


def padded(sequences: Sequence[np.ndarray], length: int, setting: str = "length", filler: int = PADDING) -> np.ndarray:
    """Return sequences of identifiers as int32 [rows, length], cut or padded.

    Raises:  ResourceError naming the setting of the length, if they and their targets and masks do not fit in memory
    """
    cure = f"choose a smaller `{setting}`"
    require_room(len(sequences) * length * TOKEN_BYTES, f"texts of {length:,} tokens", f"data.text.{setting}", cure)
    table = np.full((len(sequences), length), filler, np.int32)
    for row, sequence in zip(table, sequences, strict=True):
        row[: min(length, len(sequence))] = sequence[:length]
    return table
