"""What an optimizer remembers of each parameter, under the symbols of its formula."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from retrograd.update.optimizer import Optimizer

SYMBOLS = {  # the fields of optax's states
    "mu": "m",
    "nu": "v",
    "nu_max": "w",  # the largest v
    "trace": "velocity",
    "sum_of_squares": "s",
    "e_g": "s",
    "e_x": "u",
}
SYMBOLS_OF = {"sgd": {"trace": "v"}, "rmsprop": {"nu": "s"}, "adamax": {"nu": "u"}}


def moments(optimizer: Optimizer, state: Any) -> dict[str, Any]:
    """Return {symbol: {node: {name: array}}} of what the direction of an optimizer is made from."""
    own = SYMBOLS_OF.get(getattr(optimizer, "registered_name", ""), {})
    return {own.get(name, SYMBOLS.get(name, name)): tree for name, tree in _trees(state["direction"])}


def times(state: Any) -> int:
    """Return how many updates an optimizer has made: the count of its schedule, which every chain has."""
    return int(np.asarray(state["rate"].count))


def _trees(state: Any) -> Iterator[tuple[str, Any]]:
    if hasattr(state, "_fields"):
        for name in state._fields:
            value = getattr(state, name)
            if isinstance(value, Mapping):
                yield name, value
            elif isinstance(value, tuple):
                yield from _trees(value)
    elif isinstance(state, tuple):
        for inner in state:
            yield from _trees(inner)
