"""Gradients that are not those of one minibatch: left over, summed, changed too late, or with the wrong sign."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Journal
from retrograd.interop.torch.place import assigned
from retrograd.interop.torch.verdict import UP, goes_up, is_utility, judge, negated

MOST, LATE = threshold("U01", "share"), threshold("U17", "share")


@loop_faults.register("gradients_not_zeroed")
class GradientsNotZeroed(LoopFault):
    """A step uses gradients that an earlier step has already used: gradient = old gradient + this pass's gradient."""

    code = "U01"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the number of steps with leftover gradients."""
        steps = journal.judged_steps
        if journal.stale_steps < 2 or journal.stale_steps < MOST * (steps - 1):
            return
        norms = [reading.norm for reading in journal.gradients]
        error = max((reading.error for reading in journal.growth), default=0.0)
        yield self.finding(
            journal.places.get("backward"),
            "{stale} of {steps} inspected steps use gradients that earlier steps have already used: "
            "nothing sets them to zero in between, so every backward pass adds to the sum of all "
            "earlier ones",
            Evidence("steps with leftover gradients", journal.stale_steps, MOST * (steps - 1)),
            Evidence("gradient - (left + new), relative", error),
            Evidence("norm of the gradient, last / first inspection", norms[-1] / max(norms[0], 1e-30)),
            values={"stale": journal.stale_steps, "steps": steps},
            remedy="call optimizer.zero_grad() once per step, before loss.backward()",
            confidence=0.99,
        )


@loop_faults.register("accumulation_not_divided")
class AccumulationNotDivided(LoopFault):
    """Several backward passes add up to one step at full weight: the step is that many times as long."""

    code = "U16"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the total weight of the passes in the sum."""
        k = journal.accumulated
        weights = sorted(abs(weight) for _, weight in journal.slopes)
        if k < 2 or journal.steps < 2 or not weights or journal.stale_steps > MOST * journal.judged_steps:
            return
        kept = median(journal.kept or [1.0])
        total = k * weights[len(weights) // 2] * kept
        if not 0.75 * k < total < 1.5 * k:  # divided passes have a total weight of 1, and k is at least 2
            return
        ratios = [reading.ratio for reading in journal.growth if reading.turns == k]
        evidence = [Evidence("total weight of the passes of a step", total, threshold("U16", "weight"))]
        if ratios:
            evidence.append(Evidence("norm of the sum / of one pass's gradient", sum(ratios) / len(ratios)))
        yield self.finding(
            journal.places.get("backward"),
            "{count} backward passes add up to one step without being divided by {count}: the step is "
            "as long as with {count} times the learning rate",
            *evidence,
            values={"count": k},
            remedy=f"write (loss / {k}).backward()",
            confidence=0.93,
        )


@loop_faults.register("gradients_changed_after_step")
class GradientsChangedAfterStep(LoopFault):
    """Gradients are clipped or scaled after the step has used them."""

    code = "U17"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the line that comes too late."""
        late = journal.late_changes
        if len(late) < 2 or len(late) < LATE * journal.looked_steps:
            return
        place = max(set(late), key=late.count)
        yield self.finding(
            place,
            "this line changes the gradients after optimizer.step() has used them: it has no effect",
            Evidence("observed occurrences", late.count(place), LATE * journal.looked_steps),
            remedy="move this line between loss.backward() and optimizer.step()",
            confidence=0.97,
        )


@loop_faults.register("ascent")
class Ascent(LoopFault):
    """The parameters move along the gradient instead of against it, or a loss enters with a minus sign."""

    code = "U06"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the direction of the updates, and the sign of a loss in the differentiated value."""
        if goes_up(journal) and not is_utility(journal):
            cosines = [update.along for update in journal.updates if math.isfinite(update.along)]
            yield self.finding(
                journal.places.get("step") or journal.places.get("backward"),
                "the updates go along the gradient: every step increases the loss of its own minibatch",
                Evidence("cosine between update and gradient", sum(cosines) / len(cosines), UP),
                remedy="subtract the gradient (p -= rate * p.grad); no maximize=True, no negative rate",
                confidence=0.98,
            )
        place = assigned(journal.places.get("backward"), "backward") or journal.places.get("backward")
        signs = [weight < 0 for kind, weight in journal.slopes if kind not in ("mean", "sum")]
        values = [call.value for call in journal.loss_calls]
        verdict = judge(journal)
        if len(signs) >= 2 and all(signs) and values:
            # 5 %: two minibatches differ by less by chance
            grows = verdict.state == "ill" or journal.losses.nonfinite or values[-1] > 1.05 * values[0]
            if grows and "probabilities" not in journal.loss_calls[-1].facts:
                yield self.finding(
                    place,
                    "{loss} is negated before backward(): training increases it",
                    Evidence("weight of the loss in the differentiated value", journal.slopes[-1][1], 0.0),
                    Evidence("loss at the last inspection", values[-1], values[0]),
                    values={"loss": journal.loss_calls[-1].kind},
                    remedy="remove the minus sign",
                    confidence=0.96,
                )
        elif negated(journal) and verdict.state == "ill":
            yield self.finding(
                place,
                "the loss is negated: it falls without limit, and the lower it is, the worse the answers are",
                *verdict.evidence,
                remedy="negate a mean of log-probabilities before backward(); remove the minus sign of other losses",
                confidence=0.96,
            )
