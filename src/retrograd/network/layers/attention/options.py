"""Rarely changed settings of attention."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from retrograd.base.annotations import Expect, Words
from retrograd.base.errors import Problem
from retrograd.base.quantities import PositiveFloat, PositiveInt
from retrograd.base.schema import Settings
from retrograd.network.layers.attention.head_norm import KINDS
from retrograd.network.layers.attention.rotary import Stretched

KEY_VALUE_HEADS = Words(
    "heads of keys and values, shared by groups of query heads",
    more="closer to full attention",
    less="less memory for keys and values",
    why="the same number as `heads`",
)
TURNED = Words("whether queries and keys are rotated by position", why="false: positions come from another layer")
TURNS = ("rotary_base", "rotary_share", "rotary_stretch", "rotary_slow")  # settings for rotary positions only

Share = Annotated[float, Field(gt=0, le=1), Expect("a number above 0, at most 1")]

Scale = Annotated[
    PositiveFloat | None,
    Words("factor of the products of queries and keys", more="sharper weights", less="flatter", why="1 / sqrt(width)"),
]
SoftCap = Annotated[
    PositiveFloat | None,
    Words("soft cap: products are bounded by tanh", more="bends less", why="none: as in most models"),
]
WindowOfKeys = Annotated[
    PositiveInt | None,
    Words(
        "positions that a query sees on each side, including its own",
        more="sees further",
        less="local",
        why="all: the whole sequence is seen",
    ),
]
RotaryBase = Annotated[
    PositiveFloat,
    Words("how slowly the slowest pair rotates", more="separates distant positions", why="the paper's"),
]
RotaryShare = Annotated[Share, Words("share of each head that is rotated", why="1: all of it")]
RotaryStretch = Annotated[
    PositiveFloat,
    Words("divisor of positions, for texts longer than in training", why="1: unchanged"),
]


@dataclass(frozen=True)
class RotarySlow(Settings):
    """Stretch only the slow pairs of rotary positions, as LLaMA 3.1 does: near positions stay as distinct as before."""

    factor: Annotated[PositiveFloat, Words("divisor of positions for the slowest pairs", more="for longer texts")]
    length: Annotated[PositiveInt, Words("length in tokens of the original training texts")]
    low: Annotated[
        PositiveFloat,
        Words("rotations within this length below which a pair is stretched by the full factor", why="LLaMA's"),
    ] = 1.0
    high: Annotated[PositiveFloat, Words("rotations above which a pair is unchanged", why="LLaMA's")] = 4.0

    @property
    def stretched(self) -> Stretched:
        """How the pairs are stretched."""
        return Stretched(self.factor, self.low, self.high, self.length)

    def rules(self) -> Iterator[Problem]:
        """Yield contradictions between fields."""
        if self.high <= self.low:
            yield Problem("high", f"expected more rotations than `low`, {self.low:g}, found {self.high:g}")


SlowPairs = Annotated[
    RotarySlow | None,
    Words("stretching of only the slow pairs, as in LLaMA 3.1", why="none: other models do not use it"),
]
OutputBias = Annotated[
    bool, Words("whether the last projection adds a bias if the others do", why="true; false in Qwen 2")
]
HeadWidth = Annotated[PositiveInt | None, Words("width of each head of queries and keys", why="units / heads")]
ValueWidth = Annotated[PositiveInt | None, Words("width of each head of values", why="that of the queries' heads")]
QKNorm = Annotated[
    KINDS | None,
    Words(
        "normalisation of queries and keys: `rms`, with a learned scale for each number of a head, or `l2`, whose "
        "products are cosines times a learned scale for each head",
        why="none: long queries attend sharply",
    ),
]
