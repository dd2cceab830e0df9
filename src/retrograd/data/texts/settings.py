"""The `text:` section: how texts become sequences of identifiers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from retrograd.base.annotations import Words
from retrograd.base.errors import Problem
from retrograd.base.quantities import NonNegativeInt, PositiveInt, Share
from retrograd.base.schema import Settings

LONGEST = 512  # tokens; longer texts are cut, unless `length` says otherwise


@dataclass(frozen=True)
class SpecialTokens(Settings):
    """Which of a tokenizer's own identifiers stand for no token, as a pretrained model knows them."""

    padding: Annotated[NonNegativeInt, Words("the identifier that fills a sequence up")]
    unknown: Annotated[NonNegativeInt, Words("the identifier of what the tokenizer does not know")]
    start: Annotated[NonNegativeInt, Words("the identifier that begins a text")]
    end: Annotated[NonNegativeInt, Words("the identifier that ends a text")]
    mask: Annotated[
        NonNegativeInt | None, Words("the identifier that hides a token", why="none: `masked` needs one")
    ] = None

    @property
    def others(self) -> tuple[int, int, int, int]:
        """The identifiers beside the mask."""
        return (self.padding, self.unknown, self.start, self.end)


@dataclass(frozen=True)
class TextSettings(Settings):
    """How texts are cut into tokens, and what is learned from them.

    The data are a table with a column of text, a folder with a sub-folder of text files for each class, a folder of
    text files, or one text file. `next: true` learns to predict each next token (a language model); `masked: 0.15`
    learns to restore that share of the tokens, which are hidden (a masked language model, as BERT); `answer` names the
    column of a text that is to be generated from the other one (sequence to sequence). Else the target is that of the
    table or folder.

    The text is the only input then. To use texts beside a table's other columns, leave `column` out and give these
    columns the kind `text` (`kinds: {review: text}`, or let it be recognised): each becomes a batch column of its own
    name and a mask (`review`, `review_mask`), cut as this section says.

    The vocabulary is fitted on the training part: its most frequent tokens. With `unit: tokenizer` it is that of a
    tokenizer file (JSON, as the package `tokenizers` writes it), which is stored in the model.
    """

    column: Annotated[str | None, Words("the column with the text", why="the only one, or the one named text")] = (
        None  # default: the only column of text, or the one named text
    )
    answer: Annotated[str | None, Words("the column with the text that is to be generated")] = None
    next: Annotated[
        bool, Words("whether the next token is what is learned: a language model", why="the target is the table's")
    ] = False
    masked: Annotated[
        Share | None,
        Words(
            "the share of the tokens that are hidden and to be restored",
            more="more is learned of a text; less is left to tell from",
            less="learns more slowly",
            why="the target is the table's",
        ),
    ] = None  # 0.15 in BERT; at least one token of each sequence
    unit: Annotated[
        Literal["words", "characters", "tokenizer"],
        Words("what a token is", why="words: short sequences, and no file is needed"),
    ] = "words"
    tokenizer: Annotated[str | None, Words("the file of a tokenizer")] = None  # a file
    special: Annotated[
        SpecialTokens | None,
        Words(
            "the tokenizer's own marks; identifiers are then its own, as a pretrained model needs",
            why="none: 0 to 3 are marks, and the tokenizer's identifiers follow",
        ),
    ] = None
    lower: Annotated[bool, Words("whether capitals are made small", why="capitals may tell")] = False
    length: Annotated[
        PositiveInt | None,
        Words(
            "tokens of a sequence; longer ones are cut",
            more="sees more; slower",
            less="faster, cuts more",
            why="the longest text",
        ),
    ] = None  # tokens; longer texts are cut. Default: the longest of the training part
    answer_length: Annotated[
        PositiveInt | None,
        Words(
            "tokens of an answer; longer ones are cut", more="longer answers", less="faster", why="the longest answer"
        ),
    ] = None
    stride: Annotated[
        PositiveInt | None,
        Words(
            "tokens from one sequence to the next",
            more="fewer sequences",
            less="sequences overlap more",
            why="their length",
        ),
    ] = None  # tokens from one sequence of a language model to the next; default: its length
    max_tokens: Annotated[
        PositiveInt,
        Words(
            "tokens of the vocabulary",
            more="distinguishes more; more weights",
            less="more are unknown",
            why="rarer ones teach little",
        ),
    ] = 20_000  # of the vocabulary
    min_count: Annotated[
        PositiveInt,
        Words(
            "how often a token must occur in the training part",
            more="smaller vocabulary",
            less="larger vocabulary",
            why="1: all",
        ),
    ] = 1  # a token that is rarer counts as unknown

    @property
    def is_running(self) -> bool:
        """Whether the tokens of running text are what is learned."""
        return self.next or self.masked is not None

    def rules(self) -> Iterator[Problem]:
        """Yield what is wrong between fields."""
        if (self.unit == "tokenizer") != (self.tokenizer is not None):
            yield Problem("tokenizer", "unit: tokenizer and its file belong together", "give both, or neither")
        if self.special is not None and self.unit != "tokenizer":
            yield Problem("special", "only a tokenizer has marks of its own", "add `unit: tokenizer`, or leave it out")
        if self.next and self.answer is not None:
            yield Problem("answer", "with `next: true` the next token is the answer", "keep one of them")
        if self.masked is not None and (self.next or self.answer is not None):
            other = "answer" if self.answer is not None else "next"
            yield Problem("masked", f"hidden tokens are the target, and so is `{other}`", "keep one of them")
        if self.masked is not None and self.special is not None and self.special.mask is None:
            cure = "add the identifier of the tokenizer's mask: `special: {..., mask: ID}`"
            yield Problem("special", "`masked` needs a mask, and these marks have none", cure)
        if self.special is not None and self.special.mask in self.special.others:
            yield Problem("special.mask", "it stands for another mark already", "give the identifier of [MASK] alone")
        if self.answer_length is not None and self.answer is None:
            yield Problem("answer_length", "there is no answer", "name its column with `answer:`")
        if self.stride is not None and not self.is_running:
            yield Problem("stride", "only a language model's sequences overlap", "add `next: true` or `masked: 0.15`")
