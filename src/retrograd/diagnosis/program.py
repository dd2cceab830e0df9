"""A training program under examination: every fact that a symptom may ask for, computed once, when first asked."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import jax
import numpy as np

from retrograd.base.errors import RetrogradError
from retrograd.data.dataset import Dataset
from retrograd.diagnosis.data_facts import DataFacts
from retrograd.diagnosis.hessian import largest_curvature
from retrograd.diagnosis.levels import Levels, reference_levels
from retrograd.diagnosis.loss_levels import LossLevels, loss_levels
from retrograd.diagnosis.observe import Observed, observe
from retrograd.diagnosis.score import Scorer
from retrograd.network.layer import Activation, Context
from retrograd.network.losses.loss import Loss
from retrograd.network.network import Network, Variables
from retrograd.network.scope import Node
from retrograd.propagation.backprop import Pass, backprop
from retrograd.propagation.objective import Objective
from retrograd.propagation.readings import Health, health
from retrograd.training.config.config import RunConfig, default_loss
from retrograd.training.prepare import Prepared, prepare
from retrograd.update.optimizer import optimizers
from retrograd.update.step import Stepper

PROBE_ROWS = 256  # rows of the batch on which a pass is looked at
BY_SEED = (
    "variables", "first_pass", "first_loss", "first_health", "relative_gradients", "largest_curvature", "observed",
)  # fmt: skip


class Program(DataFacts):
    """A configuration with its data set. What cannot be built is None, and `refusal` is the error that says why.

    `prepared` is the run, if that has been built already. `sample` says of which rows it is trained, if not of all.
    """

    def __init__(
        self,
        config: RunConfig,
        dataset: Dataset,
        seconds: float | None = None,
        prepared: Prepared | None = None,
        sample: str = "",
    ) -> None:
        self.sample = sample
        self.config, self.dataset, self.seconds = config, dataset, seconds
        self.seed = config.training.seed
        self._given = prepared

    @property
    def network(self) -> Network | None:
        """The network, if it can be built."""
        return self._built[0]

    @property
    def objectives(self) -> list[Objective]:
        """What is minimised; nothing where the network cannot be built."""
        return self._built[1]

    @property
    def prepared(self) -> Prepared | None:
        """The run, if it can be trained."""
        return self._ready[0]

    @property
    def refusal(self) -> RetrogradError | None:
        """The error that says why there is no network, or no run."""
        return self._built[2] or self._ready[1]

    @cached_property
    def _built(self) -> tuple[Network | None, list[Objective], RetrogradError | None]:
        if self._given is not None:
            return self._given.network, list(self._given.objectives), None
        try:
            return *self.config.build(self.dataset.sizes, self.dataset.task, list(self.dataset.train)), None
        except RetrogradError as error:
            return None, [], error

    @cached_property
    def _ready(self) -> tuple[Prepared | None, RetrogradError | None]:
        if self._given is not None or self.network is None:
            return self._given, None
        try:
            return prepare(self.config, self.dataset), None
        except RetrogradError as error:
            return None, error

    # ------------------------------------------------------------------------------------------------------ the graph

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The network's nodes in order; none where it could not be built."""
        return () if self.network is None else tuple(self.network.nodes)

    @property
    def loss(self) -> Loss | Any:
        """The loss on the network's output: the configuration's, else the task's default."""
        if self.objectives:
            return self.objectives[-1].loss
        return self.config.loss or default_loss(self.dataset.task)

    @cached_property
    def tail(self) -> tuple[Node, ...]:
        """The nodes from the last one with weights to the output that the (last) loss reads, in order."""
        if self.network is None:
            return ()
        return self._tail(self.network, self.objectives[-1].inputs[0] if self.objectives else self.network.output)

    def _tail(self, network: Network, reference: str) -> tuple[Node, ...]:
        found: list[Node] = []
        while reference.partition(".")[0] in network.by_name:
            node = network.by_name[reference.partition(".")[0]]
            found.insert(0, node)
            if not (isinstance(node.layer, Activation) or node.layer.keeps_scale or node.layer.kind == "reshape"):
                break
            reference = node.inputs[0]
        return tuple(found)

    @property
    def output_activations(self) -> tuple[Node, ...]:
        """The activations between the last node with weights and the loss."""
        return tuple(node for node in self.tail if isinstance(node.layer, Activation) and node.layer.kind != "identity")

    @cached_property
    def hidden(self) -> tuple[Node, ...]:
        """The nodes before the output layers."""
        tails = [self.tail, *(self._tail(self.network, each.inputs[0]) for each in self.objectives if self.network)]
        last = {node.name for tail in tails for node in tail}
        return tuple(node for node in self.nodes if node.name not in last)

    @property
    def hidden_activations(self) -> tuple[Node, ...]:
        """The activations of hidden layers."""
        return tuple(n for n in self.hidden if isinstance(n.layer, Activation) and n.layer.kind != "identity")

    @cached_property
    def weighted(self) -> tuple[Node, ...]:
        """The nodes that have a weight matrix or kernel, in order."""
        if self.variables is None:
            return ()
        return tuple(node for node in self.nodes if "weight" in self.variables.params.get(node.name, {}))

    @property
    def units(self) -> int | None:
        """The width of the output that the loss reads."""
        return None if self.specs is None else int(self.specs[self.tail[-1].name].shape[-1]) if self.tail else None

    def line(self, node: Node | str) -> str:
        """Return where the configuration names a node: `network.2 (dense_1)`."""
        name = node if isinstance(node, str) else node.name
        return name if self.network is None else self.network.line(name)

    @cached_property
    def specs(self) -> dict[str, Any] | None:
        """The shape and dtype of every node's output."""
        try:
            return None if self.network is None else self.network.specs(self.dataset.train)
        except RetrogradError:
            return None

    @property
    def optimizer_kind(self) -> str:
        """The name under which the optimiser is registered."""
        return optimizers.name_of(type(self.config.optimizer))

    def rate(self, step: int) -> float:
        """Return the learning rate at a step, counted from 0."""
        return float(self._rates(step))

    @cached_property
    def _rates(self) -> Any:
        assert self.prepared is not None
        return self.config.optimizer.schedule.build(self.prepared.steps)

    @cached_property
    def numbers(self) -> np.ndarray | None:
        """The numbers that the output is compared with, [rows, numbers]: quantities, or inputs to be given back."""
        if self.y is not None:
            return None if self.classifies else self.y
        compared = [each for each in self.objectives if each.inputs[1:2] == ("x",)]
        return self.x if compared and compared[-1] is self.objectives[-1] else None

    @cached_property
    def levels(self) -> Levels:
        """What a trivial predictor, a linear one and two others without a network reach."""
        return reference_levels(self.dataset)

    @cached_property
    def loss_levels(self) -> LossLevels | None:
        """What the loss of a constant output is, and of a linear model; None where there is none to compare with."""
        return None if self.prepared is None else loss_levels(self.prepared)

    # ------------------------------------------------------------------------------------------------ the first moment

    @cached_property
    def variables(self) -> Variables | None:
        """The first parameters and state."""
        if self.network is None or self.specs is None:
            return None
        return self.network.init(jax.random.key(self.seed), self.dataset.train)

    @cached_property
    def probe(self) -> dict[str, np.ndarray]:
        """Some rows of the training part, spread evenly over it."""
        rows = self.dataset.rows["train"]
        chosen = np.unique(np.linspace(0, rows - 1, min(rows, PROBE_ROWS)).astype(int))
        return {name: column[chosen] for name, column in self.dataset.train.items()}

    @cached_property
    def first_pass(self) -> Pass | None:
        """The pass of the probe rows through the first weights, dropout off; arrays are NumPy's."""
        return None if self.prepared is None or self.variables is None else jax.device_get(self.look(self.variables)[0])

    @cached_property
    def first_loss(self) -> float | None:
        """The loss at the first weights, penalties left out."""
        return None if self.first_pass is None else float(self.first_pass.loss)

    @cached_property
    def first_health(self) -> Health | None:
        """The readings of the first pass."""
        return None if self.prepared is None or self.variables is None else self.health_of(self.variables)

    @cached_property
    def relative_gradients(self) -> np.ndarray:
        """rms(gradient) / rms(weight) of each weighted layer in the first pass, where both are above 0."""
        found = self.first_health
        paths = [f"{node.name}/weight" for node in self.weighted]
        pairs = [(float(found.grads[p].rms), float(found.params[p].rms)) for p in paths if found and p in found.grads]
        return np.array([grad / weight for grad, weight in pairs if grad > 0 and weight > 0])

    @cached_property
    def largest_curvature(self) -> float:
        """The largest eigenvalue of the loss's Hessian on the probe rows, at the first weights."""
        assert self.network is not None
        assert self.variables is not None
        return largest_curvature(self.network, self.objectives, self.variables, self.probe)

    def health_of(self, variables: Variables) -> Health:
        """Return the readings of the probe rows' pass through some weights."""
        health: Health = jax.device_get(self.look(variables)[1])
        return health

    def look(self, variables: Variables) -> tuple[Pass, Health]:
        """Return pass and readings of the probe rows through some weights, in evaluation mode."""
        looked: tuple[Pass, Health] = self._look(variables.params, variables.state, self.probe)
        return looked

    @cached_property
    def _look(self) -> Any:
        network, objectives = self.network, tuple(self.objectives)
        assert network is not None

        def run(params: Any, state: Any, batch: Any) -> tuple[Pass, Health]:
            result = backprop(network, objectives, params, state, Context(), batch)
            return result, health(network, result, params)

        return jax.jit(run)

    # -------------------------------------------------------------------------------------------------------- training

    @cached_property
    def scorer(self) -> Scorer:
        """What measures weights by one number, the larger the better."""
        assert self.prepared is not None
        return Scorer(self.prepared)

    @cached_property
    def observed(self) -> Observed | None:
        """The run as it is configured, looked at a dozen times."""
        return None if self.prepared is None else self.run(self.seed)

    def run(self, seed: int) -> Observed:
        """Return the run with a seed, looked at a dozen times."""
        assert self.prepared is not None
        return observe(self.prepared, self.scorer, self.stepper, self.health_of, seed, seconds=self.seconds)

    @cached_property
    def stepper(self) -> Stepper:
        """The compiled training step, shared by all runs."""
        assert self.prepared is not None
        return self.prepared.stepper()

    def runs(self, seeds: int) -> Iterator[Observed]:
        """Yield the run with its own seed and further ones."""
        if self.observed is not None:
            yield self.observed
            for i in range(1, seeds):
                yield self.run(self.seed + i)

    def seen_in(self, run: Observed) -> Program:
        """Return the same program with another seed's run, and that seed's first weights, as what symptoms look at."""
        if run is self.__dict__.get("observed"):
            return self
        other = copy.copy(self)
        for fact in BY_SEED:
            other.__dict__.pop(fact, None)
        other.seed = run.seed
        other.__dict__["observed"] = run
        return other

    def describe(self) -> str:
        """Return one line that says what is examined."""
        rows = ", ".join(f"{count} {part}" for part, count in self.dataset.rows.items())
        return f"{self.config.name}: {self.dataset.task}, rows: {rows}; {len(self.nodes)} nodes"
