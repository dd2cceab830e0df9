"""The shapes of what losses compare and return, for type checkers and for the tests, which check them.

Nothing imports this while it runs: jaxtyping is a tool of the developers. Axes of one name are of one length.
"""

from __future__ import annotations

from jax import Array
from jaxtyping import Bool, Float, Int

from retrograd.network.losses.alignments import Path

Elements = Float[Array, "*shape"]

Classes = Float[Array, "*rows classes"]
Rows = Float[Array, "*rows"]
RowTotals = Float[Array, "*rows 1"]
Labels = Int[Array, "*rows"]

Regions = Float[Array, "batch *places classes"]
RegionLabels = Int[Array, " batch *places"]
PlacesThatCount = Float[Array, "batch *places 1"]
ClassTotals = Float[Array, "batch counted"]

Examples = Float[Array, " batch"]
Embeddings = Float[Array, "batch features"]
Column = Float[Array, "batch 1"]

Steps = Float[Array, "batch time classes"]
StepsThere = Bool[Array, "batch time"]
Texts = Int[Array, "batch length"]
Counts = Int[Array, " batch"]
Alignments = Float[Array, "time batch states"]

KeptOfCrossEntropy = tuple[
    tuple[Classes, RowTotals],
    Classes | Labels,
]  # exp(y - max y) or p, its sum, and the target

KeptOfDice = tuple[
    Regions,
    Regions,
    PlacesThatCount,
    ClassTotals,
    ClassTotals,
]  # p, q, which places count, A, B

KeptOfContrastive = tuple[Column, Embeddings]  # the slope by d, the unit vector

KeptOfCTC = tuple[
    Steps,
    Path,
    StepsThere,
    Alignments,
    Examples,
    Examples,
]  # log p, states, which steps are there, alpha, log P, share
