"""A configuration whose layers are adapted: what stays as it is, what is learned, and the model without adaptation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax

from retrograd.network.adapt import adapters, is_adapter, merged
from retrograd.network.layer import Params
from retrograd.network.network import Network, Variables
from retrograd.training.config.config import RunConfig
from retrograd.training.use.predict import Model
from retrograd.update.selection import matches, select


def adapter_places(network: Network, params: Mapping[str, Params]) -> tuple[tuple[str, str], ...]:
    """Return node and name of the matrices that adaptation adds; `params` may be specs."""
    return tuple((node, name) for node in adapters(network) for name in params[node] if is_adapter(name, params[node]))


def without_adapters(network: Network, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tree of parameters, or specs, without these matrices."""
    added = set(adapter_places(network, params))
    return {node: {name: each for name, each in own.items() if (node, name) not in added}
            for node, own in params.items()}  # fmt: skip


def with_frozen_base(
    config: RunConfig, network: Network, params: Mapping[str, Params], drawn: tuple[str, ...]
) -> RunConfig:
    """Return the configuration with all frozen that is neither an adapter nor to be learned as a whole: `drawn`, unless
    the configuration names it.
    """
    if config.adapt is None:
        return config
    train = drawn if config.adapt.train is None else config.adapt.train
    select(params, train, "adapt.train") if train else None
    more = tuple(
        path for path in _base(network, params) if not matches(path, train) and not matches(path, config.freeze)
    )
    return dataclasses.replace(
        config, freeze=(*config.freeze, *more), adapt=dataclasses.replace(config.adapt, train=train)
    )


def with_adapters(network: Network, variables: Variables, seed: int, columns: Mapping[str, Any]) -> Variables:
    """Return variables of a network before it was adapted with first adapters."""
    drawn = network.init(jax.random.key(seed), columns, only=adapters(network)).params
    params = {node: {**drawn.get(node, {}), **own} for node, own in variables.params.items()}
    return Variables(params, variables.state)


def without_adaptation(model: Model) -> Model:
    """Return the model that computes the same with A B added to its weights; itself, if nothing is adapted."""
    if model.config.adapt is None:
        return model
    base = _base(model.network, model.variables.params)
    config = dataclasses.replace(
        model.config, adapt=None, freeze=tuple(pattern for pattern in model.config.freeze if pattern not in base)
    )
    network, objectives = config.build({}, model.facts["task"], tuple(model.facts["columns"]))

    def plain(variables: Variables) -> Variables:
        return Variables(merged(model.network, variables.params, model.members), variables.state)

    average = None if model.average is None else plain(model.average)
    return dataclasses.replace(model, config=config, network=network, objectives=tuple(objectives),
                               variables=plain(model.variables), average=average)  # fmt: skip


def _base(network: Network, params: Mapping[str, Any]) -> list[str]:
    """Return the paths of what is not an adapter."""
    return [f"{node}/{name}" for node, own in without_adapters(network, params).items() for name in own]
