"""Settings of attention that few networks change."""

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
    more="nearer to full attention",
    less="less memory for keys and values",
    why="as many as `heads`",
)
TURNED = Words("whether queries and keys are turned by their position", why="false: positions come from another layer")
TURNS = ("rotary_base", "rotary_share", "rotary_stretch", "rotary_slow")  # settings that concern turned heads alone

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


@dataclass(frozen=True)
class RotarySlow(Settings):
    """Stretch the slow pairs of rotary positions alone, as LLaMA 3.1 does: near places stay as far apart as before."""

    factor: Annotated[PositiveFloat, Words("divides the positions of the slowest pairs", more="for longer texts")]
    length: Annotated[PositiveInt, Words("tokens of the texts that it was first trained on")]
    low: Annotated[
        PositiveFloat,
        Words("turns within this length, below which a pair is stretched by the whole factor", why="LLaMA's"),
    ] = 1.0
    high: Annotated[PositiveFloat, Words("turns above which a pair stays as it is", why="LLaMA's")] = 4.0

    @property
    def stretched(self) -> Stretched:
        """How the pairs are stretched."""
        return Stretched(self.factor, self.low, self.high, self.length)

    def rules(self) -> Iterator[Problem]:
        """Yield what is wrong between fields."""
        if self.high <= self.low:
            yield Problem("high", f"expected more turns than `low`, {self.low:g}, found {self.high:g}")


SlowPairs = Annotated[RotarySlow | None, Words("how slow pairs alone are stretched, as in LLaMA 3.1", why="none")]
OutputBias = Annotated[
    bool, Words("whether the last projection adds a bias, where the others do", why="true; false in Qwen 2")
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
