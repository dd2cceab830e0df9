"""Generating texts token by token: greedily, by sampling, or by beam search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from retrograd.base.compilation.programs import Program
from retrograd.data.cells.vocabulary import Marks
from retrograd.data.preprocessing import Preprocessing
from retrograd.data.texts.inputs import CorpusInputs
from retrograd.data.texts.targets import Answer
from retrograd.network.network import Variables
from retrograd.network.precision import computing_in
from retrograd.training.use.evaluate import Evaluator
from retrograd.training.use.stepping import empty, step

NextLogits = Callable[[np.ndarray], np.ndarray]  # prefixes [rows, tokens] -> next token's logits [rows, vocabulary]


DEFAULT_MARKS = Marks()


class Speaker(Protocol):
    """The parts of a model that decoding needs."""

    @property
    def evaluator(self) -> Evaluator:
        """The compiled forward pass."""

    @property
    def variables(self) -> Variables:
        """The weights."""

    @property
    def preprocessing(self) -> Preprocessing:
        """The vocabulary and the lengths."""


class Beam(NamedTuple):
    """A finished text: its identifiers without start and end, and its log probability."""

    tokens: np.ndarray
    score: float


def continuation(model: Speaker, inputs: CorpusInputs) -> NextLogits:
    """Return a function for the next token's logits under a language model, which sees at most `length` tokens."""

    def logits(begun: np.ndarray) -> np.ndarray:
        window = begun[:, -inputs.length :]
        x = np.full((len(window), inputs.length), inputs.vocabulary.marks.padding, np.int32)
        x[:, : window.shape[1]] = window
        mask = np.broadcast_to(np.arange(inputs.length) < window.shape[1], x.shape)
        return _outputs(model, {"x": x, "mask": mask})[:, window.shape[1] - 1]

    return logits


@dataclass
class CachedLogits:
    """The next token's logits under a language model, with the keys and values of earlier tokens cached.

    A text longer than the model's sequences is recomputed as a whole, since all its positions shift.
    """

    model: Speaker
    inputs: CorpusInputs
    begun: np.ndarray | None = None  # the texts of the last call
    cache: Any = None

    def __post_init__(self) -> None:
        network, params = self.model.evaluator.network, self.model.variables.params
        self.whole = continuation(self.model, self.inputs)
        self.step = Program(step, network)
        self.empty = partial(empty, network, params, self.inputs.length)

    def __call__(self, begun: np.ndarray) -> np.ndarray:
        """Return the next token's logits for each text [rows, vocabulary]."""
        rows, tokens = begun.shape
        if tokens > self.inputs.length:
            return self.whole(begun)
        known = 0 if self.begun is None or self.begun.shape[1] + 1 != tokens else len(self.begun)
        before = _places(self.begun, begun[:, :-1]) if self.begun is not None and known else None
        self.begun = begun
        if before is None:
            x = np.full((rows, self.inputs.length), self.inputs.vocabulary.marks.padding, np.int32)
            x[:, :tokens] = begun
            with computing_in(self.model.evaluator.precision):
                self.cache = self.empty(rows)
            return self._run(x, 0, tokens - 1)
        if not np.array_equal(before, np.arange(known)):
            with computing_in(self.model.evaluator.precision):
                self.cache = jax.tree.map(lambda leaf: leaf[before], self.cache)
        return self._run(begun[:, -1:].astype(np.int32), tokens - 1, 0)

    def _run(self, x: np.ndarray, start: int, last: int) -> np.ndarray:
        with computing_in(self.model.evaluator.precision):
            logits, self.cache = self.step(*self.model.variables, self.cache, x, np.int32(start), np.int32(last))
        return np.asarray(logits)


def _places(known: np.ndarray, texts: np.ndarray) -> np.ndarray | None:
    """Return the index of each text among the known ones; None if one is new."""
    same = (known[None] == texts[:, None]).all(-1)
    return same.argmax(1) if same.any(1).all() else None


def answering(model: Speaker, target: Answer, columns: Mapping[str, np.ndarray], copies: int = 1) -> NextLogits:
    """Return a function for the next token's logits in answers to the texts in `columns`, each `copies` times."""
    sources = {name: np.repeat(column, copies, 0) for name, column in columns.items()}

    def logits(begun: np.ndarray) -> np.ndarray:
        previous = np.full((len(begun), target.length), target.vocabulary.marks.padding, np.int32)
        previous[:, : begun.shape[1]] = begun
        return _outputs(model, {**sources, "previous": previous})[:, begun.shape[1] - 1]

    return logits


