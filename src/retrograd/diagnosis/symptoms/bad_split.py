"""Parts of the data with different classes."""

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
    """Rows are sorted by class and split without shuffling: a class of the validation part is never trained."""

    code = "D08"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the share of held-out rows with a class unknown to training, and frequencies far apart.

        If the rows are mixed, the split is not the reason for unlike parts.
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
        kinds = max(answers.max(), program.data.y.max()) + 1
        shares = [np.bincount(part, minlength=kinds) / len(part) for part in (program.data.y, answers)]
        apart = float(np.abs(shares[0] - shares[1]).sum() / 2)
        if program.data.badly_split:
            yield self.finding(
                "data.split",
                "no training row has the class {classes}, and the validation part consists of it: the "
                "rows are sorted and the split does not shuffle",
                Evidence(
                    "share of validation rows with an unknown class", float(program.data.strangers.mean()), STRANGERS
                ),
                values={"classes": ", ".join(program.data.unknown_classes)},
                remedies=("shuffled_split",),
                severity="fault",
                confidence=0.97,
            )
        elif apart > APART and len(answers) >= FEWEST:
            yield self.finding(
                "data.split",
                "the validation part consists of other classes than the training part: "
                "the rows are sorted and the split does not shuffle",
                Evidence("distance of the class frequencies", apart, APART),
                remedies=("shuffled_split",),
                severity="fault",
                confidence=0.9,
            )
