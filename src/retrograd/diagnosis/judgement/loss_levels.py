"""References for losses without a score: a constant output, a linear model, and a perfect output.

For autoencoders, language models, contrastive embeddings and masks, the loss itself is computed on outputs made
without the network, so that every loss has a reference in its own units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.data.prefetch import is_streamed
from retrograd.diagnosis.judgement.score import columns_of
from retrograd.network.layer import Context
from retrograd.network.losses.loss import Loss
from retrograd.network.network import Variables, take
from retrograd.propagation.backprop import forward
from retrograd.propagation.objective import Objective
from retrograd.training.prepare import Prepared
from retrograd.training.use.evaluate import Evaluator
from retrograd.training.use.link import link_of

ROWS, TRAINING_ROWS = 256, 3_000  # rows compared, and rows used for means and components
MOST_NUMBERS = 2 * 10**7  # maximum size of one output
SHARPEST = (2.0, 4.0, 8.0, 16.0)  # candidate logits of a right answer; the best of them is the floor
CLIP = 1e-4  # distance from 0 and 1 of a share that becomes a logit
SMOOTHING = 4.0  # weight of the token frequencies in each row of the bigram table, in rows
TINY = 1e-3  # of the loss of an output of zeros: rows that are all the same are no reference for one another


class LossLevels(NamedTuple):
    """Losses on rows of the measured part: of a constant, of a perfect output, and of a linear model, if any.

    `scale` is the loss at a score of 0, measured from the floor.
    """

    rows: Mapping[str, Mapping[str, Any]]
    evaluator: Evaluator
    constant: float
    constant_words: str
    floor: float
    scale: float
    linear: float | None = None
    linear_words: str = ""

    def loss(self, variables: Variables, part: str) -> float:
        """Return the loss of these weights on the rows of a part."""
        return self.evaluator.loss(variables, self.rows[part])[0]

    def score(self, loss: float) -> float:
        """Return a loss as a score: 1 at the floor, 0 at the constant, negative if worse, but at least -1."""
        if not np.isfinite(loss):
            return -1.0
        return float(max(-1.0, 1 - (loss - self.floor) / self.scale))


def loss_levels(prepared: Prepared) -> LossLevels | None:
    """Return the references for a run's main objective; None if its targets allow none."""
    objective = Evaluator(prepared.network, prepared.objectives, prepared.dataset.preprocessing).main
    train, measured = some(prepared, "train", TRAINING_ROWS), some(prepared, prepared.measured_part, ROWS)
    if train is None or measured is None or not isinstance(objective.loss, Loss):
        return None
    with jax.default_matmul_precision("highest"):
        return _levels(prepared, objective, train, measured)


def _levels(
    prepared: Prepared, objective: Objective, train: dict[str, Any], measured: dict[str, Any]
) -> LossLevels | None:
    refs = Shown(prepared, objective, train, measured)
    losses = {name: refs.best(outputs) for name, outputs in (
        ("constant", refs.constants), ("floor", refs.perfect), ("zero", refs.zeros), ("linear", refs.linear)
    )}  # fmt: skip
    constant, floor = losses["constant"], 0.0 if refs.compares_outputs else losses["floor"]
    if constant is None or floor is None:
        return None
    scale, widest = constant - floor, max((losses["zero"] or constant) - floor, 0.0)
    scale = scale if scale > TINY * widest else widest
    if not np.isfinite(scale) or scale <= 0:
        return None
    evaluator = Evaluator(prepared.network, (objective,), prepared.dataset.preprocessing)
    rows = {"train": {name: column[:ROWS] for name, column in train.items()}, prepared.measured_part: measured}
    linear, words = losses["linear"], refs.linear_words
    return LossLevels(rows, evaluator, constant, refs.constant_words, floor, scale, linear, words)


def some(prepared: Prepared, part: str, count: int) -> dict[str, Any] | None:
    """Return evenly spaced rows of a part; None for columns that are decoded row by row."""
    columns = columns_of(prepared.dataset, part)
    if is_streamed(columns):
        return None
    rows = len(next(iter(columns.values())))
    chosen = np.unique(np.linspace(0, rows - 1, min(rows, count)).astype(int))
    return {name: column[chosen] for name, column in columns.items()}


