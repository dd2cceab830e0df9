"""Training and validation parts with different classes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

SORTED, STRANGERS, APART = (threshold("D08", name) for name in ("neighbours", "unknown", "apart"))
FEWEST = 20  # minimum number of held-out rows: smaller random parts may differ as much
TAIL = {"split": {"method": "time"}}


@symptoms.register(
    "bad_split",
    examples=Examples(
        sick=setup("blobs", {"order": True, "data": TAIL}, network=[*HEAD, {"dense": 3}]),
        healthy=setup("blobs", network=[*HEAD, {"dense": 3}]),
        near_miss=setup("blobs", {"data": TAIL}, network=[*HEAD, {"dense": 3}]),
    ),
)
class BadSplit(Symptom):
    """Rows are sorted by class and split without shuffling: the network never sees a class of the validation part."""

    code = "D08"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the share of held-out rows with a class unknown to training, or class frequencies that are far apart.

        If the rows are not sorted, the split is not the reason why the parts differ.
        """
        valid = program.dataset.valid
        if (
            not program.data.classifies
            or valid is None
            or program.data.y is None
            or program.data.neighbours_alike < SORTED
        ):
            return
        answers = np.asarray(valid["y"]).reshape(-1).astype(int)
        classes = max(answers.max(), program.data.y.max()) + 1
        shares = [np.bincount(part, minlength=classes) / len(part) for part in (program.data.y, answers)]
        distance = float(np.abs(shares[0] - shares[1]).sum() / 2)
        if program.data.badly_split:
            yield self.finding(
                "data.split",
                "class {classes} occurs only in the validation part: the rows are sorted and the split does not "
                "shuffle",
                Evidence(
                    "share of validation rows with an unknown class", float(program.data.strangers.mean()), STRANGERS
                ),
                values={"classes": ", ".join(program.data.unknown_classes)},
                remedies=("shuffled_split",),
                severity="fault",
                confidence=0.97,
            )
        elif distance > APART and len(answers) >= FEWEST:
            yield self.finding(
                "data.split",
                "the validation part has other classes than the training part: "
                "the rows are sorted and the split does not shuffle",
                Evidence("distance between the class frequencies", distance, APART),
                remedies=("shuffled_split",),
                severity="fault",
                confidence=0.9,
            )
