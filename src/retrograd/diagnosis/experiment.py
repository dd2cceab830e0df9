"""Experiments: the network is retrained with a single remedy and no other change.

A cause whose remedy alone repairs comes first; among several, the most specific: a learning rate can mask many faults.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from retrograd.base.errors import RetrogradError
from retrograd.base.finding import Finding
from retrograd.diagnosis.judgement.score import FAILED, SCORED, loss_of
from retrograd.diagnosis.judgement.verdict import judge
from retrograd.diagnosis.observe import Observed, observe
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.remedies.update import Rate
from retrograd.diagnosis.remedy import remedies
from retrograd.diagnosis.symptom import is_effect
from retrograd.diagnosis.variant import variant
from retrograd.present.numbers import number
from retrograd.update.plateau import ReduceOnPlateau

SECONDS = 40.0  # for all experiments of a diagnosis
LIKELY = 0.4  # from this confidence, a remedy is tried before the learning rate, which compensates for other faults too
SURE = 0.6  # from this confidence, even a remedy that compensates for many faults is tried before the learning rate
CERTAIN = 0.9  # confidence in a fault without a remedy from which no experiment is worth trying
ANYTHING = ("adam", "widen")  # their success proves nothing unless a finding about a cause names them
FAMILIES = {
    "lower_rate": ("lower_rate", "lower_rate_much"),
    "raise_rate": ("raise_rate", "raise_rate_much"),
    "more_updates": ("more_updates", "many_updates"),
}  # remedies that differ in degree


class Experiment(NamedTuple):
    """The result of one remedy alone: the held-out score without and with it, and whether it cured the failure.

    Where answers have no score, `before` and `after` are losses.
    """

    remedy: str
    before: float
    after: float
    heals: bool
    rate: float | None = None  # the learning rate, if that is what changed
    what: str = "score"

    def __str__(self) -> str:
        return f"{self.remedy} alone: {number(self.before, 3)} -> {number(self.after, 3)}"


def experiments(
    program: Program, runs: Sequence[Observed], findings: Sequence[Finding], seconds: float = SECONDS
) -> tuple[Experiment, ...]:
    """Return the experiments on the seed with the worst score, up to the first remedy that repairs by itself.

    `findings` are sorted, the likeliest first. Nothing is tried if no single change of the configuration could help.
    """
    if program.prepared is None or not runs or program.data.badly_split or _is_settled(findings):
        return ()
    worst = min(range(len(runs)), key=lambda i: _score(runs[i]))
    if judge(program, [runs[worst]], False).state != "ill":
        return ()
    trial = _Trial(program, runs[worst], program.config.training.seed + worst, time.perf_counter() + seconds)
    tried: list[Experiment] = []
    for name in plan(program, findings):
        if trial.left <= 0:
            break
        result = trial.of(name)
        if result is not None and result.heals and tried and trial.left > 0:
            result = trial.of(name, 1) or result  # a result that changes the order must succeed on a second seed
        if result is not None:
            tried.append(result)
            if result.heals:
                break
    return tuple(tried)


def plan(program: Program, findings: Sequence[Finding]) -> Iterator[str]:
    """Yield the remedies to try: those for likely causes, then learning rates and more updates, then all others."""
    remedied = [finding for finding in findings if finding.remedies and finding.severity != "note"]
    causes = [finding for finding in remedied if not is_effect(finding)]
    likely = [
        finding.remedies[0]
        for finding in causes
        if finding.confidence >= (SURE if finding.remedies[0] in ANYTHING else LIKELY)
    ]
    probable = [finding for finding in causes if finding.confidence >= LIKELY]
    likely += [name for finding in probable for name in finding.remedies[1:] if _is_specific(name)]
    named = {name for finding in remedied for name in finding.remedies[:1]}
    rates: tuple[str, ...] = ("lower_rate", "raise_rate") if "lower_rate" in named else ("raise_rate", "lower_rate")
    rates = () if set(rates) & set(likely) else rates  # if a cause names one, only its direction is tried
    others = [finding.remedies[0] for finding in (*causes, *remedied) if finding.remedies[0] not in ANYTHING]
    names = [*likely, *rates, "more_updates", *others]
    yield from dict.fromkeys(degree for name in names for degree in FAMILIES.get(name, (name,)))


def _is_specific(name: str) -> bool:
    """Return whether a remedy changes one cause, rather than compensating for many."""
    return name not in ANYTHING and not any(name in family for family in FAMILIES.values())


def _is_settled(findings: Sequence[Finding]) -> bool:
    """Return whether the first finding is a certain fault without a remedy to try."""
    first = findings[0] if findings else None
    return first is not None and first.severity == "fault" and first.confidence >= CERTAIN and not first.remedies


def _score(run: Observed) -> float:
    return FAILED if run.broken else min(run.score, run.train_score)


class _Trial:
    """Trains a program with one remedy, from the initial weights of one seed."""

    def __init__(self, program: Program, run: Observed, seed: int, end: float) -> None:
        self.program, self.seed, self.end = program, seed, end
        self.before = FAILED if run.broken else run.score
        highest = max((moment.held_out for moment in run.moments), default=FAILED)
        best = program.data.levels.best if program.data.y is not None else float("inf")
        self.enough = best if highest < best else float("inf")  # a score that was reached and lost does not count

    @property
    def left(self) -> float:
        """Remaining seconds."""
        return self.end - time.perf_counter()

    def of(self, name: str, further: int = 0) -> Experiment | None:
        """Return the experiment with one remedy; None if it changes nothing or cannot be tried."""
        try:
            config = remedies[name]().change(self.program.config, self.program)
        except RetrogradError:
            return None
        if config is None:
            return None
        before, rate = self.program, config.optimizer.first_rate
        if issubclass(remedies[name], Rate) and not isinstance(config.optimizer.learning_rate, ReduceOnPlateau):
            changed_program: Program | None = before
            stepper = before.runs.stepper.with_rates_times(rate / before.config.optimizer.first_rate)
        else:
            changed_program = variant(before, config)
            stepper = (
                changed_program.runs.stepper
                if changed_program is not None and changed_program.prepared is not None
                else before.runs.stepper
            )
        if changed_program is None or changed_program.prepared is None:
            return None
        run = observe(
            changed_program.prepared,
            changed_program.runs.scorer,
            stepper,
            seed=self.seed + further,
            seconds=max(self.left, 1.0),
            enough=self.enough,
        )
        heals = judge(changed_program, [run], False).state == "healthy"
        new_rate = rate if rate != before.config.optimizer.first_rate else None
        after = FAILED if run.broken else run.score
        if before.dataset.task in SCORED:
            return Experiment(name, self.before, after, heals, new_rate)
        return Experiment(name, loss_of(self.before), loss_of(after), heals, new_rate, "loss")