def answers(model: Speaker, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the most likely answers token by token (greedy), identifiers [rows, length]."""
    target = model.preprocessing.target
    assert isinstance(target, Answer)
    rows = len(columns["x"])
    marks = target.vocabulary.marks
    begun = np.full((rows, 1), marks.start, np.int32)
    return extend(answering(model, target, columns), begun, target.length, likeliest, marks)[:, 1:]


def likeliest(logits: np.ndarray) -> np.ndarray:
    """Return the most likely token of each row."""
    tokens: np.ndarray = logits.argmax(-1)
    return tokens


def drawn(temperature: float, top: int | None, rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """Return a sampler with p = softmax(logits / temperature) over the `top` most likely tokens."""

    def choose(logits: np.ndarray) -> np.ndarray:
        scaled = logits.astype(np.float64) / temperature
        if top is not None and top < scaled.shape[-1]:
            least = np.partition(scaled, -top, -1)[:, -top, None]
            scaled = np.where(scaled < least, -np.inf, scaled)
        shares = np.exp(scaled - scaled.max(-1, keepdims=True)).cumsum(-1)
        dice = rng.random((len(shares), 1)) * shares[:, -1:]
        tokens: np.ndarray = (shares <= dice).sum(-1)
        return tokens

    return choose


def extend(
    next_logits: NextLogits,
    begun: np.ndarray,
    length: int,
    choose: Callable[[np.ndarray], np.ndarray],
    marks: Marks = DEFAULT_MARKS,
) -> np.ndarray:
    """Return prefixes [rows, tokens] extended by up to `length` tokens; rows that have ended are padded."""
    done = np.zeros(len(begun), bool)
    for _ in range(length):
        tokens = np.where(done, marks.padding, choose(_allowed(next_logits(begun), marks)))
        begun = np.column_stack([begun, tokens.astype(np.int32)])
        done |= tokens == marks.end
        if done.all():
            break
    return begun


def search(
    next_logits: NextLogits,
    begun: np.ndarray,
    length: int,
    width: int,
    exponent: float = 1.0,
    marks: Marks = DEFAULT_MARKS,
) -> list[Beam]:
    """Return the best `width` texts that a beam search finds from one prefix [tokens], the best first.

    At each step only the `width` most likely extensions are kept. Finished texts are compared by log probability /
    (number of tokens including the end) ** exponent: 0 favours short ones, 1 takes the mean per token. Texts cut at
    `length` come after them. `next_logits` must accept `width` rows.

    See:  Wu et al. 2016, arXiv:1609.08144, section 7
    """
    alive, scores = np.repeat(begun[None], width, 0), np.full(width, -np.inf)
    scores[0] = 0.0  # the other rows are copies
    ended: list[Beam] = []

    def rank(beam: Beam) -> float:
        return float(-beam.score / (len(beam.tokens) + 1) ** exponent)

    for _ in range(length):
        totals = scores[:, None] + _log_shares(_allowed(next_logits(alive), marks))
        order = np.argsort(-totals, axis=None, kind="stable")[: 2 * width]
        rows, tokens = np.unravel_index(order, totals.shape)
        best = totals[rows, tokens]
        likely = np.isfinite(best)
        # an end counts only if it is among the `width` most likely extensions
        ends = np.flatnonzero((tokens == marks.end) & likely & (np.arange(len(best)) < width))
        ended += [Beam(alive[rows[i], len(begun) :], float(best[i])) for i in ends]
        going = np.flatnonzero((tokens != marks.end) & likely)[:width]
        if not len(going) or (len(ended) >= width and best[going[0]] < min(beam.score for beam in ended)):
            return sorted(ended, key=rank)[:width]
        places = np.resize(going, width)
        alive = np.column_stack([alive[rows[places]], tokens[places].astype(np.int32)])
        scores = np.where(np.arange(width) < len(going), best[places], -np.inf)
    cut = [Beam(row[len(begun) :], float(s)) for row, s in zip(alive, scores, strict=True) if np.isfinite(s)]
    return [*sorted(ended, key=rank), *sorted(cut, key=rank)][:width]


def _outputs(model: Speaker, columns: dict[str, Any]) -> np.ndarray:
    return model.evaluator.outputs(model.variables, columns)


def _allowed(logits: np.ndarray, marks: Marks) -> np.ndarray:
    """Return logits that allow only tokens and the end; a forbidden mark that doubles as the end stays allowed."""
    logits = logits.copy()
    never = [mark for mark in (marks.padding, marks.unknown, marks.start) if mark != marks.end]
    logits[:, never] = -np.inf
    return logits


def _log_shares(logits: np.ndarray) -> np.ndarray:
    logits = logits.astype(np.float64)
    highest = logits.max(-1, keepdims=True)
    log_shares: np.ndarray = logits - highest - np.log(np.exp(logits - highest).sum(-1, keepdims=True))
    return log_shares
