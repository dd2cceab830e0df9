"""Diagnosis: cheap checks first, the failure before its symptoms, causes ordered by how well they explain it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import retrograd.diagnosis.remedies  # registers them
import retrograd.diagnosis.symptoms  # noqa: F401  # registers them
from retrograd.base.doors import refuse_foreign
from retrograd.base.errors import RetrogradError
from retrograd.base.finding import Finding
from retrograd.base.sentence import setting
from retrograd.data.cells.precision import reading_in
from retrograd.data.dataset import Dataset, load
from retrograd.diagnosis.budget import QUICK, SECONDS, Budget, unheard, within
from retrograd.diagnosis.experiment import SECONDS as EXPERIMENTS
from retrograd.diagnosis.experiment import Experiment, experiments
from retrograd.diagnosis.judgement.levels import Levels
from retrograd.diagnosis.judgement.measure import beats_chance
from retrograd.diagnosis.judgement.verdict import Verdict, judge, undecided
from retrograd.diagnosis.observe import Observed
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.ranking import ranked
from retrograd.diagnosis.symptom import STAGES, symptoms
from retrograd.training.config.config import RunConfig
from retrograd.training.run import as_config

SEEDS, MOST_SEEDS = 3, 5  # three show whether seeds agree; two more are run if they do not


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """The verdict on a program, its findings with the likeliest cause first, and the measurements."""

    program: Program
    verdict: Verdict
    findings: tuple[Finding, ...]
    levels: Levels | None
    runs: tuple[Observed, ...]
    experiments: tuple[Experiment, ...] = ()

    @property
    def ill(self) -> bool:
        """Whether the program needs a repair."""
        return self.verdict.state in ("ill", "refused")

    @property
    def causes(self) -> tuple[Finding, ...]:
        """The findings that may explain the failure; empty without a failure."""
        return tuple(f for f in self.findings if f.severity != "note") if self.ill or self.hopeless else ()

    @property
    def hopeless(self) -> bool:
        """Whether the data contain nothing to learn."""
        return self.verdict.state == "hopeless"

    def __repr__(self) -> str:
        return f"Diagnosis({self.verdict.state}: {self.verdict.sentence}; {len(self.findings)} findings)"

    def plain(self) -> dict[str, Any]:
        """Return the diagnosis as plain types for JSON."""
        return {
            "name": self.program.config.name,
            "verdict": self.verdict.state,
            "sentence": self.verdict.sentence,
            "evidence": [evidence._asdict() for evidence in self.verdict.evidence],
            "findings": [finding.plain() for finding in self.findings],
            "experiments": [experiment._asdict() for experiment in self.experiments],
        }


def diagnose(
    config: RunConfig | Mapping[str, Any] | str | Path,
    *,
    dataset: Dataset | None = None,
    seeds: int = SEEDS,
    seconds: float | None = None,
    budget: float | None = SECONDS,
    say: Callable[[str], None] = unheard,
) -> Diagnosis:
    """Report whether a configuration learns what its data contain, and if not, why.

    `seeds` runs are trained in memory, each for at most `seconds`, all within a `budget` of seconds (None: no
    limit); nothing is written. If there are too many rows for the budget, a sample is used, and the verdict says so.
    `say` receives the progress.

    Raises:  ConfigError, DataError for a configuration or data that cannot be read
    """
    refuse_foreign(config, "diagnose")
    config = as_config(config)
    allowed = Budget(math.inf if budget is None else budget, say)
    if dataset is None:
        if config.data is None:
            raise RetrogradError(
                "no data to diagnose", cure="give " + setting("data") + " in the configuration, or a dataset"
            )
        with reading_in(config.training.precision):
            dataset = load(config.data)
    return examine(Program(config, dataset, seconds), seeds, allowed)


def examine(program: Program, seeds: int = SEEDS, budget: Budget | None = None, frugal: bool = False) -> Diagnosis:
    """Return the diagnosis of a program from a number of seeds, or a few more if these leave the verdict to chance.

    References that find no signal decide only if the network finds none either. If the network is ill, the
    remedies for its likeliest causes are tried one by one. A frugal diagnosis tries neither more seeds nor remedies.
    """
    budget = Budget() if budget is None else budget
    budget.tell("examining configuration and data, fitting references")
    findings_so_far = list(look(program, STAGES[:3]))
    hopeless = any(f.name == "no_signal" for f in findings_so_far)
    runs: list[Observed] = []
    if program.refusal is None:
        program, runs = trained(program, 1 if hopeless else seeds, budget, frugal)
        if hopeless and any(beats_chance(program, run) for run in runs):
            hopeless, findings_so_far = False, [f for f in findings_so_far if f.name != "no_signal"]
            runs += further(program, runs, seeds, budget, frugal)
    verdict = judge(program, runs, hopeless)
    if runs and not hopeless:
        shown = program.seen_in(runs[verdict.run])
        budget.tell("examining the runs")
        if shown is not program:
            findings_so_far = [f for f in findings_so_far if f.name in symptoms and symptoms[f.name].stage != "probe"]
            findings_so_far += look(shown, STAGES[2:])
        else:
            findings_so_far += look(shown, STAGES[3:])
    levels = program.data.levels if program.data.y is not None else None
    findings = ranked(findings_so_far, verdict.state)
    tried: tuple[Experiment, ...] = ()
    if not frugal and verdict.state == "ill":
        budget.tell("trying remedies one by one")
        tried = experiments(program, runs, findings, min(EXPERIMENTS, budget.rest))
    findings = ranked(findings_so_far, verdict.state, tried)
    return Diagnosis(program, verdict, tuple(findings), levels, tuple(runs), tried)


def trained(program: Program, seeds: int, budget: Budget, frugal: bool) -> tuple[Program, list[Observed]]:
    """Return the program, possibly on a sample of its rows, and as many runs as are needed and fit in the budget.

    Unless `frugal`, further seeds are run if the first ones leave the verdict to chance, or if they are cheap.
    """
    budget.tell(f"run 1 of {seeds}")
    program, first = within(program, budget, seeds)
    runs = [] if first is None else [first]
    return program, runs + further(program, runs, seeds, budget, frugal)


def further(program: Program, runs: list[Observed], seeds: int, budget: Budget, frugal: bool) -> list[Observed]:
    """Return the runs of further seeds."""
    all_runs, last, began = list(runs), 0.0, budget.used
    most = seeds if frugal or seeds == 1 else max(seeds, MOST_SEEDS)
    while len(all_runs) < most and budget.allows(len(all_runs), last):
        if len(all_runs) >= seeds:
            quick = budget.used - began < QUICK and last < QUICK / 2
            if not quick and not undecided(program, all_runs):
                break
        budget.tell(f"run {len(all_runs) + 1} of {max(seeds, len(all_runs) + 1)}")
        start = budget.used
        all_runs.append(program.runs.of(program.seed + len(all_runs)))
        last = budget.used - start
        if len(all_runs) == 1:
            program.__dict__["observed"] = all_runs[0]
    return all_runs[len(runs) :]


def look(program: Program, stages: tuple[str, ...]) -> Iterator[Finding]:
    """Yield the findings of these stages' symptoms, in the order of the stages."""
    explained = False
    for stage in stages:
        for name in symptoms:
            if symptoms[name].stage == stage:
                for finding in symptoms[name]().find(program):
                    explained = explained or finding.severity == "fault"
                    yield finding
    if "static" in stages and program.refusal is not None and not explained:
        for problem in program.refusal.problems:
            message = f"{problem.message}; {problem.cure}".rstrip("; ")
            yield Finding.of("refused", problem.where, message, {}, (), (), "fault", "", 0.5)
