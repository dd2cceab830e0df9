"""Numbers that are names: codes of places, products, models."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

GAIN = threshold("D16", "gain")


@symptoms.register(
    "coded_numbers",
    examples=Examples(
        sick=setup("codes", network=[*HEAD, {"dense": 1}]),
        healthy=setup("line", network=[*HEAD, {"dense": 1}]),
        near_miss=setup("codes", {"data": {"kinds": {"x0": "category"}}}, network=[*HEAD, {"dense": 1}]),
    ),
)
class CodedNumbers(Symptom):
    """A number whose order says nothing is a name. As a quantity the network has to bend at every value; as a category
    each value has a weight of its own.

        gain = adjusted R² of the mean of each value - adjusted R² of a cubic polynomial
    """

    code = "D16"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the column that tells most more by its values than by their order."""
        names = program.data.codes
        if names:
            worst = max(names, key=lambda name: names[name][0] - names[name][1])
            by_value, by_order = names[worst]
            others = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            yield self.finding(
                "data.kinds",
                "the numbers of {name}{others} look like names: singly they explain {by_value:.0%} of the target, as a "
                "quantity {by_order:.0%}",
                Evidence("variance explained by value - by a cubic", by_value - by_order, GAIN),
                values={"name": worst, "others": others, "by_value": by_value, "by_order": max(by_order, 0.0)},
                remedies=("codes_as_categories",),
                confidence=min(0.85, 0.45 + (by_value - by_order)),
            )
