"""Renaming the values of nodes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any


def bodies(node: Any) -> list[Any]:
    """Return the graphs in a node."""
    return [attribute.g for attribute in node.attribute if attribute.HasField("g")]


def rename(node: Any, names: Mapping[str, str]) -> None:
    """Rename the inputs and outputs of a node, and the outer values that its bodies read."""
    for ends in (node.input, node.output):
        ends[:] = [names.get(name, name) for name in ends]
    rename_in_bodies(node, names)


def rename_in_bodies(node: Any, names: Mapping[str, str]) -> None:
    """Rename the outer values that the bodies of a node read."""
    for body in bodies(node):
        for each in body.node:
            each.input[:] = [names.get(name, name) for name in each.input]
            rename_in_bodies(each, names)


def without_copies(nodes: Sequence[Any], outputs: Collection[str]) -> list[Any]:
    """Return the nodes without those that only copy a value to an output: the value gets the output's name."""
    made = {name for node in nodes for name in node.output} - {*outputs}
    names: dict[str, str] = {}
    for node in nodes:
        if node.op_type == "Identity" and node.input[0] in made and node.output[0] in outputs:
            names.setdefault(node.input[0], node.output[0])
    left = []
    for node in nodes:
        copy = type(node)()
        copy.CopyFrom(node)
        rename(copy, names)
        if [*copy.input] != [*copy.output]:
            left.append(copy)
    return left
