"""The `text:` section: how texts become sequences of identifiers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from retrograd.base.annotations import Words
from retrograd.base.errors import Problem
from retrograd.base.quantities import NonNegativeInt, PositiveInt, Share
from retrograd.base.schema import Settings
from retrograd.base.sentence import data_setting, sentence

NEXT = data_setting("next", "true", section="text")
TOKENIZER_UNIT = data_setting("unit", "tokenizer", section="text")
LONGEST = 512  # tokens; longer texts are cut, unless `length` is set


@dataclass(frozen=True)
class SpecialTokens(Settings):
    """A tokenizer's own identifiers for special tokens, as a pretrained model knows them."""

    padding: Annotated[NonNegativeInt, Words("the identifier that pads a sequence")]
    unknown: Annotated[NonNegativeInt, Words("the identifier for unknown tokens")]
    start: Annotated[NonNegativeInt, Words("the identifier that begins a text")]
    end: Annotated[NonNegativeInt, Words("the identifier that ends a text")]
    mask: Annotated[
        NonNegativeInt | None, Words("the identifier that replaces a hidden token", why="none; `masked` needs one")
    ] = None

    @property
    def others(self) -> tuple[int, int, int, int]:
        """The identifiers other than the mask."""
        return (self.padding, self.unknown, self.start, self.end)


@dataclass(frozen=True)
class TextSettings(Settings):
    """How texts are cut into tokens, and what is learned from them.

    The data are a table with a column of text, a folder with a subfolder of text files for each class, a folder of
    text files, or one text file. `next: true` learns to predict each next token (a language model); `masked: 0.15`
    hides that share of the tokens and learns to restore them (a masked language model, like BERT); `answer` is the
    column of a text to generate from the other one (sequence to sequence). Otherwise, the target is that of the table
    or folder.

    The text is then the only input. To use texts along with a table's other columns, omit `column` and give the text
    columns the kind `text` (`kinds: {review: text}`, or leave it to be detected): each becomes a batch column of its
    own name and a mask (`review`, `review_mask`), cut into tokens as this section says.

    The vocabulary is fitted on the training part: its most frequent tokens. With `unit: tokenizer`, it comes from a
    tokenizer file (JSON, as written by the package `tokenizers`), which is stored in the model.
    """

    column: Annotated[
        str | None, Words("column with the text", why="the only column of text, or the one named text")
    ] = None  # default: the only column of text, or the one named text
    answer: Annotated[str | None, Words("column with the text to generate")] = None
    next: Annotated[
        bool,
        Words("whether to learn to predict the next token: a language model", why="the target comes from the table"),
    ] = False
    masked: Annotated[
        Share | None,
        Words(
            "share of the tokens that are hidden, to be restored",
            more="more to learn from each text, but less context",
            less="slower learning",
            why="the target comes from the table",
        ),
    ] = None  # 0.15 in BERT; at least one token of each sequence
    unit: Annotated[
        Literal["words", "characters", "tokenizer"],
        Words("what a token is", why="words give short sequences and need no file"),
    ] = "words"
    tokenizer: Annotated[str | None, Words("a tokenizer file")] = None  # a file
    special: Annotated[
        SpecialTokens | None,
        Words(
            "the tokenizer's own special tokens; identifiers are then its own, as a pretrained model needs",
            why="none: 0 to 3 are special tokens, followed by the tokenizer's identifiers",
        ),
    ] = None
    lower: Annotated[bool, Words("whether text is converted to lower case", why="capitals may be informative")] = False
    length: Annotated[
        PositiveInt | None,
        Words(
            "tokens per sequence; longer ones are cut",
            more="more context, but slower",
            less="faster, but cuts more",
            why="the longest text",
        ),
    ] = None  # tokens; longer texts are cut. Default: the longest of the training part
    answer_length: Annotated[
        PositiveInt | None,
        Words("tokens per answer; longer ones are cut", more="longer answers", less="faster", why="the longest answer"),
    ] = None
    stride: Annotated[
        PositiveInt | None,
        Words(
            "tokens from the start of one sequence to the next",
            more="fewer sequences",
            less="more overlap between sequences",
            why="the sequence length: no overlap",
        ),
    ] = None  # tokens from one sequence of a language model to the next; default: its length
    max_tokens: Annotated[
        PositiveInt,
        Words(
            "tokens in the vocabulary",
            more="distinguishes more tokens, but has more weights",
            less="more tokens are unknown",
            why="rarer tokens teach little",
        ),
    ] = 20_000  # of the vocabulary
    min_count: Annotated[
        PositiveInt,
        Words(
            "how often a token must occur in the training part to be known",
            more="smaller vocabulary",
            less="larger vocabulary",
            why="1: all tokens",
        ),
    ] = 1  # a token that is rarer counts as unknown

    @property
    def is_running(self) -> bool:
        """Whether the tokens of running text are the target."""
        return self.next or self.masked is not None

    def rules(self) -> Iterator[Problem]:
        """Yield problems that concern several fields."""
        if (self.unit == "tokenizer") != (self.tokenizer is not None):
            yield Problem(
                "tokenizer",
                TOKENIZER_UNIT + " and its file belong together",
                "set both, or neither",
            )
        if self.special is not None and self.unit != "tokenizer":
            cure = "add " + TOKENIZER_UNIT + ", or remove `special`"
            yield Problem("special", "only a tokenizer has special tokens of its own", cure)
        if self.next and self.answer is not None:
            yield Problem(
                "answer",
                "with " + NEXT + ", the next token is the target",
                "keep only one of them",
            )
        if self.masked is not None and (self.next or self.answer is not None):
            other = "answer" if self.answer is not None else "next"
            yield Problem("masked", f"both hidden tokens and `{other}` would be the target", "keep only one of them")
        if self.masked is not None and self.special is not None and self.special.mask is None:
            mask = data_setting("special", "{..., mask: ID}", section="text")
            cure = "add the identifier of the tokenizer's mask: " + mask
            yield Problem("special", "`masked` needs a mask, which these special tokens lack", cure)
        if self.special is not None and self.special.mask in self.special.others:
            yield Problem("special.mask", "another special token has this identifier", "set the identifier of [MASK]")
        if self.answer_length is not None and self.answer is None:
            yield Problem(
                "answer_length", "there is no answer", "set its column with " + data_setting("answer", section="text")
            )
        if self.stride is not None and not self.is_running:
            yield Problem(
                "stride",
                "only language models have a stride",
                sentence("add {} or {}", NEXT, data_setting("masked", "0.15", section="text")),
            )
