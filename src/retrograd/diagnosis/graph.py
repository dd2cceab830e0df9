"""A program's network: its nodes by role, and their places in the configuration."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from retrograd.base.errors import RetrogradError
from retrograd.data.dataset import Dataset
from retrograd.network.layer import Activation
from retrograd.network.losses.loss import Loss
from retrograd.network.network import Network
from retrograd.network.scope import Node
from retrograd.propagation.objective import Objective
from retrograd.training.config.config import RunConfig, default_loss


class Graph:
    """The nodes of a program's network; empty if the network could not be built."""

    def __init__(
        self, config: RunConfig, dataset: Dataset, network: Network | None, objectives: list[Objective]
    ) -> None:
        self.config, self.dataset, self.network, self.objectives = config, dataset, network, objectives
        self.nodes: tuple[Node, ...] = () if network is None else tuple(network.nodes)

    @property
    def loss(self) -> Loss | Any:
        """The loss on the network's output: the configured one, else the task's default."""
        if self.objectives:
            return self.objectives[-1].loss
        return self.config.loss or default_loss(self.dataset.task, self.config.data)

    @cached_property
    def tail(self) -> tuple[Node, ...]:
        """The nodes from the last one with weights to the output that the (last) loss reads, in that order."""
        if self.network is None:
            return ()
        return self._tail(self.network, self.objectives[-1].inputs[0] if self.objectives else self.network.output)

    def _tail(self, network: Network, reference: str) -> tuple[Node, ...]:
        nodes: list[Node] = []
        while reference.partition(".")[0] in network.by_name:
            node = network.by_name[reference.partition(".")[0]]
            nodes.insert(0, node)
            if not (isinstance(node.layer, Activation) or node.layer.keeps_scale or node.layer.kind == "reshape"):
                break
            reference = node.inputs[0]
        return tuple(nodes)

    @property
    def output_activations(self) -> tuple[Node, ...]:
        """The activations between the last node with weights and the loss."""
        return _activations(self.tail)

    @cached_property
    def hidden(self) -> tuple[Node, ...]:
        """The nodes before the output layers."""
        network = self.network
        tails = [self.tail, *(self._tail(network, goal.inputs[0]) for goal in self.objectives if network)]
        last = {node.name for tail in tails for node in tail}
        return tuple(node for node in self.nodes if node.name not in last)

    @property
    def hidden_activations(self) -> tuple[Node, ...]:
        """The activations of hidden layers."""
        return _activations(self.hidden)

    @property
    def units(self) -> int | None:
        """The width of the output that the loss reads."""
        return None if self.specs is None else int(self.specs[self.tail[-1].name].shape[-1]) if self.tail else None

    def line(self, node: Node | str) -> str:
        """Return a node's place in the configuration: `network.2 (dense_1)`."""
        name = node if isinstance(node, str) else node.name
        return name if self.network is None else self.network.line(name)

    @cached_property
    def specs(self) -> dict[str, Any] | None:
        """The shape and dtype of every node's output."""
        try:
            return None if self.network is None else self.network.specs(self.dataset.train)
        except RetrogradError:
            return None


def _activations(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    return tuple(node for node in nodes if isinstance(node.layer, Activation) and node.layer.kind != "identity")
