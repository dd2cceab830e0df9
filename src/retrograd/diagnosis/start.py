"""The start of a run: its initial weights, and a forward and backward pass of a few rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import jax
import numpy as np

from retrograd.base.compilation.programs import Program
from retrograd.data.dataset import Batch, Dataset
from retrograd.diagnosis.graph import Graph
from retrograd.diagnosis.hessian import largest_curvature
from retrograd.network.layer import Context
from retrograd.network.network import Network, Variables
from retrograd.network.scope import Node
from retrograd.propagation.backprop import Pass, backprop
from retrograd.propagation.objective import Objective
from retrograd.propagation.readings import Health, Look, health, look
from retrograd.training.prepare import Prepared

PROBE_ROWS = 256  # the error of a mean over them is a sixteenth of the deviation


class Probe:
    """Evenly spaced training rows, and the compiled pass that examines weights with them."""

    def __init__(self, graph: Graph, dataset: Dataset) -> None:
        self.graph, self.dataset = graph, dataset

    @cached_property
    def rows(self) -> Batch:
        """The columns of these rows."""
        rows = self.dataset.rows["train"]
        chosen = np.unique(np.linspace(0, rows - 1, min(rows, PROBE_ROWS)).astype(int))
        return {name: column[chosen] for name, column in self.dataset.train.items()}

    def look(self, variables: Variables, rows: Batch | None = None) -> tuple[Pass, Health]:
        """Return a pass through the weights in evaluation mode, and its readings, on the probe's rows or on `rows`."""
        result, readings = self._look(variables.params, variables.state, self.rows if rows is None else rows)
        return result, health(self._network, jax.device_get(readings))

    def health(self, variables: Variables) -> Health:
        """Return the readings alone."""
        return self.look(variables)[1]

    @cached_property
    def _look(self) -> Program:
        return Program(_looked, self._network, tuple(self.graph.objectives))

    @property
    def _network(self) -> Network:
        assert self.graph.network is not None
        return self.graph.network


def _looked(
    network: Network, objectives: Sequence[Objective], params: Any, state: Any, batch: Batch
) -> tuple[Pass, Look]:
    result = backprop(network, objectives, params, state, Context(), batch)
    return result, look(network, result, params)


class Start:
    """A seed's initial weights, and the probe's results for them; None if the run cannot start."""

    def __init__(self, graph: Graph, probe: Probe, seed: int, prepared: Prepared | None) -> None:
        self.graph, self.probe, self.seed, self.prepared = graph, probe, seed, prepared
        self.can_train = prepared is not None
        self.is_pretrained = prepared is not None and prepared.pretrained is not None

    @cached_property
    def variables(self) -> Variables | None:
        """The initial parameters and state."""
        if self.graph.network is None or self.graph.specs is None:
            return None
        if self.prepared is not None and self.is_pretrained:
            return self.prepared.first(self.seed)
        return self.graph.network.init(jax.random.key(self.seed), self.graph.dataset.train)

    @cached_property
    def weighted(self) -> tuple[Node, ...]:
        """The nodes that have a weight matrix or kernel, in order."""
        if self.variables is None:
            return ()
        return tuple(node for node in self.graph.nodes if "weight" in self.variables.params.get(node.name, {}))

    @cached_property
    def pass_(self) -> Pass | None:
        """The pass of the probe's rows through the initial weights, without dropout; arrays are NumPy's."""
        if not self.can_train or self.variables is None:
            return None
        result: Pass = jax.device_get(self.probe.look(self.variables)[0])
        return result

    @cached_property
    def loss(self) -> float | None:
        """The loss at the initial weights, without penalties."""
        return None if self.pass_ is None else float(self.pass_.loss)

    @cached_property
    def health(self) -> Health | None:
        """The readings of that pass."""
        return None if not self.can_train or self.variables is None else self.probe.health(self.variables)

    @cached_property
    def relative_gradients(self) -> np.ndarray:
        """rms(gradient) / rms(weight) of each layer with weights, at the initial weights, where both are above 0."""
        if self.health is None:
            return np.zeros(0)
        grads, params = self.health.grads, self.health.params
        paths = [path for node in self.weighted if (path := f"{node.name}/weight") in grads]
        pairs = [(float(grads[path].rms), float(params[path].rms)) for path in paths]
        return np.array([grad / weight for grad, weight in pairs if grad > 0 and weight > 0])

    @cached_property
    def curvature(self) -> float:
        """The largest eigenvalue of the loss's Hessian on the probe's rows."""
        assert self.graph.network is not None
        assert self.variables is not None
        return largest_curvature(self.graph.network, self.graph.objectives, self.variables, self.probe.rows)
