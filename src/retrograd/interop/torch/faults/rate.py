"""The learning rate over the run."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Journal
from retrograd.interop.torch.place import Place, called

EARLY, VANISHED, TURNS = (threshold("U12", name) for name in ("early", "vanished", "restarts"))
FEWEST = 20  # minimum number of steps to recognise a schedule
FEWEST_ZERO = 3  # minimum number of readings: a warm-up may start at 0


@loop_faults.register("rate_vanishes")
class RateVanishes(LoopFault):
    """The rate falls below a thousandth of its maximum in the first half of the steps: the schedule runs too fast."""

    code = "U12"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the step at which the rate vanishes, or the number of restarts if there are too many."""
        steps, low = journal.turns, journal.low_from
        if steps >= FEWEST and 0 <= low < EARLY * steps:
            yield self.finding(
                _scheduler(journal),
                "from step {low} of {steps}, the learning rate is below a thousandth of its maximum: "
                "the schedule ends long before training does",
                Evidence("share of the steps before the rate vanishes", low / steps, EARLY),
                Evidence("last rate / largest rate", journal.rates.end() / max(journal.top_rate, 1e-30), VANISHED),
                values={"low": low, "steps": steps},
                remedy="call scheduler.step() once per epoch, not per minibatch; or plan it for the number of steps",
                confidence=0.95,
            )
        elif steps >= FEWEST and journal.rate_turns >= TURNS and journal.rate_turns * _epoch(journal) > steps:
            yield self.finding(
                _scheduler(journal),
                "the learning rate nearly vanishes and rises again {turns} times in {steps} "
                "steps, more than once per epoch: the schedule is stepped more often than planned",
                Evidence("restarts", journal.rate_turns, TURNS),
                values={"turns": journal.rate_turns, "steps": steps},
                remedy="call scheduler.step() once per epoch, or plan it for the number of steps",
                severity="risk",
                confidence=0.6,
            )


@loop_faults.register("rate_is_zero")
class RateIsZero(LoopFault):
    """Every parameter group has a learning rate of 0: nothing changes."""

    code = "U12"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the number of steps with a rate of 0."""
        zero, read = journal.zero_rates, journal.read_rates
        if zero < FEWEST_ZERO or zero < EARLY * read:
            return
        yield self.finding(
            _scheduler(journal),
            "the learning rate is 0 in {zero} of {read} inspected steps: they change nothing",
            Evidence("share of the steps with a rate of 0", zero / read, EARLY),
            values={"zero": zero, "read": read},
            remedy="give the optimizer a rate above 0, and check that the schedule does not stay at 0",
            confidence=0.98,
        )


def _epoch(journal: Journal) -> float:
    """Return the steps per epoch; 0 if unknown. Intended restarts are planned in epochs."""
    rows = journal.rows
    return (rows.available or 0) / max(rows.size, 1)


def _scheduler(journal: Journal) -> Place | None:
    """Return the line that steps the schedule: a call of `step` on something named like one."""
    place = journal.places.get("step")
    if place is None:
        return None
    lines = [line for line in called(place.file, lambda name: name == "step") if "sched" in line.text.lower()]
    return min(lines, key=lambda line: abs(line.line - place.line)) if lines else place
