"""Plain symptoms of a network that does not learn: notes as long as it does."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any, ClassVar

import torch

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Activity, Journal
from retrograd.interop.torch.verdict import judge

LOOKS = 3  # that agree, so that a single batch does not decide
VANISHED, EXPLODED = threshold("B04", "overall"), threshold("B05", "growth")
FAST, SLOW = threshold("S07", "largest_update"), threshold("S07", "smallest_update")
CONSTANT = threshold("B14", "spread")
UNSCALED = threshold("D01", "largest")
REPLACED = 1.0  # update / weight: a step as long as the weights leaves nothing of what they were


@loop_faults.register("stuck")
class Stuck(LoopFault):
    """The loss ends where it began, or where a constant answer is."""

    code = "B03"
    certain = False

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the verdict's own evidence."""
        verdict = judge(journal)
        if verdict.state != "ill" or journal.losses.nonfinite:
            return
        start, end = journal.losses.start(), journal.losses.end()
        said = {fact.quantity: fact.value for fact in verdict.evidence}  # all of it, in the sentence
        grows = end > 1.5 * abs(start) and end > start  # less is the noise of minibatches
        yield self.finding(
            journal.places.get("backward"),
            "the loss grows: {sentence}" if grows else "the loop does not learn: {sentence}",
            *verdict.evidence,
            values={"sentence": verdict.sentence, **said},
            remedy="first check that it can memorise 16 rows; then the learning rate, scales, the loss",
            code="B02" if grows else "B03",
            confidence=0.3,
        )


class Idle(LoopFault):
    """Half of a layer's units let no gradient pass, the same ones in three looks in a row."""

    certain = False
    field: ClassVar[str]  # of an activity
    word: ClassVar[str]
    message: ClassVar[str]
    remedy: ClassVar[str]

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the layers with half of their units idle."""
        for name, masks in _last(journal, self.field):
            share = float(masks.all(0).to(torch.float32).mean())
            if share >= (enough := threshold(self.code, "share")):
                yield self.finding(
                    name,
                    "{share:.0%} of the units {what}",
                    Evidence(f"share of {self.word} units", share, enough),
                    values={"share": share, "what": self.message},
                    remedy=self.remedy,
                    severity="risk",
                    confidence=0.45,
                )


@loop_faults.register("dead_units")
class DeadUnits(Idle):
    """No row makes the unit positive: its derivative is 0 everywhere."""

    code = "B06"
    field, word, message = "dead", "dead", "answer no row: their gradients are 0"
    remedy = "a smaller learning rate and scaled inputs; then He initialisation or leaky_relu"


@loop_faults.register("saturation")
class Saturation(Idle):
    """Sigmoid or tanh far out: the mean derivative is under 5 % of the largest."""

    code = "B07"
    field, word, message = "flat", "saturated", "are saturated: hardly any gradient passes"
    remedy = "scale the inputs, smaller initial weights, or relu"


@loop_faults.register("vanishing_gradients")
class VanishingGradients(LoopFault):
    """From the last weight to the first, gradients shrink below a thousandth, relative to the weights."""

    code = "B04"
    certain = False

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the first weight against the last."""
        ratios = []
        for each in journal.gradients:
            sizes = list(each.relative.values())
            if len(sizes) >= 3 and sizes[-1] > 0:
                ratios.append(sizes[0] / sizes[-1])
        if len(ratios) >= LOOKS and median(ratios) < VANISHED:
            path = next(iter(journal.gradients[-1].relative), "")
            yield self.finding(
                path,
                "the gradient has all but vanished before it reaches this weight",
                Evidence("relative gradient here / at the last weight", median(ratios), VANISHED),
                remedy="relu with He initialisation, residual connections, or normalisation",
                severity="risk",
                confidence=0.45,
            )


