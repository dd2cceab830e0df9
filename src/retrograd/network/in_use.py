"""The part of a network that is needed after training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from retrograd.network.network import Network


def in_use(network: Network, outputs: Sequence[str]) -> Network:
    """Return the network without what only training needs: inputs that a layer does not need otherwise, and the nodes
    that then lead to none of these outputs, such as those that compute targets. Other networks are returned unchanged.
    """
    nodes = [replace(node, inputs=node.inputs[: node.layer.inputs_in_use]) for node in network.nodes]
    if all(node.inputs == before.inputs for node, before in zip(nodes, network.nodes, strict=True)):
        return network
    needed = {reference.partition(".")[0] for reference in outputs}
    for node in reversed(nodes):
        if node.name in needed:
            needed |= {reference.partition(".")[0] for reference in node.inputs}
    return network.with_nodes(tuple(node for node in nodes if node.name in needed))
