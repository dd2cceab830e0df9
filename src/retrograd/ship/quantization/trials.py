"""Trials: what integers in a network change in the noise at its output, the metric, and the labels."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from retrograd.data.images.masks import Masks
from retrograd.data.tables.multilabel import MultiLabels
from retrograd.data.tables.target import Labels
from retrograd.data.texts.targets import MaskedToken, NextToken
from retrograd.network.network import take
from retrograd.ship.onnx.graph import Graph
from retrograd.ship.onnx.written import Written
from retrograd.ship.quantization.running import Columns, outputs
from retrograd.training.use.link import link_of
from retrograd.training.use.predict import Model
from retrograd.training.use.tallies import PlainTally, Tally

AGREEMENT = "agreement"  # with the output in float32, 1 - Σ (y - ŷ)² / Σ y²; used if the task has no metric


class Trial(NamedTuple):
    """The result of a network with some layers in integers: signal-to-noise ratio in dB, metric, changed labels."""

    signal_to_noise: float
    metric: float
    drop: float
    flipped: int | None


class Bench:
    """Runs variants of a network's graph on rows, and compares them with the graph in float32.

    `metric` is the task's first metric, `float_score` its value in float32; a drop is how much it decreases.
    """

    def __init__(self, model: Model, written: Written, graph: Graph, rows: Columns) -> None:
        self.model, self.written, self.rows = model, written, rows
        self.count = len(next(iter(rows.values())))
        self.columns = {name: written.columns[name] for name in model.network.columns}
        self.wanted = self.outputs(graph)
        tally = self._tallied(self.wanted)
        self.metric = AGREEMENT if tally is None or not tally.scores(full=False) else tally.names[0]
        self.float_score = self._measured(self.wanted)
        self.answers = self._answers(self.wanted)

    def outputs(self, graph: Graph) -> np.ndarray:
        """Return the main output of a graph for all rows."""
        main = take(self.written.nodes, self.model.evaluator.main_output)
        return outputs(graph, self.columns, main, self.rows)

    def trial(self, graph: Graph) -> Trial:
        """Return what a variant of the graph changes."""
        found = self.outputs(graph)
        metric, answers = self._measured(found), self._answers(found)
        flipped = None if answers is None or self.answers is None else int((answers != self.answers).sum())
        drop = self.float_score - metric
        return Trial(self._signal_to_noise(found), metric, drop if math.isfinite(drop) else math.inf, flipped)

    def doubt(self, trial: Trial, graph: Graph) -> float:
        """Return the drop that these rows cannot distinguish from 0.

        For labels: 2 sqrt(flipped) / answers, two standard deviations; with none flipped, 3 / answers, the 95 % bound
        on their share. For values: two standard deviations of the difference in R².
        """
        if trial.flipped is not None and self.answers is not None:
            return max(3.0, 2 * math.sqrt(trial.flipped)) / max(1, self.answers.size)
        if isinstance(self._tallied(self.wanted), PlainTally):
            truth = np.asarray(self.rows["y"], np.float64)
            errors = [(output.reshape(truth.shape) - truth) ** 2 for output in (self.outputs(graph), self.wanted)]
            spread = ((truth - truth.mean(0)) ** 2).sum(0)
            apart = 2 * (errors[0] - errors[1]).std(0) * math.sqrt(self.count)
            return float(np.mean(apart / np.where(spread > 0, spread, 1)))
        return 0.0 if self.metric == AGREEMENT else 1 / self.count

    def _tallied(self, output: np.ndarray) -> Tally | None:
        tally = self.model.evaluator.tally(output.shape)
        if tally is not None:
            tally.add(output, self.rows)
        return tally

    def _measured(self, output: np.ndarray) -> float:
        """Return the metric, or NaN if it cannot be measured."""
        if self.metric == AGREEMENT:
            return 1 - 10 ** (-self._signal_to_noise(output) / 10)
        tally = self._tallied(output)
        return math.nan if tally is None else tally.scores(full=False).get(self.metric, math.nan)

    def _signal_to_noise(self, output: np.ndarray) -> float:
        """Return 10 log10(Σ y² / Σ (y - ŷ)²)."""
        signal = float(np.sum(np.square(self.wanted, dtype=np.float64)))
        noise = float(np.sum(np.square(output - self.wanted, dtype=np.float64)))
        if not math.isfinite(noise) or not signal:
            return -math.inf if noise else math.inf
        return 10 * math.log10(signal / noise) if noise else math.inf

    def _answers(self, output: np.ndarray) -> np.ndarray | None:
        """Return the answers that outputs represent; None if they are numbers."""
        target = self.model.preprocessing.target
        if isinstance(target, Labels | MultiLabels):
            decoded = target.decode(output, link=link_of(self.model.evaluator.main.loss))
            shares = np.asarray(decoded.probabilities)
            return np.asarray(shares.argmax(-1) if isinstance(target, Labels) else shares >= 0.5)
        return np.asarray(output.argmax(-1)) if isinstance(target, Masks | NextToken | MaskedToken) else None
