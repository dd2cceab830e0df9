"""The surgery: which channels stay, the smaller network, and its weights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from retrograd.base.errors import ConfigError
from retrograd.network.layer import Spec
from retrograd.network.layers.attention.multi_head_attention import MultiHeadAttention
from retrograd.network.network import Network, Variables
from retrograd.network.transformer import FeedForward, Transformer
from retrograd.record.model import check_fits
from retrograd.ship.pruning.channels import Channels
from retrograd.ship.pruning.coupling import Coupling, Size
from retrograd.ship.pruning.settings import Origin, origins, things, with_settings

UNKNOWN_BLOCK = "made by a block that pruning does not support"
UNEVEN = "one setting would need two values"


class Group(NamedTuple):
    """Channels that are compared with one another: the removable sets of them, and the sizes that count them."""

    roots: np.ndarray
    sizes: tuple[Size, ...]


class Cut(NamedTuple):
    """A smaller network and its weights; which sets of channels are gone, and how many remain at each node."""

    network: Network
    variables: Variables
    gone: frozenset[int]
    left: tuple[Left, ...]


class Left(NamedTuple):
    """A setting of a node before and after pruning; if it could not change, the reason."""

    node: str
    setting: str
    before: int
    after: int
    reason: str = ""


def groups_of(coupling: Coupling) -> list[Group]:
    """Return the groups of channels in a network, in the order of its nodes."""
    channels, together = coupling.channels, Channels()
    together.new(channels.count)
    made = [size for size in coupling.sizes if size.makes]
    for size in made:
        roots = channels.roots(size.labels)
        together.join(roots, roots[:1])
    members: dict[int, list[Size]] = defaultdict(list)
    for size in made:
        members[together.root(channels.root(int(size.labels[0])))].append(size)
    found = []
    for sizes in members.values():
        roots = np.unique(np.concatenate([channels.roots(size.labels) for size in sizes]))
        found.append(Group(np.array([r for r in roots if r not in channels.frozen], int), tuple(sizes)))
    return found


def cut(network: Network, coupling: Coupling, variables: Variables, importance: Mapping[int, float], keep: float,
        columns: Mapping[str, Any]) -> Cut:  # fmt: skip
    """Return the network with a share `keep` of each group's channels: the most important ones, and at least one.

    Raises:  ConfigError if nothing can be removed
    """
    channels, sources = coupling.channels, origins(network)
    for size in coupling.sizes:
        if (size.node, size.setting) not in sources:
            channels.freeze(size.labels, UNKNOWN_BLOCK)
    while True:
        gone = frozenset(root for group in groups_of(coupling) for root in _least(group, importance, keep))
        uneven = _uneven(coupling, sources, gone)
        if not uneven:
            break
        for size in uneven:
            channels.freeze(size.labels, UNEVEN)
    left = tuple(_left(coupling, size, gone) for size in coupling.sizes if size.makes)
    if not gone:
        reasons = "; ".join(dict.fromkeys(f"{each.node}: {each.reason}" for each in left if each.reason))
        raise ConfigError(f"nothing can be removed ({reasons or 'each layer has one channel'})", where="network",
                          cure="use layers that can be pruned before the last: dense, convolution, recurrent, attention"
                          if reasons else "choose a smaller keep, or a wider network")  # fmt: skip
    smaller = with_settings(network, _changes(network, coupling, sources, gone))
    trimmed = _trimmed(coupling, variables, gone)
    expected = jax.eval_shape(lambda key: smaller.init(key, columns), jax.random.key(0))
    expected = jax.tree.map(lambda spec, value: Spec(spec.shape, value.dtype), expected, trimmed)
    check_fits(trimmed.params, expected.params, where="prune")
    check_fits(trimmed.state, expected.state, where="prune")
    return Cut(smaller, trimmed, gone, left)


def masked(coupling: Coupling, variables: Variables, gone: frozenset[int]) -> Variables:
    """Return the weights of the original network with zeros where it would read removed channels."""
    params: dict[str, Any] = {node: dict(own) for node, own in variables.params.items()}
    for piece in coupling.slices:
        if piece.reads:
            value = np.array(params[piece.node][piece.name])
            where = [slice(None)] * value.ndim
            where[piece.axis] = ~_stays(coupling, piece.labels, gone)  # type: ignore[call-overload]
            value[tuple(where)] = 0
            params[piece.node][piece.name] = value
    return Variables(params, variables.state)


def is_exact(coupling: Coupling, gone: frozenset[int]) -> bool:
    """Return whether the smaller network computes the same as the masked one: no norm spans removed channels."""
    return all(_stays(coupling, labels, gone).all() for labels in coupling.inexact)


def _least(group: Group, importance: Mapping[int, float], keep: float) -> np.ndarray:
    """Return the sets of a group to remove: the least important ones, and among equals the later ones."""
    stay = max(1, int(keep * len(group.roots) + 0.5))
    order = np.argsort([-importance.get(int(root), 0.0) for root in group.roots], kind="stable")
    least: np.ndarray = group.roots[order[stay:]]
    return least


def _stays(coupling: Coupling, labels: np.ndarray, gone: frozenset[int]) -> np.ndarray:
    return np.array([root not in gone for root in coupling.channels.roots(labels)], bool)


def _value(coupling: Coupling, size: Size, gone: frozenset[int]) -> int:
    return size.times * int(_stays(coupling, size.labels, gone).sum())


def _uneven(coupling: Coupling, sources: Mapping[tuple[str, str], Origin], gone: frozenset[int]) -> list[Size]:
    """Return the sizes that come from one setting and would have different values."""
    by_origin: dict[Origin, list[Size]] = defaultdict(list)
    for size in coupling.sizes:
        if (origin := sources.get((size.node, size.setting))) is not None:
            by_origin[origin].append(size)
    uneven = (sizes for sizes in by_origin.values() if len({_value(coupling, size, gone) for size in sizes}) > 1)
    return [size for sizes in uneven for size in sizes]


def _left(coupling: Coupling, size: Size, gone: frozenset[int]) -> Left:
    before, after = size.times * len(size.labels), _value(coupling, size, gone)
    roots = coupling.channels.roots(size.labels)
    reason = next((coupling.channels.frozen[root] for root in roots if root in coupling.channels.frozen), "")
    return Left(size.node, size.setting, before, after, reason if before == after else "")


def _changes(network: Network, coupling: Coupling, sources: Mapping[tuple[str, str], Origin], gone: frozenset[int]
             ) -> dict[int, dict[str, Any]]:  # fmt: skip
    """Return the new settings of layers and blocks, including settings that were derived from others."""
    changes: dict[int, dict[str, Any]] = defaultdict(dict)
    for size in coupling.sizes:
        if (origin := sources.get((size.node, size.setting))) is not None:
            changes[origin.thing][origin.setting] = _value(coupling, size, gone)
    for node in network:
        origin = sources.get((node.name, "head_width"))
        if origin is not None and isinstance(node.layer, MultiHeadAttention):
            width = _head_width(coupling, node.name, node.layer)
            new = changes[origin.thing]
            if new["heads"] * width != new["units"]:
                new["head_width"] = width
    known = {id(thing): thing for thing in things(network)}
    return {thing: new for thing, own in changes.items() if (new := _differing(known[thing], own))}


def _differing(thing: Any, new: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that change; an unset one stays unset if its default gives the same value."""
    if isinstance(thing, (FeedForward, Transformer)) and thing.hidden is None:
        hidden = new.get("hidden")
        if hidden == 4 * new.get("units", 0):
            new.pop("hidden")
    return {name: value for name, value in new.items() if getattr(thing, name) != value}


def _head_width(coupling: Coupling, node: str, layer: MultiHeadAttention) -> int:
    columns = next(piece.labels for piece in coupling.slices if piece[:3] == ("params", node, "query_weight")
                   and piece.axis == 1)  # fmt: skip
    return len(columns) // layer.heads


def _trimmed(coupling: Coupling, variables: Variables, gone: frozenset[int]) -> Variables:
    """Return parameters and state without the channels that are gone."""
    parts: dict[str, Any] = {
        part: {node: {name: np.asarray(value) for name, value in own.items()} for node, own in tree.items()}
        for part, tree in zip(("params", "state"), jax.device_get(tuple(variables)), strict=True)
    }
    done: set[Sequence[Any]] = set()
    for piece in coupling.slices:
        if piece[:4] not in done:  # a shared parameter occurs twice
            done.add(piece[:4])
            own = parts[piece.part][piece.node]
            own[piece.name] = np.compress(_stays(coupling, piece.labels, gone), own[piece.name], piece.axis)
    return Variables(parts["params"], parts["state"])
