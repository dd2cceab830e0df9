"""Validation rows that were preprocessed differently from training rows."""

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
    """If only the training part was scaled, or the parts come from different sources, held-out scores mean nothing."""

    code = "D09"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the share of features whose spread or mean differs widely between training and validation part."""
        valid = program.dataset.valid
        # too few rows to estimate a spread
        if program.data.x is None or valid is None or "x" not in valid or len(valid["x"]) < 20:
            return
        other = np.asarray(valid["x"], np.float64).reshape(len(valid["x"]), -1)
        spread = program.data.x.std(0)
        varied = spread > 0
        if not varied.any():
            return
        ratio = other.std(0)[varied] / spread[varied]
        shift = np.abs(other.mean(0)[varied] - program.data.x.mean(0)[varied]) / spread[varied]
        differs = (ratio > FACTOR) | (shift > FACTOR / 2) | (ratio < 1 / FACTOR)
        share = float(np.mean(differs))
        if share > SHARE or (shift > FACTOR).any():  # this far apart, the parts hardly overlap in that feature
            yield self.finding(
                "data",
                "{share:.0%} of the features have a different mean or spread in the validation part; the mean of "
                "feature {worst} is {times:.3g} deviations away",
                Evidence("share of features that differ", share, SHARE),
                values={
                    "share": share,
                    "worst": program.data.feature_name(int(np.flatnonzero(varied)[shift.argmax()])),
                    "times": shift.max(),
                },
                remedies=("shuffled_split",),
                confidence=0.7,
            )
