"""Generating texts: continuations by a language model, or answers by a sequence-to-sequence model."""

from __future__ import annotations

import numpy as np

from retrograd.base.errors import UsageError
from retrograd.base.sentence import data_setting
from retrograd.data.cells.vocabulary import Vocabulary
from retrograd.data.texts.inputs import CorpusInputs, TextInputs
from retrograd.data.texts.targets import Answer, MaskedToken
from retrograd.training.adapted import without_adaptation
from retrograd.training.use.decoding import (
    CachedLogits,
    NextLogits,
    answering,
    continuation,
    drawn,
    extend,
    likeliest,
    search,
)
from retrograd.training.use.predict import Model
from retrograd.training.use.stepping import can_step

USUAL_TOKENS = 200  # default length of a continuation


def generate(
    model: Model,
    text: str = "",
    *,
    length: int | None = None,
    temperature: float = 1.0,
    top: int | None = None,
    seed: int = 0,
) -> str:
    """Return a language model's continuation of a text, or a sequence-to-sequence model's answer to it.

    Each token is drawn from softmax(logits / temperature), among the `top` most likely if given; temperature 0 takes
    the most likely one. The same seed gives the same text. `length` is the maximum number of tokens (default 200; for
    answers, the model's own length).

    Raises:  UsageError for a model that generates no texts, or invalid arguments
    """
    if not temperature >= 0 or not np.isfinite(temperature) or (top is not None and top < 1):
        raise UsageError(f"expected a temperature >= 0 and top >= 1, got {temperature} and {top}")
    logits, begun, most, vocabulary = _start(without_adaptation(model), text)
    rng = np.random.Generator(np.random.PCG64(seed))
    choose = likeliest if temperature == 0 else drawn(temperature, top, rng)
    tokens = extend(logits, begun[None], _bounded(model, length, most), choose, vocabulary.marks)
    return vocabulary.decode(tokens[0, len(begun) :])


def beam_search(
    model: Model, text: str = "", *, width: int = 4, length: int | None = None, exponent: float = 1.0
) -> list[tuple[str, float]]:
    """Return the texts found by beam search, the best first, each with its log probability.

    Finished texts are compared by log probability / tokens ** exponent. Width 1 is the greedy choice.

    Raises:  UsageError for a model that generates no texts
    """
    if width < 1:
        raise UsageError(f"expected a width of at least 1, got {width}")
    logits, begun, most, vocabulary = _start(without_adaptation(model), text, width)
    beams = search(logits, begun, _bounded(model, length, most), width, exponent, vocabulary.marks)
    return [(vocabulary.decode(beam.tokens), beam.score) for beam in beams]


def _start(model: Model, text: str, copies: int = 1) -> tuple[NextLogits, np.ndarray, int, Vocabulary]:
    """Return the next-token function, the prefix, the default number of tokens, and the vocabulary of the answer."""
    inputs, target = model.preprocessing.inputs, model.preprocessing.target
    if isinstance(target, MaskedToken):
        raise UsageError(
            "the model fills in masked tokens", cure="complete a text containing [MASK]: `retrograd predict`"
        )
    if isinstance(inputs, CorpusInputs):
        begun = np.concatenate([[inputs.vocabulary.marks.start], inputs.vocabulary.encode(text)]).astype(np.int32)
        has_steps = model.members == 1 and can_step(model.network)
        logits = CachedLogits(model, inputs) if has_steps else continuation(model, inputs)
        return logits, begun, USUAL_TOKENS, inputs.vocabulary
    if isinstance(inputs, TextInputs) and isinstance(target, Answer):
        columns = model.columns([text])
        return (
            answering(model, target, columns, copies),
            np.array([target.vocabulary.marks.start], np.int32),
            target.length,
            target.vocabulary,
        )
    cure = "train one with " + data_setting("text.next", "true") + " or " + data_setting("text.answer", "COLUMN")
    raise UsageError("the model generates no texts", cure=cure)


def _bounded(model: Model, length: int | None, most: int) -> int:
    """Return the maximum number of tokens: an answer has no positions beyond its own length."""
    if length is not None and length < 1:
        raise UsageError(f"expected a length of at least 1, got {length}")
    is_answer = isinstance(model.preprocessing.target, Answer)
    return min(length or most, most) if is_answer else length or most
