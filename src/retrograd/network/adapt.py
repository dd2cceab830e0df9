"""Low-rank adaptation: a layer's weights stay as they are, and a product of two narrow matrices is added to each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Annotated, Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Registered, Words
from retrograd.base.errors import ConfigError, did_you_mean
from retrograd.base.quantities import PositiveFloat, PositiveInt
from retrograd.network.initializers import GlorotUniform, draw
from retrograd.network.layer import Backward, Context, Equations, Forward, Init, Layer, Params, State, layers
from retrograd.network.network import Network

DOWN, UP = "_down", "_up"  # end the names of the two matrices beside a weight's
FIRST = GlorotUniform()
PRODUCT = Equations(
    forward="W = W_0 + s A B",
    backward=("dA = s dW Bᵀ", "dB = s Aᵀ dW"),
    latex_forward=r"W = W_0 + s A B",
    latex_backward=(r"\nabla_A = s \nabla_W B^\top", r"\nabla_B = s A^\top \nabla_W"),
)


@dataclass(frozen=True)
class Adapted(Layer):
    """Compute what a layer computes, with W = W_0 + scale · A B in place of each of its weights W_0.

        dA = scale · dW Bᵀ,  dB = scale · Aᵀ dW

    Shapes:  those of the layer
    Params:  the layer's, and beside each weight [in, out] its `_down` A [in, rank] and `_up` B [rank, out]; B begins at
             0, so that at first nothing is changed
    Tape:    the layer's
    Raises:  ConfigError for a layer without weights, or without a backward pass of its own
    See:     Hu et al. 2021 (LoRA), arXiv:2106.09685; scale is its alpha / rank. W is formed in each step, so that any
             layer can be adapted from outside; that costs rank / batch tokens of the product with W.
    """

    layer: Annotated[Layer, Registered(layers), Words("the layer whose weights are adapted")]
    rank: Annotated[PositiveInt, Words("columns of A, rows of B", more="can change more", less="fewer parameters")] = 8
    scale: Annotated[PositiveFloat, Words("multiplies A B", more="learns faster", less="slower")] = 1.0

    def __getattribute__(self, name: str) -> Any:
        """Return of what the layer says of itself (`mixes_batch`, ...) what the adapted one says."""
        if name in ("mixes_batch", "keeps_scale", "multiplies", "surrogate"):
            return getattr(self.layer, name)
        return super().__getattribute__(name)

    @override
    def formulas(self) -> Equations | None:
        of = self.layer.formulas()
        if of is None:
            return PRODUCT
        return Equations(
            f"{of.forward}; {PRODUCT.forward}",
            (*of.backward, *PRODUCT.backward),
            rf"{of.latex_forward}, \quad {PRODUCT.latex_forward}",
            (*of.latex_backward, *PRODUCT.latex_backward),
        )

    @override
    def init(self, key: Array, *inputs: Any) -> Init:
        first = self.layer.init(key, *inputs)
        weights = [name for name, value in first.params.items() if "weight" in name and value.ndim == 2]
        if not weights or self.layer.derivation != "written":
            lacks = "weights" if not weights else "backward pass of its own"
            raise ConfigError(f"{self.layer.kind} has no {lacks}: it cannot be adapted", where="adapt.layers")
        params = dict(first.params)
        for name in weights:
            rows, columns = first.params[name].shape
            params[f"{name}{DOWN}"] = draw(FIRST, key, f"{name}{DOWN}", (rows, self.rank))
            params[f"{name}{UP}"] = jnp.zeros((self.rank, columns), jnp.float32)
        return Init(params, first.state)

    @override
    def forward(self, params: Params, state: State, ctx: Context, *inputs: Any) -> Forward:
        return self.layer.forward(self.merged(params), state, ctx, *inputs)

    def backward(self, params: Params, tape: Any, dy: Any) -> Backward:
        """dA = scale · dW Bᵀ, dB = scale · Aᵀ dW, and the layer's own."""
        inputs, grads = self.layer.backward(self.merged(params), tape, dy)
        grads = dict(grads)
        for name in [name for name in grads if f"{name}{UP}" in params]:
            dw = self.scale * grads[name]
            grads[f"{name}{DOWN}"] = dw @ params[f"{name}{UP}"].T
            grads[f"{name}{UP}"] = params[f"{name}{DOWN}"].T @ dw
        return Backward(inputs, grads)

    def merged(self, params: Params) -> Params:
        """Return the layer's own parameters, with A B added to its weights."""
        return {
            name: value + self.scale * (params[f"{name}{DOWN}"] @ params[f"{name}{UP}"])
            if f"{name}{UP}" in params
            else value
            for name, value in params.items()
            if not is_adapter(name, params)
        }


def is_adapter(name: str, params: Mapping[str, Any]) -> bool:
    """Return whether a parameter is one of the two matrices beside a weight."""
    return any(name.endswith(end) and name.removesuffix(end) in params for end in (DOWN, UP))


def adapt(
    network: Network, layers: str | Sequence[str] = "*/attention", *, rank: int = 8, alpha: float | None = None
) -> Network:
    """Return a network whose layers of these paths are adapted: W = W_0 + (alpha / rank) A B for each of their weights.

    `alpha` is twice the rank unless given. What is to stay as it is, freeze; a configuration's `adapt:` does.

    Raises:  ConfigError for a pattern that no layer's path matches
    """
    patterns = [layers] if isinstance(layers, str) else list(layers)
    names = [node.name for node in network.nodes]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ConfigError(f"no layer matches '{pattern}'", where="adapt.layers", cure=did_you_mean(pattern, names))
    scale = (2 * rank if alpha is None else alpha) / rank
    return network.with_nodes(
        tuple(
            replace(node, layer=Adapted(node.layer, rank, scale))
            if any(fnmatchcase(node.name, pattern) for pattern in patterns) and not isinstance(node.layer, Adapted)
            else node
            for node in network.nodes
        )
    )


def adapters(network: Network) -> dict[str, Adapted]:
    """Return the adapted layers by the names of their nodes."""
    return {node.name: node.layer for node in network.nodes if isinstance(node.layer, Adapted)}


def merged(network: Network, params: Mapping[str, Params]) -> dict[str, Params]:
    """Return parameters for the network without adaptation, with A B added to the weights: it computes the same."""
    adapted = adapters(network)
    return {node: adapted[node].merged(own) if node in adapted else dict(own) for node, own in params.items()}
