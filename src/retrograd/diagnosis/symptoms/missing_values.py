"""Columns with many missing values."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.data.tables.inputs import TableInputs
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

MANY = threshold("D04", "share")

HEAD = [{"dense": {"units": 8, "activation": "relu"}}, {"dense": 1}]


@symptoms.register(
    "missing_values",
    examples=Examples(
        sick=setup("halves", {"missing": 0.5}, network=HEAD),
        healthy=setup("halves", network=HEAD),
        near_miss=setup("halves", {"missing": 0.1}, network=HEAD),
    ),
)
class MissingValues(Symptom):
    """Missing values are replaced by a single value; if there are many, the column contains little else."""

    code = "D04"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the columns with many missing values in the training rows."""
        inputs = program.dataset.preprocessing.inputs
        if program.data.x is None or not isinstance(inputs, TableInputs):
            return
        for column in inputs.columns:
            if not column.flag:
                continue
            missing = float(program.data.x[:, program.dataset.features.index(column.features[-1])].mean())
            if missing > MANY:
                yield self.finding(
                    "data.missing",
                    "column '{column}': {lacking:.0%} of the training rows have no value and all get the same one",
                    Evidence("share of rows without a value", missing, MANY),
                    values={"column": column.name, "lacking": missing},
                    confidence=0.3,
                )
