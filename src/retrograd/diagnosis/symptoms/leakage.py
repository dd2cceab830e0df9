"""Validation rows that are also training rows, and features that reveal the answers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms
from retrograd.present.wording import some_of

SHARE = threshold("D10", "share")
FEWEST_ROWS, MANY_FEATURES = 20, 1_000  # fewer rows match by chance; more features are pixels or tokens
ROUNDING = 1e-9  # tolerance for a correlation of 1, with both columns in float32


@symptoms.register(
    "leakage",
    examples=Examples(
        sick=setup("halves", {"copied_rows": True}, network=[*HEAD, {"dense": 1}]),
        healthy=setup("halves", network=[*HEAD, {"dense": 1}]),
        near_miss=setup("noise", {"features": 6}, network=[*HEAD, {"dense": 1}]),
    ),
)
class Leakage(Symptom):
    """A row in both parts is memorised and then counts as learned. A feature that separates rows exactly as the answers
    do is the answers under another name, and will be unknown when predictions are needed.
    """

    code = "D10"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the features that reveal the answers, and the share of validation rows that are also training rows."""
        yield from self._answers(program)
        valid = program.dataset.valid
        if program.data.x is None or valid is None or "x" not in valid:
            return
        known = {row.tobytes() for row in np.ascontiguousarray(program.dataset.train["x"])}
        copies = np.mean([row.tobytes() in known for row in np.ascontiguousarray(valid["x"])])
        if copies > SHARE and program.data.x.shape[1] > 2:
            yield self.finding(
                "data.split",
                "{copies:.0%} of the validation rows are also training rows: the validation score is too optimistic",
                Evidence("share of validation rows also in training", float(copies), SHARE),
                values={"copies": copies},
                severity="note",
                confidence=0.2,
            )

    def _answers(self, program: Program) -> Iterator[Finding]:
        x, y = program.data.x, program.data.y
        if x is None or y is None or program.dataset.train["x"].ndim != 2 or not MANY_FEATURES >= x.shape[1] > 1:
            return
        if len(x) < FEWEST_ROWS:
            return
        same = [i for i, column in enumerate(x.T) if _is_answer(column, y)]
        if same:
            listed = some_of([program.data.feature_name(i) for i in same], 3)
            yield self.finding(
                "data.features",
                "{features} alone reveals the answer of every row: the network would copy it",
                Evidence("features that reveal the answer", len(same), 0),
                values={"features": listed},
                severity="note",
                confidence=0.9,
            )


def _is_answer(feature: np.ndarray, y: np.ndarray) -> bool:
    """Return whether a feature has one value for each class, or equals the target up to scale and offset."""
    if y.ndim == 1:
        pairs = np.unique(np.column_stack([feature, y]), axis=0)
        return len(pairs) == len(np.unique(feature)) == len(np.unique(y)) > 1
    if y.shape[1] != 1 or not feature.std() or not y.std():
        return False
    return bool(1 - abs(np.corrcoef(feature, y[:, 0])[0, 1]) < ROUNDING)