@loop_faults.register("exploding_gradients")
class ExplodingGradients(LoopFault):
    """Gradients ten times as long as usual, with a loss that does not fall."""

    code = "B05"
    certain = False

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the longest gradient against the median."""
        norms = [each.norm for each in journal.gradients]
        bad = [each.nonfinite[0] for each in journal.gradients if each.nonfinite]
        if bad:
            yield self.finding(
                bad[0], "the gradient is NaN or infinite here", remedy="a smaller learning rate, or clip the gradients",
                severity="risk", confidence=0.4,
            )  # fmt: skip
        elif len(norms) >= LOOKS and norms[-1] > EXPLODED * median(norms[: LOOKS + 1]) > 0:
            yield self.finding(
                journal.places.get("backward"),
                "gradients grow",
                Evidence("length of the gradient / median of the first looks", norms[-1] / median(norms[: LOOKS + 1]),
                         EXPLODED),
                remedy="a smaller learning rate, scaled inputs; then clip_grad_norm_ before the step",
                severity="risk",
                confidence=0.35,
            )  # fmt: skip


@loop_faults.register("update_size")
class UpdateSize(LoopFault):
    """Updates far too large or far too small beside the parameters, or one that replaced them."""

    code = "S07"
    certain = False

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the median ratio of the last looks, weights only, or the largest if units have died of it."""
        weights = {path for path, p in journal.model.named_parameters() if p.ndim >= 2}
        looks = [[ratio for path, ratio in look.ratios.items() if path in weights] for look in journal.updates]
        largest = max((median(ratios) for ratios in looks if ratios), default=0.0)
        if largest >= REPLACED and (layer := _died(journal)):
            yield self._of(
                journal,
                "a step as long as the weights themselves replaced them, and units of {layer} died",
                Evidence("update / weight, largest look", largest, REPLACED),
                values={"layer": layer},
                remedy="a ten times smaller learning rate",
                confidence=0.48,  # the cause of dead units; inputs that are not scaled may be its own
            )
            return
        last = [ratio for ratios in looks[-5:] for ratio in ratios]  # a few, so that one step does not decide
        if len(last) < LOOKS:
            return
        ratio = median(last)
        if not SLOW <= ratio <= FAST and ratio > 0:
            large = ratio > FAST
            yield self._of(
                journal,
                "updates are {size} beside the weights",
                Evidence("update / weight", ratio, FAST if large else SLOW),
                values={"size": "large" if large else "small"},
                remedy="a ten times smaller learning rate" if large else "a larger learning rate, or scaled inputs",
                confidence=0.4,
            )

    def _of(self, journal: Journal, form: str, *evidence: Evidence, **more: Any) -> Finding:
        return self.finding(journal.places.get("step"), form, *evidence, severity="risk", **more)


@loop_faults.register("constant_output")
class ConstantOutput(LoopFault):
    """The outputs are the same for all rows."""

    code = "B14"
    certain = False

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the spread of the outputs over the rows."""
        if len(journal.unequal) >= LOOKS and max(list(journal.unequal)[-LOOKS:]) < CONSTANT:
            yield self.finding(
                "model",
                "the outputs do not depend on the inputs",
                Evidence("spread of the outputs over the rows / their size", journal.unequal[-1], CONSTANT),
                remedy="look for dead layers, inputs of a wrong scale, softmax over one unit",
                severity="risk",
                confidence=0.4,
            )


@loop_faults.register("unscaled_inputs")
class UnscaledInputs(LoopFault):
    """Inputs far from the size for which initial weights are made."""

    code = "D01"
    certain = False

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield their range."""
        low, high = journal.input_range
        if max(-low, high) > UNSCALED:
            yield self.finding(
                journal.places.get("forward"),
                "inputs run from {low:.4g} to {high:.4g}",
                Evidence("largest magnitude of an input", max(-low, high), UNSCALED),
                values={"low": low, "high": high},
                remedy="scale every feature to mean 0 and deviation 1, or divide by its range",
                severity="risk",
                confidence=0.5,
            )


def _died(journal: Journal) -> str:
    """Return the first activation half of whose units are dead now and were not at the first look, or nothing."""
    enough = threshold("B06", "share")
    for name, masks in _last(journal, "dead"):
        first = [activity.dead for activity in journal.activities[0] if activity.name == name]
        if first and float(masks.all(0).float().mean()) >= enough > float(first[0].float().mean()):
            return name
    return ""


def _last(journal: Journal, field: str) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the masks of each activation in the last three looks."""
    looks = list(journal.activities)[-LOOKS:]
    if len(looks) < LOOKS:
        return
    for activity in looks[-1]:
        found: list[Activity] = [each for look in looks for each in look if each.name == activity.name]
        masks = [getattr(each, field) for each in found]
        if len(masks) == LOOKS and len({mask.shape for mask in masks}) == 1:
            yield activity.name, torch.stack(masks)