class Shown:
    """An objective, and reference outputs for it."""

    def __init__(self, prepared: Prepared, objective: Objective, own: dict[str, Any], held: dict[str, Any]) -> None:
        self.prepared, self.objective, self.own, self.held = prepared, objective, own, held
        self.loss: Loss = objective.loss  # type: ignore[assignment]
        network = prepared.network
        first = network.init(jax.random.key(0), own)
        outputs = forward(network, first.params, first.state, Context(), held).outputs
        self.inputs = tuple(take(outputs, name) for name in objective.inputs)
        self.predicted = self.inputs[: self.loss.predictions]
        self.target = objective.inputs[self.loss.predictions] if self.loss.targets else ""
        self.shape = tuple(self.predicted[0].shape)
        self.logits = link_of(self.loss) == "logit"
        self.constant_words, self.linear_words = "a constant output", ""

    def best(self, outputs: Callable[[], Iterator[np.ndarray]]) -> float | None:
        """Return the smallest loss of several outputs; None without any."""
        losses = [self.of(output) for output in outputs() if np.size(output) <= MOST_NUMBERS]
        return min((loss for loss in losses if np.isfinite(loss)), default=None)

    def of(self, output: np.ndarray) -> float:
        """Return the loss of an output that replaces the network's."""
        predictions = [jnp.broadcast_to(jnp.asarray(output, real.dtype), real.shape) for real in self.predicted]
        return float(self.loss.forward({}, {}, Context(), *predictions, *self.inputs[len(predictions) :]).y)

    @property
    def compares_outputs(self) -> bool:
        """Whether the loss compares outputs with one another rather than with a column."""
        return self.loss.predictions > 1 or self.target not in self.own

    @property
    def counts(self) -> np.ndarray | None:
        """The frequency of each class among the training targets, if these are class numbers."""
        target = self.own.get(self.target)
        if target is None or not np.issubdtype(target.dtype, np.integer) or target.shape[1:] != self.shape[1:-1]:
            return None
        classes = self._counted(target)
        return np.bincount(classes[classes >= 0], minlength=self.shape[-1])[: self.shape[-1]].astype(float)

    @property
    def numbers(self) -> np.ndarray | None:
        """The training targets, if they are numbers in the shape of the output."""
        target = self.own.get(self.target)
        fits = target is not None and tuple(np.shape(target)[1:]) == self.shape[1:]
        return np.asarray(target, np.float64) if fits else None

    def constants(self) -> Iterator[np.ndarray]:
        """Yield outputs that are the same for every row: the mean, the median, the frequencies."""
        if self.compares_outputs:
            yield np.ones(self.shape[1:])
        elif self.counts is not None:
            self.constant_words = "the class frequencies" if self.pairs is None else "the token frequencies"
            # no share may be 0, so that the logarithm is finite
            yield self._as_output((self.counts + 1e-3) / (self.counts + 1e-3).sum())
        elif self.numbers is not None:
            self.constant_words = "the mean of all rows"
            yield self._as_output(self.numbers.mean(0))
            yield self._as_output(np.median(self.numbers, 0))

    def perfect(self) -> Iterator[np.ndarray]:
        """Yield the best possible outputs."""
        if self.compares_outputs:
            return
        if self.counts is not None:
            right = np.eye(self.shape[-1])[np.asarray(self.held[self.target])]
            yield from (right * size for size in SHARPEST) if self.logits else (right,)
        elif self.numbers is not None:
            yield self._as_output(np.asarray(self.held[self.target], np.float64))

    def zeros(self) -> Iterator[np.ndarray]:
        """Yield an output without information."""
        yield np.zeros(self.shape[1:])

    def linear(self) -> Iterator[np.ndarray]:
        """Yield the outputs of a linear model: principal components, or the bigram table."""
        if self.compares_outputs:
            return
        if self.pairs is not None:
            self.linear_words = "the bigram frequencies"
            yield self.pairs
        elif self.target == "x" and self.numbers is not None and np.ptp(self.numbers, 0).any():
            yield self._components()

    @property
    def pairs(self) -> np.ndarray | None:
        """The bigram frequencies of the sample as an output: tokens after each token; None for other tasks."""
        x, vocabulary = self.own.get("x"), self.shape[-1]
        if self.prepared.dataset.task != "next_token" or self.counts is None or x is None:
            return None
        if np.prod(self.shape) > MOST_NUMBERS or vocabulary * (int(np.max(x)) + 1) > MOST_NUMBERS:
            return None
        table = np.zeros((int(max(np.max(x), np.max(self.held["x"]))) + 1, vocabulary))
        np.add.at(table, (self._counted(x), self._counted(self.own[self.target])), 1)
        frequencies = (self.counts + 1e-3) / (self.counts + 1e-3).sum()  # no share may be 0
        table = (table + SMOOTHING * frequencies) / (table.sum(1, keepdims=True) + SMOOTHING)
        return self._as_output(table[np.asarray(self.held["x"])])

    def _components(self) -> np.ndarray:
        """Return the rows rebuilt from principal components: as many as the narrowest layer has units, at most half."""
        from sklearn.decomposition import PCA

        assert self.numbers is not None
        flat = self.numbers.reshape(len(self.numbers), -1)
        count = max(1, min(self.narrowest, flat.shape[1] // 2, len(flat) - 1))
        self.linear_words = f"{count} principal component{'s' * (count > 1)}"
        # exact as long as that is quick
        model = PCA(count, svd_solver="randomized" if min(flat.shape) > 500 else "auto", random_state=0).fit(flat)
        measured = np.asarray(self.held[self.target], np.float64)
        rows = model.inverse_transform(model.transform(measured.reshape(len(measured), -1)))
        return self._as_output(rows.reshape(measured.shape))

    @property
    def narrowest(self) -> int:
        """The smallest number of values per row that any node outputs."""
        specs = self.prepared.network.specs(self.held)
        sizes = [int(np.prod(spec.shape[1:])) for spec in specs.values() if len(getattr(spec, "shape", ())) > 1]
        return min(sizes, default=1)

    def _as_output(self, values: np.ndarray) -> np.ndarray:
        """Return shares in the form that the loss expects: logits, logarithms of class shares, or shares."""
        if not self.logits:
            return values
        shares = np.clip(values, CLIP, 1 - CLIP if self.counts is None else 1.0)
        outputs: np.ndarray = np.log(shares) if self.counts is not None else np.log(shares / (1 - shares))
        return outputs

    def _counted(self, column: np.ndarray) -> np.ndarray:
        """Return the entries of a column that the loss counts, flattened."""
        names = self.objective.inputs[self.loss.predictions + 1 :]
        masks = [self.own[name] for name in names if name in self.own and self.own[name].dtype == np.bool_]
        fits = masks and column is not self.held.get("x") and masks[0].shape == column.shape
        return np.asarray(column[masks[0]] if fits else column).reshape(-1)
