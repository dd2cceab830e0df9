"""The precision of a network: float32, float64 throughout, or matrix products in bfloat16."""

from __future__ import annotations

import copy
import dataclasses
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import jax
import jax.numpy as jnp
from typing_extensions import override

from retrograd.base.annotations import Registered
from retrograd.network.layer import Backward, Context, Forward, Init, Layer, Params, Spec, State, layers
from retrograd.network.layers.convolution.convolution import Convolution
from retrograd.network.layers.convolution.convolution_transpose import ConvolutionTranspose
from retrograd.network.network import Network

Precision = Literal["float32", "float64", "bfloat16"]
Tree = TypeVar("Tree")


def computing_in(precision: Precision) -> AbstractContextManager[Any]:
    """Return the context in which arrays of this precision can be created and read."""
    return jax.enable_x64(True) if precision == "float64" else nullcontext()


def in_precision(tree: Tree, precision: Precision) -> Tree:
    """Return float32 arrays (or specs) as this precision stores them; bfloat16 stores float32 too.

    Data stored in float32 are only widened: the arithmetic gains digits, the data do not.
    """
    return _cast(tree, jnp.float32, jnp.float64) if precision == "float64" else tree


def taken_out(tree: Tree, precision: Precision) -> Tree:
    """Return arrays that outlive the context: NumPy arrays for float64, which JAX would round outside it."""
    return jax.device_get(tree) if precision == "float64" else tree


def in_bfloat16(network: Network) -> Network:
    """Return the network with its matrix products computed in bfloat16.

    Convolutions only on accelerators: on a CPU they are twice as fast in float32.
    """
    slow = (Convolution, ConvolutionTranspose) if jax.default_backend() == "cpu" else ()
    other = copy.copy(network)
    other.nodes = tuple(
        dataclasses.replace(node, layer=InBfloat16(node.layer))
        if node.layer.multiplies and not isinstance(node.layer, slow)
        else node
        for node in network.nodes
    )
    other.by_name = {node.name: node for node in other.nodes}
    return other


@dataclass(frozen=True)
class InBfloat16(Layer):
    """Another layer whose inputs and output delta are rounded to bfloat16; everything around it stays float32.

    The layer casts its parameters to the input's dtype; sums of products and gradients stay float32. The tape takes
    half the memory. Activations, norms and losses are cheaper, and safer, in float32.

    Shapes:  those of the layer
    """

    layer: Annotated[Layer, Registered(layers)]

    @property
    def kind(self) -> str:
        """The kind of the inner layer."""
        return self.layer.kind

    @property
    def mixes_batch(self) -> bool:  # type: ignore[override]  # as the inner layer
        """Whether the inner layer does."""
        return self.layer.mixes_batch

    @property
    def surrogate(self) -> str:
        """That of the inner layer."""
        return self.layer.surrogate

    @override
    def init(self, key: jax.Array, *inputs: Any) -> Init:
        return self.layer.init(key, *inputs)

    @override
    def forward(self, params: Params, state: State, ctx: Context, *inputs: Any) -> Forward:
        step = self.layer.forward(params, state, ctx, *_cast(inputs, jnp.float32, jnp.bfloat16))
        return Forward(_cast(step.y, jnp.bfloat16, jnp.float32), step.tape, step.state)

    def backward(self, params: Params, tape: Any, dy: Any) -> Backward:
        """That of the inner layer, with the deltas cast back to float32."""
        back = self.layer.backward(params, tape, _cast(dy, jnp.float32, jnp.bfloat16))
        return Backward(_cast(back.inputs, jnp.bfloat16, jnp.float32), back.grads)


def _cast(tree: Any, before: Any, after: Any) -> Any:
    """Return the tree with arrays of one dtype in another."""

    def cast(leaf: Any) -> Any:
        if leaf.dtype != before:
            return leaf
        return Spec(leaf.shape, after) if isinstance(leaf, Spec) else leaf.astype(after)

    return jax.tree.map(cast, tree)
