"""A training program under examination: the facts for the symptoms, each computed at its first use."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import Any

import numpy as np

from retrograd.base.errors import RetrogradError
from retrograd.data.dataset import Dataset
from retrograd.diagnosis.data_facts import DataFacts
from retrograd.diagnosis.graph import Graph
from retrograd.diagnosis.judgement.loss_levels import LossLevels, loss_levels
from retrograd.diagnosis.judgement.lost import Loss, lossy
from retrograd.diagnosis.observe import Observed
from retrograd.diagnosis.runs import Runs
from retrograd.diagnosis.start import Probe, Start
from retrograd.training.config.config import RunConfig
from retrograd.training.prepare import Prepared, prepare
from retrograd.update.optimizer import optimizers


class Program:
    """A configuration with its data set. Parts that cannot be built are None, and `refusal` is the reason.

    `prepared` is the run, if it has been built already. `sample` says which rows it trains on, if not all.
    `data`, `graph`, `start` and `runs` hold the facts about the data, the network, the initial weights and the
    training; `start` and `observed`, the run that symptoms examine, belong to one seed.
    """

    def __init__(
        self,
        config: RunConfig,
        dataset: Dataset,
        seconds: float | None = None,
        prepared: Prepared | None = None,
        sample: str = "",
    ) -> None:
        self.config, self.dataset, self.sample = config, dataset, sample
        self.seed = config.training.seed
        self.data = DataFacts(dataset, config.data)
        self.prepared = prepared
        self.refusal: RetrogradError | None = None
        if prepared is not None:
            self.graph = Graph(config, dataset, prepared.network, list(prepared.objectives))
        else:
            self._build()
        self.probe = Probe(self.graph, dataset)
        self._runs = None if self.prepared is None else Runs(self.prepared, self.probe, seconds)

    def _build(self) -> None:
        """Build the network and the run as far as the configuration allows."""
        config, dataset = self.config, self.dataset
        self.graph = Graph(config, dataset, None, [])
        try:
            built = config.build(dataset.sizes, dataset.task, list(dataset.train))
            self.graph = Graph(config, dataset, *built)
            self.prepared = prepare(config, dataset)
        except RetrogradError as error:
            self.refusal = error

    @property
    def runs(self) -> Runs:
        """The runs of a program that can be trained."""
        assert self._runs is not None
        return self._runs

    @cached_property
    def start(self) -> Start:
        """The seed's initial weights, and a pass through them."""
        return Start(self.graph, self.probe, self.seed, self.prepared)

    @cached_property
    def observed(self) -> Observed | None:
        """The configured run, observed at a dozen moments."""
        return None if self.prepared is None else self.runs.of(self.seed)

    def seen_in(self, run: Observed) -> Program:
        """Return the same program with the run and the initial weights of another seed."""
        if run is self.__dict__.get("observed"):
            return self
        other = copy.copy(self)
        other.seed, other.observed = run.seed, run
        other.start = Start(self.graph, self.probe, run.seed, self.prepared)
        return other

    @property
    def optimizer_kind(self) -> str:
        """The registered name of the optimizer."""
        return optimizers.name_of(type(self.config.optimizer))

    def rate(self, step: int) -> float:
        """Return the learning rate at a step, counted from 0."""
        return float(self._rates(step))

    @cached_property
    def mean_rate(self) -> float:
        """The mean learning rate over all steps; times their number, the distance covered with gradients of length 1.

        By the trapezium rule, with points close enough at the start to resolve a warm-up or a sudden decay.
        """
        assert self.prepared is not None
        last = self.prepared.steps - 1
        if last < 1:
            return self.rate(0)
        points = np.unique(np.concatenate([np.linspace(0, last, 17), np.geomspace(1, last + 1, 17) - 1]).round())
        rates = np.array([self.rate(int(step)) for step in points])
        return float(np.sum((rates[1:] + rates[:-1]) / 2 * np.diff(points))) / last

    @cached_property
    def _rates(self) -> Any:
        assert self.prepared is not None
        return self.config.optimizer.schedule.build(self.prepared.steps)

    @cached_property
    def numbers(self) -> np.ndarray | None:
        """The numbers compared with the output, [rows, numbers]: quantities, or inputs to reconstruct."""
        if self.data.y is not None:
            return None if self.data.classifies else self.data.y
        compared = [goal for goal in self.graph.objectives if goal.inputs[1:2] == ("x",)]
        return self.data.x if compared and compared[-1] is self.graph.objectives[-1] else None

    @cached_property
    def loss_levels(self) -> LossLevels | None:
        """The losses of a constant output and of a linear model; None without such references."""
        return None if self.prepared is None else loss_levels(self.prepared)

    @cached_property
    def loss_on_the_way(self) -> Loss | None:
        """The layer without weights that loses most of what predicts the answers; None if no layer loses much."""
        y = self.probe.rows.get("y")
        if y is None or self.data.y is None or self.dataset.task == "multilabel":
            return None
        return lossy(self.graph, self.start, np.asarray(y), self.data.classifies)

    def describe(self) -> str:
        """Return a one-line description of the program."""
        rows = ", ".join(f"{count:,} {part}" for part, count in self.dataset.rows.items())
        return f"{self.config.name}: {self.dataset.task}, rows: {rows}; {len(self.graph.nodes)} nodes"
