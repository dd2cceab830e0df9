"""Other names for the values of nodes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any


def bodies(node: Any) -> list[Any]:
    """Return the graphs in a node."""
    return [attribute.g for attribute in node.attribute if attribute.HasField("g")]


def rename(node: Any, names: Mapping[str, str]) -> None:
    """Give what a node reads and gives other names, and what its bodies read from around them."""
    for ends in (node.input, node.output):
        ends[:] = [names.get(name, name) for name in ends]
    rename_in_bodies(node, names)


def rename_in_bodies(node: Any, names: Mapping[str, str]) -> None:
    """Give what the body of a loop reads from around it other names."""
    for body in bodies(node):
        for each in body.node:
            each.input[:] = [names.get(name, name) for name in each.input]
            rename_in_bodies(each, names)


def without_copies(nodes: Sequence[Any], outputs: Collection[str]) -> list[Any]:
    """Return nodes without those that only copy a value to an output: the value has its name from the start."""
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
