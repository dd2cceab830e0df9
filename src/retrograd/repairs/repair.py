"""Repair: a diagnosis, trials of remedies from fresh weights, and the smallest patch that scores better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrograd.base.doors import refuse_foreign
from retrograd.data.dataset import Dataset
from retrograd.data.settings import DataSettings
from retrograd.diagnosis.diagnose import Diagnosis, diagnose
from retrograd.diagnosis.judgement.score import SCORED
from retrograd.diagnosis.remedy import remedies
from retrograd.present.numbers import number
from retrograd.repairs.patch import Edit, changes
from retrograd.repairs.random_search import random_search
from retrograd.repairs.search import Search, search
from retrograd.repairs.trial import Budget, Candidate, Source, Ward, as_losses
from retrograd.training.config.config import RunConfig
from retrograd.training.run import as_config

SEEDS = 3  # as in a diagnosis
TIMES = 8  # default budget for the trials, as a multiple of the configured run
LEAST = 20_000  # minimum budget in updates; a small network makes them in seconds
ANY = 10**12  # updates, in effect no limit


@dataclass(frozen=True, repr=False)
class Repair:
    """A diagnosis, and the search for a repair (None if nothing was tried)."""

    diagnosis: Diagnosis
    search: Search | None
    random: Candidate | None = None  # the best of random search with as many updates, on request

    @property
    def config(self) -> RunConfig:
        """The configuration to use: the repaired one, or the original if no candidate was better."""
        return self.diagnosis.program.config if self.best is None else self.best.config

    @property
    def best(self) -> Candidate | None:
        """The candidate that scored better, if any."""
        return self.search.best if self.search else None

    @property
    def edits(self) -> list[Edit]:
        """The differences from the original configuration outside the network."""
        return changes(self.diagnosis.program.config, self.config)

    @property
    def sentence(self) -> str:
        """The outcome as one sentence."""
        if self.search is None:
            return f"nothing to repair: {self.diagnosis.verdict.sentence}"
        if self.search.best is None:
            return f"nothing helped: tried {len(self.search.tried)} bundles of remedies"
        start, best = self.shown(self.search.start), self.shown(self.search.best)
        dataset = self.diagnosis.program.dataset
        what = "score" if dataset.task in SCORED else "loss"
        what = f"{what} on its own training rows" if dataset.valid is None else f"held-out {what}"
        before = "(could not be trained)" if start.refusal else f"{number(start.mean, 3)} ± {number(start.spread, 2)}"
        after = f"{number(best.mean, 3)} ± {number(best.spread, 2)}"
        words = f"repaired: {what} {before} -> {after} by {', '.join(best.remedies)}"
        if best.unseen_mean is not None:
            start_unseen = "" if start.unseen_mean is None else f"{number(start.unseen_mean, 3)} -> "
            words += (
                f"; on the test part, which was not used in the search: {start_unseen}{number(best.unseen_mean, 3)}"
            )
        return words

    @property
    def reasons(self) -> dict[str, str]:
        """Why each remedy of the repair helps, or why it is kept although the score may not need it."""
        reasons = {name: remedies[name].why for name in (self.best.remedies if self.best else ())}
        for name, findings in (self.search.precautions if self.search else {}).items():
            if name in reasons:
                reasons[name] += f"; kept because {', '.join(findings)} would remain without it, and spoil some seeds"
        return reasons

    def shown(self, candidate: Candidate) -> Candidate:
        """Return a candidate with readable numbers: losses if answers have no score."""
        return candidate if self.diagnosis.program.dataset.task in SCORED else as_losses(candidate)

    def __repr__(self) -> str:
        return f"Repair({self.sentence})"

    def plain(self) -> dict[str, Any]:
        """Return the repair as plain types for JSON."""
        result, start = self.search, self.search.start if self.search else None
        return {
            "diagnosis": self.diagnosis.plain(),
            "sentence": self.sentence,
            "remedies": [{"name": name, "why": why} for name, why in self.reasons.items()],
            "changes": [{"path": ".".join(edit.path), "value": edit.value} for edit in self.edits],
            "updates": result.budget.spent if result else 0,
            "start": self._tried(start) if start else None,
            "tried": [self._tried(candidate) for candidate in (result.tried if result else [])],
            "random": self._tried(self.random) if self.random else None,
        }

    def _tried(self, candidate: Candidate) -> dict[str, Any]:
        """Return a candidate and its gain over the start, as plain types."""
        start = self.search.start if self.search else candidate
        is_measured = bool(candidate.scores) and not candidate.refusal
        has_gain = is_measured and candidate is not start and not start.refusal
        return {
            "remedies": list(candidate.remedies),
            "scores": list(candidate.scores.values()),
            "glances": list(candidate.glances.values()),
            "unseen": list(candidate.unseen.values()),
            "mean": candidate.mean if is_measured else None,
            "spread": candidate.spread if is_measured else None,
            "gain": candidate.mean - start.mean if has_gain else None,
            "accepted": candidate is self.best,
            "refusal": candidate.refusal,
        }


def repair(
    config: RunConfig | Mapping[str, Any] | str | Path,
    *,
    dataset: Dataset | None = None,
    source: Source | None = None,
    updates: int | None = None,
    seconds: float | None = None,
    seeds: int = SEEDS,
    baseline: bool = False,
) -> Repair:
    """Diagnose a configuration, try bundles of remedies, and return the smallest one that scores better.

    `updates` limits the updates of the diagnosis and the trials together; by default, trials may take 8 times the
    configured run, and at least 20,000 updates. `seconds` limits the time instead; a trial in progress is completed.
    `baseline` also runs random search with as many updates. If the data are arrays, `source` makes a data set from data
    settings, because remedies may change their scaling.

    Raises:  ConfigError, DataError for a configuration or data that cannot be read
    """
    refuse_foreign(config, "repair")
    if dataset is None and source is not None:
        config = as_config(config)
        dataset = source(config.data or DataSettings())
    return treat(diagnose(config, dataset=dataset, seeds=seeds, budget=None), source, updates, seeds, seconds, baseline)


def treat(
    diagnosis: Diagnosis,
    source: Source | None = None,
    updates: int | None = None,
    seeds: int = SEEDS,
    seconds: float | None = None,
    baseline: bool = False,
) -> Repair:
    """Return the repair after a diagnosis; nothing is tried unless the network is ill."""
    if not diagnosis.ill:
        return Repair(diagnosis, None)
    if updates is None:
        steps = diagnosis.program.prepared.steps if diagnosis.program.prepared else 0
        updates = ANY if seconds else sum(run.steps for run in diagnosis.runs) + max(LEAST, TIMES * steps)
    ward = Ward(diagnosis.program, source, Budget(updates, seconds or math.inf))
    result = search(diagnosis, ward, seeds)
    return Repair(diagnosis, result, _at_random(diagnosis, source, result, seeds) if baseline else None)


def _at_random(diagnosis: Diagnosis, source: Source | None, result: Search, seeds: int) -> Candidate:
    """Return the result of random search with as many updates and seeds."""
    candidate = Candidate((), random_search(diagnosis, source, result.budget.spent))
    Ward(diagnosis.program, source, Budget(ANY)).run(candidate, len(result.best.scores) if result.best else seeds)
    return candidate
