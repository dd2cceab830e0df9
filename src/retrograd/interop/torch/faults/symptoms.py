"""Symptoms of a network that does not learn; notes as long as it does."""

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

LOOKS = 3  # inspections that must agree, so that a single batch does not decide
VANISHED, EXPLODED = threshold("B04", "overall"), threshold("B05", "growth")
FAST, SLOW = threshold("S07", "largest_update"), threshold("S07", "smallest_update")
CONSTANT = threshold("B14", "spread")
UNSCALED = threshold("D01", "largest")
REPLACED = 1.0  # update / weight: a step as long as the weights replaces them


@loop_faults.register("stuck")
class Stuck(LoopFault):
    """The loss ends where it started, or at that of a constant answer."""

    code = "B03"
    certain = False

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the evidence of the verdict."""
        verdict = judge(journal)
        if verdict.state != "ill" or journal.losses.nonfinite:
            return
        start, end = journal.losses.start(), journal.losses.end()
        stated = {fact.quantity: fact.value for fact in verdict.evidence}  # the sentence contains all of it
        grows = end > 1.5 * abs(start) and end > start  # less is minibatch noise
        yield self.finding(
            journal.places.get("backward"),
            "the loss grows: {sentence}" if grows else "the loop does not learn: {sentence}",
            *verdict.evidence,
            values={"sentence": verdict.sentence, **stated},
            remedy="first check that it can memorise 16 rows; then check learning rate, scales and loss",
            code="B02" if grows else "B03",
            confidence=0.3,
        )


class Idle(LoopFault):
    """The same half of a layer's units passes no gradient in three inspections in a row."""

    certain = False
    field: ClassVar[str]  # of `Activity`
    word: ClassVar[str]
    message: ClassVar[str]
    remedy: ClassVar[str]

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the layers with at least half of their units idle."""
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
    field, word, message = "dead", "dead", "respond to no row: their gradients are 0"
    remedy = "use a smaller learning rate and scaled inputs; then He initialisation or leaky_relu"


@loop_faults.register("saturation")
class Saturation(Idle):
    """Sigmoid or tanh units far from 0: the mean derivative is below 5 % of the largest."""

    code = "B07"
    field, word, message = "flat", "saturated", "are saturated: hardly any gradient passes"
    remedy = "scale the inputs, or use smaller initial weights or relu"


@loop_faults.register("vanishing_gradients")
class VanishingGradients(LoopFault):
    """From the last weight to the first, gradients relative to the weights shrink to less than a thousandth."""

    code = "B04"
    certain = False

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the relative gradient of the first weight compared with that of the last."""
        ratios = []
        for reading in journal.gradients:
            sizes = list(reading.relative.values())
            if len(sizes) >= 3 and sizes[-1] > 0:
                ratios.append(sizes[0] / sizes[-1])
        if len(ratios) >= LOOKS and median(ratios) < VANISHED:
            path = next(iter(journal.gradients[-1].relative), "")
            yield self.finding(
                path,
                "the gradient has nearly vanished before it reaches this weight",
                Evidence("relative gradient here / at the last weight", median(ratios), VANISHED),
                remedy="use relu with He initialisation, residual connections, or normalisation",
                severity="risk",
                confidence=0.45,
            )


@loop_faults.register("exploding_gradients")
class ExplodingGradients(LoopFault):
    """Gradients ten times as large as at first, while the loss does not fall."""

    code = "B05"
    certain = False

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the last gradient's norm relative to the median of the first ones, or where it is not finite."""
        norms = [reading.norm for reading in journal.gradients]
        nonfinite = [reading.nonfinite[0] for reading in journal.gradients if reading.nonfinite]
        if nonfinite:
            yield self.finding(
                nonfinite[0], "the gradient is NaN or infinite here",
                remedy="use a smaller learning rate, or clip the gradients", severity="risk", confidence=0.4,
            )  # fmt: skip
        elif len(norms) >= LOOKS and norms[-1] > EXPLODED * median(norms[: LOOKS + 1]) > 0:
            yield self.finding(
                journal.places.get("backward"),
                "gradients grow",
                Evidence("norm of the gradient / median of the first ones", norms[-1] / median(norms[: LOOKS + 1]),
                         EXPLODED),
                remedy="use a smaller learning rate and scaled inputs; then clip_grad_norm_ before the step",
                severity="risk",
                confidence=0.35,
            )  # fmt: skip


@loop_faults.register("update_size")
class UpdateSize(LoopFault):
    """Updates far too large or too small compared with the parameters, or one that replaced them."""

    code = "S07"
    certain = False

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the median ratio of the last updates to the weights, or the largest one if it killed units."""
        weights = {path for path, p in journal.model.named_parameters() if p.ndim >= 2}
        updates = [[ratio for path, ratio in update.ratios.items() if path in weights] for update in journal.updates]
        largest = max((median(ratios) for ratios in updates if ratios), default=0.0)
        if largest >= REPLACED and (layer := _died(journal)):
            yield self._of(
                journal,
                "a step as large as the weights themselves replaced them, and units of {layer} died",
                Evidence("largest update / weight", largest, REPLACED),
                values={"layer": layer},
                remedy="use a ten times smaller learning rate",
                confidence=0.48,  # above dead units, which it causes; below unscaled inputs, which may cause it
            )
            return
        last = [ratio for ratios in updates[-5:] for ratio in ratios]  # a few, so that one step does not decide
        if len(last) < LOOKS:
            return
        ratio = median(last)
        if not SLOW <= ratio <= FAST and ratio > 0:
            large = ratio > FAST
            yield self._of(
                journal,
                "updates are {size} compared with the weights",
                Evidence("update / weight", ratio, FAST if large else SLOW),
                values={"size": "large" if large else "small"},
                remedy="use a ten times smaller learning rate" if large else "use a larger rate, or scaled inputs",
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
                remedy="look for dead layers, inputs of the wrong scale, softmax over a single unit",
                severity="risk",
                confidence=0.4,
            )


@loop_faults.register("unscaled_inputs")
class UnscaledInputs(LoopFault):
    """Inputs much larger than initial weights are made for."""

    code = "D01"
    certain = False

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield their range."""
        low, high = journal.input_range
        if max(-low, high) > UNSCALED:
            yield self.finding(
                journal.places.get("forward"),
                "inputs range from {low:.4g} to {high:.4g}",
                Evidence("largest magnitude of an input", max(-low, high), UNSCALED),
                values={"low": low, "high": high},
                remedy="scale every feature to mean 0 and deviation 1, or divide by its range",
                severity="risk",
                confidence=0.5,
            )


def _died(journal: Journal) -> str:
    """Return the first activation with half of its units dead now but not at first, or an empty text."""
    enough = threshold("B06", "share")
    for name, masks in _last(journal, "dead"):
        first = [activity.dead for activity in journal.activities[0] if activity.name == name]
        if first and float(masks.all(0).float().mean()) >= enough > float(first[0].float().mean()):
            return name
    return ""


def _last(journal: Journal, field: str) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the masks of each activation in the last three inspections."""
    looks = list(journal.activities)[-LOOKS:]
    if len(looks) < LOOKS:
        return
    for activity in looks[-1]:
        readings: list[Activity] = [other for look in looks for other in look if other.name == activity.name]
        masks = [getattr(reading, field) for reading in readings]
        if len(masks) == LOOKS and len({mask.shape for mask in masks}) == 1:
            yield activity.name, torch.stack(masks)
