"""Blocks: entries that expand into several nodes, with paths below the block's name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import PositiveInt
from retrograd.network.entries import Entries, EntryLists
from retrograd.network.layers.merging.add import Add
from retrograd.network.layers.merging.concat import Concat
from retrograd.network.layers.merging.multiply import Multiply
from retrograd.network.scope import Block, Scope, blocks
from retrograd.network.transformer import FeedForward, TransformerDecoder, TransformerEncoder

__all__ = ["Branches", "FeedForward", "Repeat", "Residual", "TransformerDecoder", "TransformerEncoder", "blocks"]

MERGES = {"add": Add, "multiply": Multiply, "concat": Concat}


@blocks.register("residual")
@dataclass(frozen=True)
class Residual(Block):
    """Add the layers' output to their input: y = layers(x) + shortcut(x).

    The shortcut is x itself unless it has layers (a projection, if the shapes differ). In backward the delta of y
    reaches x along both paths and adds up. See: He et al. 2015, arXiv:1512.03385.
    """

    layers: Annotated[Entries, Words("layers whose output is added to the input")]
    shortcut: Annotated[
        Entries, Words("layers applied to the input, if the shapes differ", why="none: the input itself")
    ] = ()

    @override
    def expand(self, scope: Scope, *inputs: str) -> str:
        y = scope.chain(self.layers, *inputs)
        skip = scope.chain(self.shortcut, *inputs)
        return scope.add(Add(), y, skip, name="add")


@blocks.register("branches")
@dataclass(frozen=True)
class Branches(Block):
    """Send the input down several paths and merge their outputs; an empty path passes the input on."""

    paths: Annotated[EntryLists, Words("lists of layers that all read the same input")]
    merge: Annotated[
        Literal["add", "multiply", "concat"], Words("how their outputs become one", why="concat: nothing is lost")
    ] = "concat"

    @override
    def expand(self, scope: Scope, *inputs: str) -> str:
        ends = [scope.chain_below(str(i), path, *inputs) for i, path in enumerate(self.paths, 1)]
        return scope.add(MERGES[self.merge](), *ends, name=self.merge)


@blocks.register("repeat")
@dataclass(frozen=True)
class Repeat(Block):
    """Stack the same layers several times, each time with separate parameters."""

    times: Annotated[
        PositiveInt,
        Words(
            "number of times the layers are stacked",
            more="deeper: can represent more; slower, harder to train",
            less="shallower, faster",
        ),
    ]
    layers: Annotated[Entries, Words("the layers to stack, each time with separate parameters")]

    stacked = True

    @override
    def expand(self, scope: Scope, *inputs: str) -> str:
        for i in range(1, self.times + 1):
            inputs = (scope.chain_below(str(i), self.layers, *inputs),)
        return inputs[0]
