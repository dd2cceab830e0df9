"""Groups of nodes that are computed again in backward: which they are, and what they keep."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

from retrograd.network.layer import Context, State
from retrograd.network.scope import Node


class Forgotten(NamedTuple):
    """What a group of nodes keeps instead of its tapes: all that its forward depends on but the parameters."""

    inputs: dict[str, Any]
    state: dict[str, State]
    ctx: Context


def groups(nodes: Sequence[Node]) -> list[tuple[str, list[Node]]]:
    """Return the nodes in order, group by group; those between two groups are together under an empty name."""
    return [(group, list(members)) for group, members in itertools.groupby(nodes, lambda node: node.recompute)]


def read_by(nodes: Sequence[Node]) -> list[str]:
    """Return the columns and nodes outside of a group that it reads."""
    own = {node.name for node in nodes}
    read = (reference.partition(".")[0] for node in nodes for reference in node.inputs)
    return [name for name in dict.fromkeys(read) if name not in own]
