"""The shapes of the inputs and results of losses, for type checkers and for the tests, which check them.

Nothing imports this at run time: jaxtyping is a development dependency. Axes with the same name have the same length;
text before a `=` is a comment, so that no type checker mistakes a single axis for a name.
"""

from __future__ import annotations

from typing import TypeAlias

from jax import Array
from jaxtyping import Bool, Float, Int

from retrograd.network.losses.alignments import Path

Elements: TypeAlias = Float[Array, "*shape"]

Classes: TypeAlias = Float[Array, "*rows classes"]
Rows: TypeAlias = Float[Array, "*rows"]
RowTotals: TypeAlias = Float[Array, "*rows 1"]
Labels: TypeAlias = Int[Array, "*rows"]

Regions: TypeAlias = Float[Array, "batch *places classes"]
RegionLabels: TypeAlias = Int[Array, " batch *places"]
PlacesThatCount: TypeAlias = Float[Array, "batch *places 1"]
ClassTotals: TypeAlias = Float[Array, "batch counted"]

Examples: TypeAlias = Float[Array, "rows=batch"]
Embeddings: TypeAlias = Float[Array, "batch features"]
Column: TypeAlias = Float[Array, "batch 1"]

Steps: TypeAlias = Float[Array, "batch time classes"]
StepsThere: TypeAlias = Bool[Array, "batch time"]
Texts: TypeAlias = Int[Array, "batch length"]
Counts: TypeAlias = Int[Array, "rows=batch"]
Alignments: TypeAlias = Float[Array, "time batch states"]

KeptOfCrossEntropy: TypeAlias = tuple[
    tuple[Classes, RowTotals],
    Classes | Labels,
]  # exp(y - max y) or p, its sum, and the target

KeptOfDice: TypeAlias = tuple[
    Regions,
    Regions,
    PlacesThatCount,
    ClassTotals,
    ClassTotals,
]  # p, q, which places count, A, B

KeptOfContrastive: TypeAlias = tuple[Column, Embeddings]  # the slope by d, the unit vector

KeptOfCTC: TypeAlias = tuple[
    Steps,
    Path,
    StepsThere,
    Alignments,
    Examples,
    Examples,
]  # log p, states, which steps are there, alpha, log P, share
