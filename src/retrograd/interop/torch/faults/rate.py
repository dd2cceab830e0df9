"""The learning rate over the run."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Journal
from retrograd.interop.torch.place import Place, called

EARLY, VANISHED, TURNS = (threshold("U12", name) for name in ("early", "vanished", "restarts"))
FEWEST = 20  # steps, of which a schedule can be told
FEWEST_ZERO = 3  # readings: a warm-up may begin at 0


@loop_faults.register("rate_vanishes")
class RateVanishes(LoopFault):
    """The rate falls under a thousandth of its maximum before half of the steps are done: a schedule runs too fast."""

    code = "U12"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the step from which on nothing moves, and schedules that go up and down all the time."""
        steps, low = journal.turns, journal.low_from
        if steps >= FEWEST and 0 <= low < EARLY * steps:
            yield self.finding(
                _scheduler(journal),
                "the learning rate is under a thousandth of its maximum from step {low} of {steps} on: "
                "the schedule runs out long before the training does",
                Evidence("share of the steps before the rate vanishes", low / steps, EARLY),
                Evidence("last rate / largest rate", journal.rates.end() / max(journal.top_rate, 1e-30), VANISHED),
                values={"low": low, "steps": steps},
                remedy="call scheduler.step() once an epoch, not once a minibatch; or plan it for all the steps",
                confidence=0.95,
            )
        elif steps >= FEWEST and journal.rate_turns >= TURNS and journal.rate_turns * _epoch(journal) > steps:
            yield self.finding(
                _scheduler(journal),
                "the learning rate falls to nearly nothing and climbs again {turns} times in {steps} "
                "steps, more than once an epoch: the schedule is stepped more often than it was planned "
                "for",
                Evidence("times that it came back", journal.rate_turns, TURNS),
                values={"turns": journal.rate_turns, "steps": steps},
                remedy="call scheduler.step() once an epoch, or plan it for all the steps",
                severity="risk",
                confidence=0.6,
            )


@loop_faults.register("rate_is_zero")
class RateIsZero(LoopFault):
    """Every parameter group steps with a learning rate of 0: nothing moves."""

    code = "U12"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield how many of the steps had none."""
        zero, read = journal.zero_rates, journal.read_rates
        if zero < FEWEST_ZERO or zero < EARLY * read:
            return
        yield self.finding(
            _scheduler(journal),
            "the learning rate is 0 in {zero} of {read} steps that were looked at: they change nothing",
            Evidence("share of the steps with a rate of 0", zero / read, EARLY),
            values={"zero": zero, "read": read},
            remedy="give the optimizer a rate above 0; a schedule must not stay at 0",
            confidence=0.98,
        )


def _epoch(journal: Journal) -> float:
    """Return the steps of an epoch; 0 where they are not known. Restarts that are meant are planned in epochs."""
    rows = journal.rows
    return (rows.available or 0) / max(rows.size, 1)


def _scheduler(journal: Journal) -> Place | None:
    """Return the line that steps the schedule: a `step` under a name like one."""
    place = journal.places.get("step")
    if place is None:
        return None
    lines = [each for each in called(place.file, lambda name: name == "step") if "sched" in each.text.lower()]
    return min(lines, key=lambda each: abs(each.line - place.line)) if lines else place
