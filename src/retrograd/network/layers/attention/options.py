"""Settings of attention that few networks change."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from retrograd.base.annotations import Expect, Words
from retrograd.base.quantities import PositiveFloat, PositiveInt
from retrograd.network.layers.attention.head_norm import KINDS

KEY_VALUE_HEADS = Words(
    "heads of keys and values, shared by groups of query heads",
    more="nearer to full attention",
    less="less memory for keys and values",
    why="as many as `heads`",
)
TURNED = Words("whether queries and keys are turned by their position", why="false: positions come from another layer")

Share = Annotated[float, Field(gt=0, le=1), Expect("a number above 0, at most 1")]

Scale = Annotated[
    PositiveFloat | None,
    Words("multiplies the products of queries and keys", more="sharper weights", less="flatter", why="1 / sqrt(width)"),
]
SoftCap = Annotated[
    PositiveFloat | None, Words("bound towards which products are bent by tanh", more="bends less", why="none")
]
WindowOfKeys = Annotated[
    PositiveInt | None,
    Words("places that a query sees on each side, itself counted", more="sees further", less="local", why="all"),
]
RotaryBase = Annotated[
    PositiveFloat,
    Words("how slowly the slowest pair turns", more="tells far places apart", why="the paper's"),
]
RotaryShare = Annotated[Share, Words("share of each head that is turned", why="1: all of it")]
RotaryStretch = Annotated[
    PositiveFloat,
    Words("divides positions: for longer texts than those trained on", why="1: as they are"),
]
HeadWidth = Annotated[PositiveInt | None, Words("numbers of each head of queries and keys", why="units / heads")]
ValueWidth = Annotated[PositiveInt | None, Words("numbers of each head of values", why="as wide as the queries' heads")]
QKNorm = Annotated[
    KINDS | None,
    Words(
        "gives queries and keys one length: `rms`, with a learned scale for each number of a head, or `l2`, whose "
        "products are cosines times a learned scale for each head",
        why="none: long queries attend sharply",
    ),
]
