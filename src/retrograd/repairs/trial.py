"""Trials: a changed configuration trained from fresh weights with shared seeds, within a budget of updates."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from retrograd.base.errors import RetrogradError
from retrograd.base.schema import dump
from retrograd.data.dataset import Dataset, load
from retrograd.data.settings import DataSettings
from retrograd.diagnosis.diagnose import Diagnosis
from retrograd.diagnosis.judgement.score import FAILED, loss_of
from retrograd.diagnosis.observe import Observed, observe
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.remedy import remedies
from retrograd.diagnosis.symptom import symptoms
from retrograd.training.config.config import RunConfig

Source = Callable[[DataSettings], Dataset]
GLANCE = 150  # minimum number of updates in a short trial


@dataclass
class Budget:
    """The budget for trials: updates and, if set, seconds."""

    updates: int
    seconds: float = math.inf
    spent: int = 0
    begun: float = field(default_factory=time.perf_counter)

    @property
    def left(self) -> int:
        """The remaining updates; 0 when time is up."""
        return self.updates - self.spent if self.time_used < 1 else 0

    @property
    def time_used(self) -> float:
        """The share of the time used so far."""
        return (time.perf_counter() - self.begun) / self.seconds


@dataclass(eq=False)
class Candidate:
    """A set of remedies, the resulting configuration, and the held-out scores of its full trials by seed.

    `glances` are the scores of short trials, a promise that a full trial must keep. `unseen` are the scores of full
    trials on the test part, if there is one; the search does not use them.
    """

    remedies: tuple[str, ...]
    config: RunConfig
    scores: dict[int, float] = field(default_factory=dict)
    glances: dict[int, float] = field(default_factory=dict)
    unseen: dict[int, float] = field(default_factory=dict)
    refusal: str = ""

    @property
    def mean(self) -> float:
        """The mean score of full trials."""
        return _mean(self.scores.values())

    @property
    def promise(self) -> float:
        """The mean score of short trials."""
        return _mean(self.glances.values())

    @property
    def shown(self) -> float:
        """The mean score of full trials, or of short ones if there are no others."""
        return self.mean if self.scores else self.promise

    @property
    def unseen_mean(self) -> float | None:
        """The mean score on the test part."""
        return _mean(self.unseen.values()) if self.unseen else None

    @property
    def spread(self) -> float:
        """The standard error of the mean."""
        if len(self.scores) < 2:
            return 0.0
        variance = math.fsum((score - self.mean) ** 2 for score in self.scores.values()) / (len(self.scores) - 1)
        return math.sqrt(variance / len(self.scores))

    @property
    def cost(self) -> int:
        """How far the remedies override the user's choices."""
        return sum(remedies[name].cost for name in self.remedies)


