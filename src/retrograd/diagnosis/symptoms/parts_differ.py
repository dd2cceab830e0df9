"""Validation rows preprocessed differently from training rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

FACTOR, SHARE = threshold("D09", "factor"), threshold("D09", "share")


@symptoms.register(
    "parts_differ",
    examples=Examples(
        sick=setup("blobs", {"shift_at_end": 9.0}, network=[*HEAD, {"dense": 3}]),
        healthy=setup("blobs", network=[*HEAD, {"dense": 3}]),
        near_miss=setup("blobs", {"stretch": 100.0}, network=[*HEAD, {"dense": 3}]),
    ),
)
class PartsDiffer(Symptom):
    """Only the training part was scaled, or the parts come from different sources: held-out scores mean nothing."""

    code = "D09"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the share of features with a very different spread or mean in training and validation part."""
        valid = program.dataset.valid
        # too few rows to estimate a spread
        if program.data.x is None or valid is None or "x" not in valid or len(valid["x"]) < 20:
            return
        other = np.asarray(valid["x"], np.float64).reshape(len(valid["x"]), -1)
        spread = program.data.x.std(0)
        used = spread > 0
        if not used.any():
            return
        ratio = other.std(0)[used] / spread[used]
        moved = np.abs(other.mean(0)[used] - program.data.x.mean(0)[used]) / spread[used]
        differs = (ratio > FACTOR) | (moved > FACTOR / 2) | (ratio < 1 / FACTOR)
        share = float(np.mean(differs))
        if share > SHARE or (moved > FACTOR).any():  # so far apart, the parts need not overlap in that feature
            yield self.finding(
                "data",
                "{share:.0%} of the features have another mean or spread in the validation part, feature {worst} by "
                "{times:.3g} deviations",
                Evidence("share of features that differ", share, SHARE),
                values={
                    "share": share,
                    "worst": program.data.feature_name(int(np.flatnonzero(used)[moved.argmax()])),
                    "times": moved.max(),
                },
                remedies=("shuffled_split",),
                confidence=0.7,
            )
