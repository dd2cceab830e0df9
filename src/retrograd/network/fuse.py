"""Rewriting the graph for speed: a convolution is fused with the sum and the relu that are its only readers."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Registered
from retrograd.network.layer import Backward, Context, Forward, Init, Layer, Params, Spec, State, layers
from retrograd.network.layers.activations.relu import ReLU, relu_back
from retrograd.network.layers.convolution.conv1d import Conv1D
from retrograd.network.layers.convolution.conv2d import Conv2D
from retrograd.network.layers.convolution.convolution import Convolution
from retrograd.network.layers.merging.add import Add
from retrograd.network.network import Network, Variables
from retrograd.network.scope import Node


def fuse(network: Network, keep: Collection[str] = ()) -> Network:
    """Return the network with each convolution fused with the add and relu after it, if these are its only readers.

    The result is the same, with native kernels bit for bit: they add and apply relu as they store their sums. Fused
    nodes no longer have outputs and deltas; nodes in `keep` (references as in `inputs`) are not fused. Parameters,
    state and gradients keep their names.
    """
    kept = {reference.partition(".")[0] for reference in (*keep, network.output)}
    only_readers = _only_readers(network)
    absorbed: set[str] = set()  # nodes fused into another one
    fused: dict[str, Node] = {}  # the last node of each run -> its replacement
    for node in reversed(network.nodes):  # of two convolutions that are added, the later one is fused
        run = list(_run(node, only_readers, kept, absorbed | fused.keys()))
        if len(run) > 1:
            absorbed |= {member.name for member in run[:-1]}
            fused[run[-1].name] = _as_one(run)
    return Fused(network, tuple(fused.get(node.name, node) for node in network.nodes if node.name not in absorbed))


def _only_readers(network: Network) -> dict[str, Node]:
    """Return the only reader of each name that is read exactly once."""
    readers: dict[str, list[Node]] = {}
    for node in network.nodes:
        for reference in node.inputs:
            readers.setdefault(reference.partition(".")[0], []).append(node)
    return {name: nodes[0] for name, nodes in readers.items() if len(nodes) == 1}


def _run(
    node: Node, only_readers: Mapping[str, Node], kept: Collection[str], absorbed: Collection[str]
) -> Iterator[Node]:
    """Yield a convolution, the sum with one other value, and the relu after it, as far as they can be fused."""
    if type(node.layer) not in (Conv1D, Conv2D):  # a subclass may compute something else
        return
    yield (last := node)
    for kind in (Add, ReLU):
        reader = only_readers.get(last.name)
        if reader is None or last.name in kept or reader.recompute != node.recompute:
            return
        if reader.layer == kind() and (kind is ReLU or _takes_over(node, reader, absorbed)):
            yield (last := reader)


def _takes_over(node: Node, add: Node, absorbed: Collection[str]) -> bool:
    """Return whether a convolution can add the other value; a grouped kernel would read it in small pieces."""
    assert isinstance(node.layer, Convolution)
    return len(add.inputs) == 2 and add.name not in absorbed and node.layer.groups in (1, "depthwise")


def _as_one(run: list[Node]) -> Node:
    """Return the fused node, named like the last one, which shares the convolution's parameters."""
    node, *followers = run
    assert isinstance(node.layer, Convolution)
    others = [name for reader in followers for name in reader.inputs if name not in (node.name, followers[0].name)]
    layer = FusedConvolution(node.layer, bool(others), isinstance(followers[-1].layer, ReLU))
    names = ("weight", "bias") if node.layer.bias else ("weight",)
    share = {name: f"{node.name}/{name}" for name in names} | dict(node.share)
    return Node(followers[-1].name, layer, (*node.inputs, *others), tuple(share.items()), node.frozen, node.recompute)


class Fused(Network):
    """A network with fused nodes. Initial values and shapes are those of the original network."""

    def __init__(self, whole: Network, nodes: tuple[Node, ...]) -> None:
        self.__dict__.update(whole.__dict__)
        self.whole, self.nodes = whole, nodes
        self.by_name = {node.name: node for node in nodes}

    @override
    def init(self, key: Array, columns: Mapping[str, Any], only: Container[str] | None = None) -> Variables:
        return self.whole.init(key, columns, only)

    @override
    def specs(self, columns: Mapping[str, Any], train: bool = False) -> dict[str, Any]:
        return {name: spec for name, spec in self.whole.specs(columns, train).items() if name in self.by_name}


@dataclass(frozen=True)
class FusedConvolution(Layer):
    """A convolution, a value added to it, and relu.

        y = max(x ⋆ W + b + residual, 0), each part after the sums being optional

    Shapes:  x as for the convolution, residual like y
    Params:  the convolution's
    Tape:    the convolution's, and y if there is a relu
    """

    convolution: Annotated[Convolution, Registered(layers)]
    residual: bool = False
    relu: bool = False

    @property
    def kind(self) -> str:
        """The kinds of the fused layers."""
        return " + ".join([self.convolution.kind, *["add"] * self.residual, *["relu"] * self.relu])

    @override
    def init(self, key: Array, x: Spec, residual: Spec | None = None) -> Init:
        return self.convolution.init(key, x)

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array, residual: Array | None = None) -> Forward:
        y, tape, _ = self.convolution.compute(params, x, residual, self.relu)
        return Forward(y, (tape, y if self.relu else ()))

    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        """dz = dy where y > 0, else 0; from there the convolution's own, and dresidual = dz."""
        convolution_tape, y = tape
        dz = relu_back(y, dy) if self.relu else dy
        back = self.convolution.backward(params, convolution_tape, dz)
        return Backward((*back.inputs, dz) if self.residual else back.inputs, back.grads)
