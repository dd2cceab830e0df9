"""Numbers that are codes, of places, products or models."""

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
    """A number whose order has no meaning is a code. To use it as a quantity, the network's output has to bend at every
    value; as a category, each value has its own weight.

        gain = adjusted R² of the mean of each value - adjusted R² of a cubic polynomial
    """

    code = "D16"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the column whose values explain the most beyond what their order explains."""
        codes = program.data.codes
        if codes:
            worst = max(codes, key=lambda name: codes[name][0] - codes[name][1])
            by_value, by_order = codes[worst]
            others = f" (and {len(codes) - 1} more)" if len(codes) > 1 else ""
            yield self.finding(
                "data.kinds",
                "the numbers in {name}{others} look like codes: they explain {by_value:.0%} of the target as "
                "categories, {by_order:.0%} as a quantity",
                Evidence("variance explained as categories - as a cubic", by_value - by_order, GAIN),
                values={"name": worst, "others": others, "by_value": by_value, "by_order": max(by_order, 0.0)},
                remedies=("codes_as_categories",),
                confidence=min(0.85, 0.45 + (by_value - by_order)),
            )
