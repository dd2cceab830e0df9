"""Low-rank adaptation: a layer's weights are kept, and a product of two narrow matrices is added to each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import ConfigError, did_you_mean
from retrograd.base.quantities import PositiveFloat, PositiveInt
from retrograd.network.initializers import GlorotUniform, draw
from retrograd.network.layer import Equations, Init, Params, State
from retrograd.network.layers.parametrised.parametrised import Parametrised
from retrograd.network.network import Network

DOWN, UP = "_down", "_up"  # suffixes of a weight's two adapter matrices
FIRST = GlorotUniform()


@dataclass(frozen=True)
class Adapted(Parametrised):
    """Compute a layer with W = W_0 + scale · A B in place of each of its weights W_0.

        dA = scale · dW Bᵀ,  dB = scale · Aᵀ dW

    Shapes:  those of the layer
    Params:  the layer's, and for each weight [in, out] its `_down` A [in, rank] and `_up` B [rank, out]; B starts at
             0, so that at first nothing changes
    Tape:    the layer's, and W
    Raises:  ConfigError for a layer without weights, or without a backward pass of its own
    See:     Hu et al. 2021 (LoRA), arXiv:2106.09685; scale is its alpha / rank. W is formed in each step, so that any
             layer can be adapted from outside; relative to the product with W this costs rank / batch tokens.
    """

    rank: Annotated[PositiveInt, Words("columns of A, rows of B", more="more expressive", less="fewer parameters")] = 8
    scale: Annotated[PositiveFloat, Words("multiplies A B", more="learns faster", less="slower")] = 1.0

    equations = Equations(
        forward="W = W_0 + s A B",
        backward=("dA = s dW Bᵀ", "dB = s Aᵀ dW"),
        latex_forward=r"W = W_0 + s A B",
        latex_backward=(r"\nabla_A = s \nabla_W B^\top", r"\nabla_B = s A^\top \nabla_W"),
    )

    @override
    def meant(self, params: Mapping[str, Any]) -> list[str]:
        weights = [name for name, value in params.items()
                   if "weight" in name and value.ndim == 2 and not is_adapter(name, params)]  # fmt: skip
        if not weights or self.layer.derivation != "written":
            missing = "weights" if not weights else "backward pass of its own"
            raise ConfigError(f"{self.layer.kind} has no {missing}: it cannot be adapted", where="adapt.layers")
        return weights

    @override
    def first(self, key: Array, name: str, weight: Array) -> Init:
        rows, columns = weight.shape
        down = draw(FIRST, key, f"{name}{DOWN}", (rows, self.rank))
        return Init({f"{name}{DOWN}": down, f"{name}{UP}": jnp.zeros((self.rank, columns), jnp.float32)})

    @override
    def make(self, params: Params, state: State, name: str, train: bool) -> tuple[Array, Any, State]:
        down, up = params[f"{name}{DOWN}"], params[f"{name}{UP}"]
        return params[name] + self.scale * (down @ up), (down, up), {}

    @override
    def make_back(self, params: Params, tape: Any, name: str, dw: Array) -> Params:
        down, up = tape
        return {name: dw, f"{name}{DOWN}": self.scale * dw @ up.T, f"{name}{UP}": down.T @ (self.scale * dw)}

    def merged(self, params: Params) -> Params:
        """Return the layer's own parameters with A B merged into its weights."""
        layer_params = {name: value for name, value in params.items() if not is_adapter(name, params)}
        return {**layer_params, **self.made(params, {})[0]}


def is_adapter(name: str, params: Mapping[str, Any]) -> bool:
    """Return whether a parameter is one of the two adapter matrices of a weight."""
    return any(name.endswith(end) and name.removesuffix(end) in params for end in (DOWN, UP))


def adapt(
    network: Network, layers: str | Sequence[str] = "*/attention", *, rank: int = 8, alpha: float | None = None
) -> Network:
    """Return a network whose layers at these paths are adapted: W = W_0 + (alpha / rank) A B for each of their weights.

    `alpha` defaults to twice the rank. Freeze what is not to be trained; a configuration's `adapt:` does.

    Raises:  ConfigError for a pattern that no layer's path matches, and for a layer that shares weights with another
    """
    patterns = [layers] if isinstance(layers, str) else list(layers)
    names = [node.name for node in network.nodes]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ConfigError(f"no layer matches '{pattern}'", where="adapt.layers", cure=did_you_mean(pattern, names))
    scale = (2 * rank if alpha is None else alpha) / rank
    chosen = {name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)}
    _refuse_shared(network, chosen)
    return network.with_nodes(
        tuple(
            replace(node, layer=Adapted(node.layer, rank=rank, scale=scale))
            if node.name in chosen and not isinstance(node.layer, Adapted)
            else node
            for node in network.nodes
        )
    )


def _refuse_shared(network: Network, chosen: set[str]) -> None:
    """Refuse weights that two layers share: A B would be added for only one of them."""
    for node in network.nodes:
        for name, path in node.share:
            owner = path.rpartition("/")[0]
            if "weight" in name and chosen & {owner, node.name}:
                message = f"{node.name} shares the weights of {owner}: neither can be adapted"
                raise ConfigError(message, where="adapt.layers", cure="remove both from the layers to adapt")


def adapters(network: Network) -> dict[str, Adapted]:
    """Return the adapted layers by node name."""
    return {node.name: node.layer for node in network.nodes if isinstance(node.layer, Adapted)}


def merged(network: Network, params: Mapping[str, Params], members: int = 1) -> dict[str, Params]:
    """Return equivalent parameters for the network without adaptation, with A B merged into the weights.

    With several members, the members are the first axis.
    """
    adapted = adapters(network)
    ways = {name: layer.merged if members == 1 else jax.vmap(layer.merged) for name, layer in adapted.items()}
    return {node: ways[node](own) if node in adapted else dict(own) for node, own in params.items()}
