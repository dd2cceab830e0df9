"""Inputs clipped so tightly that many of them become equal."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.data_facts import CUT
from retrograd.diagnosis.original_unit import clip_of
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms


@symptoms.register(
    "tight_clip",
    examples=Examples(
        sick=setup("line", {"data": {"scale": "standard", "clip": 0.2}}, network=[*HEAD, {"dense": 1}]),
        healthy=setup("line", {"data": {"scale": "standard"}}, network=[*HEAD, {"dense": 1}]),
        near_miss=setup("line", {"data": {"scale": "standard", "clip": 2.0}}, network=[*HEAD, {"dense": 1}]),
    ),
)
class TightClip(Symptom):
    """`clip` is meant for values far from the rest. Within the usual range it makes different rows equal, for the
    network and for any other model of the same inputs.

        cut = share of a feature's cells at the bounds
    """

    code = "D17"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the feature with the largest share of cells at the bounds."""
        clip, cut = clip_of(program.dataset.preprocessing.inputs), program.data.cut
        if clip is None or cut.max(initial=0.0) <= CUT:
            return
        name = program.data.feature_name(int(cut.argmax()))
        count = int((cut > CUT).sum()) - 1
        others = f" (and more than {CUT:.0%} of {count} others)" if count else ""
        yield self.finding(
            "data.clip",
            "clip {clip:g} sets {cut:.0%} of the cells of feature {name}{others} to the bound",
            Evidence("share of the cells at the bound", float(cut.max()), CUT),
            values={
                "clip": clip,
                "cut": cut.max(),
                "name": name,
                "others": others,
            },
            remedies=("wider_clip",),
            confidence=0.6,
        )
