"""What the nodes of a graph read, and removing what none of them reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from retrograd.ship.onnx.graph import Graph
from retrograd.ship.onnx.renaming import bodies


def reads(node: Any) -> Iterator[str]:
    """Yield the names that a node reads, including outer values that the body of a loop reads."""
    yield from filter(None, node.input)
    for body in bodies(node):
        inside = {info.name for info in body.input} | {name for each in body.node for name in each.output}
        yield from (name for each in body.node for name in reads(each) if name not in inside)


def uses(graph: Graph) -> Counter[str]:
    """Return how often each name is read."""
    return Counter(name for node in graph.nodes for name in reads(node))


def layer_of(node: Any) -> str:
    """Return the path of the network node that a graph node belongs to."""
    return str(node.name).rpartition("/")[0]


def constants_of(graph: Graph) -> dict[str, np.ndarray]:
    """Return the constants of a graph, and those that its nodes transpose, transposed."""
    turned = {node.output[0]: graph.constants[node.input[0]].T for node in graph.nodes if _turns(graph, node)}
    return {**graph.constants, **turned}


def _turns(graph: Graph, node: Any) -> bool:
    return node.op_type == "Transpose" and node.input[0] in graph.constants


def without_unread(graph: Graph) -> Graph:
    """Return the graph without unread constants, and without nodes that only transpose such constants."""
    read = uses(graph)
    unread = {node.name for node in graph.nodes if _turns(graph, node) and not read[node.output[0]]}
    graph.nodes = [node for node in graph.nodes if node.name not in unread]
    read = uses(graph)
    graph.constants = {name: array for name, array in graph.constants.items() if read[name]}
    return graph
