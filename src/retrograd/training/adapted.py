"""Adapted (LoRA) configurations: which parameters are frozen, which are trained, and the model with adapters merged."""

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
    """Return node and name of each adapter matrix; `params` may be specs."""
    return tuple((node, name) for node in adapters(network) for name in params[node] if is_adapter(name, params[node]))


def without_adapters(network: Network, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tree of parameters, or specs, without the adapter matrices."""
    added = set(adapter_places(network, params))
    return {node: {name: value for name, value in node_params.items() if (node, name) not in added}
            for node, node_params in params.items()}  # fmt: skip


def with_frozen_base(
    config: RunConfig, network: Network, params: Mapping[str, Params], drawn: tuple[str, ...]
) -> RunConfig:
    """Return the configuration with the base weights frozen: all but the adapters and the parameters trained in full.

    Those are `adapt.train`, by default the parameters that were `drawn`.
    """
    if config.adapt is None:
        return config
    train = drawn if config.adapt.train is None else config.adapt.train
    select(params, train, "adapt.train") if train else None
    base = tuple(
        path for path in _base(network, params) if not matches(path, train) and not matches(path, config.freeze)
    )
    return dataclasses.replace(
        config, freeze=(*config.freeze, *base), adapt=dataclasses.replace(config.adapt, train=train)
    )


def with_adapters(network: Network, variables: Variables, seed: int, columns: Mapping[str, Any]) -> Variables:
    """Return the variables of a network that was not yet adapted, with initial adapters added."""
    drawn = network.init(jax.random.key(seed), columns, only=adapters(network)).params
    params = {node: {**drawn.get(node, {}), **node_params} for node, node_params in variables.params.items()}
    return Variables(params, variables.state)


def without_adaptation(model: Model) -> Model:
    """Return the equivalent model with A B merged into its weights; the model itself if nothing is adapted."""
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
    """Return the paths of all parameters that are not adapters."""
    return [f"{node}/{name}" for node, node_params in without_adapters(network, params).items() for name in node_params]
