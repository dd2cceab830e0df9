"""In which numbers a network computes: float32, float64 throughout, or products of matrices in bfloat16."""

from __future__ import annotations

import copy
import dataclasses
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.base.annotations import Registered
from retrograd.network.layer import Backward, Context, Forward, Init, Layer, Params, State, layers
from retrograd.network.network import Network

Precision = Literal["float32", "float64", "bfloat16"]


def computing_in(precision: str) -> AbstractContextManager[Any]:
    """Return the context in which arrays of this precision can be made; take them out with `jax.device_get`."""
    return jax.enable_x64(True) if precision == "float64" else nullcontext()


def in_precision(tree: Any, precision: str) -> Any:
    """Return arrays (or specs) with their fractions as this precision stores them: bfloat16 stores float32."""
    if precision != "float64":
        return tree

    def widened(leaf: Any) -> Any:
        if isinstance(leaf, jax.ShapeDtypeStruct):
            return jax.ShapeDtypeStruct(leaf.shape, jnp.float64) if leaf.dtype == jnp.float32 else leaf
        return np.asarray(leaf, np.float64) if leaf.dtype == jnp.float32 else leaf

    return jax.tree.map(widened, tree)


def in_bfloat16(network: Network) -> Network:
    """Return the network with the layers whose work is products of matrices computing those in bfloat16."""
    other = copy.copy(network)
    other.nodes = tuple(
        dataclasses.replace(node, layer=InBfloat16(node.layer)) if node.layer.multiplies else node
        for node in network.nodes
    )
    other.by_name = {node.name: node for node in other.nodes}
    return other


@dataclass(frozen=True)
class InBfloat16(Layer):
    """Another layer whose inputs and arriving delta are rounded to bfloat16; everything around it stays float32.

    The layer casts its parameters to what it is given; sums of products and gradients stay float32. What it keeps for
    backward takes half the room. Activations, norms and losses are cheaper, and safer, in float32.

    Shapes:  those of the layer
    """

    layer: Annotated[Layer, Registered(layers)]

    @property
    def kind(self) -> str:
        """The kind of the layer inside."""
        return self.layer.kind

    @property
    def mixes_batch(self) -> bool:  # type: ignore[override]  # as the layer inside
        """Whether the layer inside does."""
        return self.layer.mixes_batch

    @property
    def surrogate(self) -> str:
        """That of the layer inside."""
        return self.layer.surrogate

    def init(self, key: jax.Array, *inputs: Any) -> Init:  # noqa: D102
        return self.layer.init(key, *inputs)

    def forward(self, params: Params, state: State, ctx: Context, *inputs: Any) -> Forward:  # noqa: D102
        step = self.layer.forward(params, state, ctx, *_cast(inputs, jnp.float32, jnp.bfloat16))
        return Forward(_cast(step.y, jnp.bfloat16, jnp.float32), step.tape, step.state)

    def backward(self, params: Params, tape: Any, dy: Any) -> Backward:
        """That of the layer inside, its deltas back in float32."""
        back = self.layer.backward(params, tape, _cast(dy, jnp.float32, jnp.bfloat16))
        return Backward(_cast(back.inputs, jnp.bfloat16, jnp.float32), back.grads)


def _cast(tree: Any, before: Any, after: Any) -> Any:
    """Return the tree with arrays of one dtype in another."""
    return jax.tree.map(lambda leaf: leaf.astype(after) if leaf.dtype == before else leaf, tree)
