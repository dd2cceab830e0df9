"""Answers that do not depend on the inputs."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.judgement.levels import FEWEST_HELD
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

LUCK = threshold("D07", "chance")


@symptoms.register(
    "no_signal",
    examples=Examples(
        sick=setup("noise", {"rows": 400}, network=[*HEAD, {"dense": 1}]),
        healthy=setup("halves", {"rows": 400}, network=[*HEAD, {"dense": 1}]),
        near_miss=setup("halves", {"rows": 400, "stretch": 1000.0}, network=[*HEAD, {"dense": 1}]),
    ),
)
class NoSignal(Symptom):
    """Neither a linear model nor nearest neighbours nor trees predict held-out answers better than shuffled ones: the
    answers are wrong, belong to other rows, or do not depend on the inputs. No change of the network helps.
    """

    code = "D07"
    stage = "probe"  # it fits the references

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield how often shuffled answers fit as well as the true ones."""
        if program.data.y is None or program.dataset.valid is None or program.data.badly_split:
            return
        chance = program.data.levels.chance
        if chance is not None and chance > LUCK and program.data.levels.tested >= FEWEST_HELD:
            best = {name: value for name, value in program.data.levels.held_out.items() if name != "trivial"}
            scores = ", ".join(f"{name} {value:.3g}" for name, value in best.items())
            yield self.finding(
                "data",
                "nothing predicts the held-out answers ({scores}; trivial {trivial:.3g}): the answers look shuffled",
                Evidence("share of shuffled answers that fit as well", chance, LUCK),
                values={"scores": scores, "trivial": program.data.levels.trivial},
                severity="fault",
                confidence=0.98,
            )