class Ward:
    """Tries configurations on one data source, reusing programs with their data and compiled steps for all seeds."""

    def __init__(self, program: Program, source: Source | None, budget: Budget) -> None:
        self.program, self.budget = program, budget
        self.source = source or self._own_source
        self.seed = program.config.training.seed
        self._datasets: dict[str, Dataset] = {_key(program.config.data): program.dataset}
        self._programs: dict[str, Program] = {str(dump(program.config)): program}

    def start(self, diagnosis: Diagnosis) -> Candidate:
        """Return the candidate without remedies, with the scores of the diagnosis."""
        start = Candidate((), self.program.config)
        if self.program.prepared is None:
            self._refuse(start, self.program)
        for i, run in enumerate(diagnosis.runs):
            note(start, self.seed + i, run, self.program)
        return start

    def candidate(self, names: Sequence[str]) -> Candidate:
        """Return the candidate with these remedies applied in order, without those that change nothing."""
        config = self.program.config
        used: list[str] = []
        for name in dict.fromkeys(names):
            try:
                changed = remedies[name]().change(config, self._program(config) if used else self.program)
            except RetrogradError:
                continue
            if changed is not None:
                config, used = changed, [*used, name]
        return Candidate(tuple(used), config)

    def price(self, candidate: Candidate) -> int:
        """Return the number of updates of one trial."""
        prepared = self._program(candidate.config).prepared
        return 0 if prepared is None else prepared.steps

    def risks(self, candidate: Candidate) -> list[str]:
        """Return the findings left in a candidate's configuration that spoil some seeds by chance."""
        program = self._program(candidate.config)
        rules = ((name, symptoms[name]()) for name in symptoms if symptoms[name].by_chance)
        return [name for name, symptom in rules for _ in symptom.find(program)]

    def glance(self, candidate: Candidate, seeds: int, share: float, enough: float) -> None:
        """Try a candidate for a share of its epochs, or until its score reaches `enough`."""
        program = self._program(candidate.config)
        if program.prepared is None:
            self._refuse(candidate, program)
            return
        planned, steps = program.prepared.config.training.epochs, program.prepared.steps
        least = math.ceil(GLANCE * planned / max(steps, 1))
        epochs = min(planned, max(math.ceil(share * planned), least))
        for seed in range(self.seed, self.seed + seeds):
            run = observe(
                program.prepared, program.runs.scorer, program.runs.stepper, seed=seed, epochs=epochs, enough=enough
            )
            self.budget.spent += run.steps
            candidate.glances[seed] = FAILED if run.broken else run.score
            if run.steps == steps:
                note(candidate, seed, run, program)

    def run(self, candidate: Candidate, seeds: int) -> bool:
        """Try a candidate until it has scores for `seeds` seeds; return whether the budget sufficed."""
        program = self._program(candidate.config)
        if program.prepared is None:
            self._refuse(candidate, program)
            return True
        for seed in range(self.seed, self.seed + seeds):
            if seed in candidate.scores:
                continue
            if self.price(candidate) > self.budget.left:
                return False
            trial = observe(program.prepared, program.runs.scorer, program.runs.stepper, seed=seed)
            self.budget.spent += trial.steps
            note(candidate, seed, trial, program)
        return True

    def _refuse(self, candidate: Candidate, program: Program) -> None:
        candidate.refusal = str(program.refusal)
        candidate.scores[self.seed] = candidate.glances[self.seed] = FAILED

    def _program(self, config: RunConfig) -> Program:
        key = str(dump(config))
        if key not in self._programs:
            data = _key(config.data)
            if data not in self._datasets:
                self._datasets[data] = self.source(config.data or DataSettings())
            self._programs[key] = Program(config, self._datasets[data])
        return self._programs[key]

    def forget(self, keep: Sequence[Candidate]) -> None:
        """Drop compiled programs that are no longer needed."""
        needed = {str(dump(candidate.config)) for candidate in keep} | {str(dump(self.program.config))}
        self._programs = {key: program for key, program in self._programs.items() if key in needed}

    def _own_source(self, settings: DataSettings) -> Dataset:
        if settings.path is None and settings.builtin is None:
            raise RetrogradError("the data are arrays, and a remedy would change their preprocessing",
                                 cure="pass `source`, a function from data settings to a data set")  # fmt: skip
        return load(settings)


def _mean(scores: Collection[float]) -> float:
    return math.fsum(scores) / len(scores) if scores else FAILED


def _key(settings: DataSettings | None) -> str:
    return str(dump(settings or DataSettings()))


def note(candidate: Candidate, seed: int, run: Observed, program: Program) -> None:
    """Record the scores of a full trial."""
    candidate.scores[seed] = FAILED if run.broken else run.score
    if program.dataset.test is not None:
        candidate.unseen[seed] = FAILED if run.broken else program.runs.scorer.score(run.variables, "test")


def as_losses(candidate: Candidate) -> Candidate:
    """Return a candidate with the losses that its scores were derived from."""
    by_kind = (candidate.scores, candidate.glances, candidate.unseen)
    scores, glances, unseen = ({seed: loss_of(score) for seed, score in by_seed.items()} for by_seed in by_kind)
    return dataclasses.replace(candidate, scores=scores, glances=glances, unseen=unseen)


def unique(candidates: Iterator[Candidate]) -> Iterator[Candidate]:
    """Yield the candidates whose configuration has not occurred before."""
    keys = set()
    for candidate in candidates:
        key = str(dump(candidate.config))
        if key not in keys and candidate.remedies:
            keys.add(key)
            yield candidate
