"""What the nodes of a graph read, and what none of them does any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from retrograd.ship.onnx.graph import Graph
from retrograd.ship.onnx.renaming import bodies


def reads(node: Any) -> Iterator[str]:
    """Yield the names that a node reads, and those of the graph around it that the body of a loop reads."""
    yield from filter(None, node.input)
    for body in bodies(node):
        inside = {info.name for info in body.input} | {name for each in body.node for name in each.output}
        yield from (name for each in body.node for name in reads(each) if name not in inside)


def uses(graph: Graph) -> Counter[str]:
    """Return how often each name is read."""
    return Counter(name for node in graph.nodes for name in reads(node))


def layer_of(node: Any) -> str:
    """Return the path of the network's node that a node of the graph belongs to."""
    return str(node.name).rpartition("/")[0]


def constants_of(graph: Graph) -> dict[str, np.ndarray]:
    """Return the constants of a graph, and what its nodes make of them by turning them round."""
    turned = {node.output[0]: graph.constants[node.input[0]].T for node in graph.nodes if _turns(graph, node)}
    return {**graph.constants, **turned}


def _turns(graph: Graph, node: Any) -> bool:
    return node.op_type == "Transpose" and node.input[0] in graph.constants


def without_unread(graph: Graph) -> Graph:
    """Return a graph without constants that nothing reads, nor nodes that turn them."""
    read = uses(graph)
    unread = {node.name for node in graph.nodes if _turns(graph, node) and not read[node.output[0]]}
    graph.nodes = [node for node in graph.nodes if node.name not in unread]
    read = uses(graph)
    graph.constants = {name: array for name, array in graph.constants.items() if read[name]}
    return graph
