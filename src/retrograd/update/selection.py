"""Selection of parameters: the weights, or those whose paths match a pattern."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np
from jax import Array

from retrograd.base.errors import ConfigError, did_you_mean
from retrograd.network.layer import Params
from retrograd.network.network import Network

WEIGHT_NAMES = ("weight", "kernel")


def is_weight(name: str, value: Array | np.ndarray) -> bool:
    """Return whether a parameter is a weight, rather than a bias or scale: by its name, and at least two axes."""
    return value.ndim >= 2 and any(word in name for word in WEIGHT_NAMES)


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Return whether the path of a parameter matches any pattern, such as `hidden/bias` or `*/bias`."""
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def select(params: Mapping[str, Params], patterns: Sequence[str], where: str, kind: str = "") -> list[tuple[str, str]]:
    """Return (node, name) of the parameters whose path matches any pattern; without patterns, of all weights.

    In a pattern such as `block_*/weight`, a star stands for any text, including slashes. `kind` describes the
    parameters in the error message.

    Raises:  ConfigError if a pattern matches nothing
    """
    paths = {f"{node}/{name}": (node, name) for node, node_params in params.items() for name in node_params}
    if not patterns:
        weights = [(node, name) for node, name in paths.values() if is_weight(name, params[node][name])]
        if not weights:
            raise ConfigError("the network has no weights", where=where, cure="name the parameters")
        return weights
    for pattern in patterns:
        if not any(fnmatchcase(path, pattern) for path in paths):
            raise ConfigError(f"no parameter matches '{pattern}'{kind}", where=where, cure=did_you_mean(pattern, paths))
    return [node_and_name for path, node_and_name in paths.items() if matches(path, patterns)]


def without_frozen(network: Network, freeze: Sequence[str], tree: Mapping[str, Params]) -> dict[str, Params]:
    """Return a tree of parameters without those of frozen nodes and those whose paths match a pattern in `freeze`."""
    unfrozen = {name: tensors for name, tensors in tree.items() if not network.by_name[name].frozen}
    if not freeze:
        return unfrozen
    trained = {
        node: {name: value for name, value in tensors.items() if not matches(f"{node}/{name}", freeze)}
        for node, tensors in unfrozen.items()
    }
    return {node: tensors for node, tensors in trained.items() if tensors}


def updated(params: Mapping[str, Params], new: Mapping[str, Params]) -> dict[str, Params]:
    """Return all parameters, with new values for those in `new`."""
    return {**params, **{node: {**params[node], **tensors} for node, tensors in new.items()}}
