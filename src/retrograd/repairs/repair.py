"""Repair: a diagnosis, remedies tried from fresh weights, and the smallest patch that measured better."""

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
from retrograd.repairs.patch import Edit, changes
from retrograd.repairs.random_search import random_search
from retrograd.repairs.search import Search, search
from retrograd.repairs.trial import Budget, Candidate, Source, Ward, as_losses
from retrograd.training.config.config import RunConfig
from retrograd.training.run import as_config

SEEDS = 3  # as many as a diagnosis runs
TIMES = 8  # the updates of the configured run that the trials of a repair may spend
LEAST = 20_000  # updates, which small networks make in seconds
ANY = 10**12  # updates: as many as one likes


@dataclass(frozen=True, repr=False)
class Repair:
    """What was wrong, what helped (or None), and what was tried."""

    diagnosis: Diagnosis
    found: Search | None
    random: Candidate | None = None  # what random search found with as many updates, if it was asked

    @property
    def config(self) -> RunConfig:
        """The configuration to use: the repaired one, or the given one where nothing is better."""
        return self.diagnosis.program.config if self.best is None else self.best.config

    @property
    def best(self) -> Candidate | None:
        """The candidate that measured better."""
        return self.found.best if self.found else None

    @property
    def edits(self) -> list[Edit]:
        """What differs from the given configuration, the network apart."""
        return changes(self.diagnosis.program.config, self.config)

    @property
    def sentence(self) -> str:
        """What came out, in words."""
        if self.found is None:
            return f"nothing to repair: {self.diagnosis.verdict.sentence}"
        if self.found.best is None:
            return f"nothing helped: {len(self.found.tried)} bundles of remedies were tried"
        start, best = self.shown(self.found.start), self.shown(self.found.best)
        dataset = self.diagnosis.program.dataset
        what = "score" if dataset.task in SCORED else "loss"
        what = f"{what} on its training rows" if dataset.valid is None else f"held-out {what}"
        before = "could not be trained" if start.refusal else f"{start.mean:.3g} ± {start.spread:.2g}"
        words = f"repaired: {what} {before} -> {best.mean:.3g} ± {best.spread:.2g} by {', '.join(best.remedies)}"
        if best.unseen_mean is not None:
            own = "" if start.unseen_mean is None else f"{start.unseen_mean:.3g} -> "
            words += f"; on the test part, which had no part in it: {own}{best.unseen_mean:.3g}"
        return words

    def shown(self, candidate: Candidate) -> Candidate:
        """Return a candidate with the numbers that a person compares: losses where answers have no score."""
        return candidate if self.diagnosis.program.dataset.task in SCORED else as_losses(candidate)

    def __repr__(self) -> str:
        return f"Repair({self.sentence})"

    def plain(self) -> dict[str, Any]:
        """Return the repair as plain types for JSON."""
        found, start = self.found, self.found.start if self.found else None
        return {
            "diagnosis": self.diagnosis.plain(),
            "sentence": self.sentence,
            "remedies": [{"name": n, "why": remedies[n].why} for n in (self.best.remedies if self.best else ())],
            "changes": [{"path": ".".join(edit.path), "value": edit.value} for edit in self.edits],
            "updates": found.budget.spent if found else 0,
            "start": self._tried(start) if start else None,
            "tried": [self._tried(candidate) for candidate in (found.tried if found else [])],
            "random": self._tried(self.random) if self.random else None,
        }

    def _tried(self, candidate: Candidate) -> dict[str, Any]:
        """Return a candidate with its measured gain over the start, as plain types."""
        start = self.found.start if self.found else candidate
        whole = bool(candidate.scores) and not candidate.refusal
        compared = whole and candidate is not start and not start.refusal
        return {
            "remedies": list(candidate.remedies),
            "scores": list(candidate.scores.values()),
            "glances": list(candidate.glances.values()),
            "unseen": list(candidate.unseen.values()),
            "mean": candidate.mean if whole else None,
            "spread": candidate.spread if whole else None,
            "gain": candidate.mean - start.mean if compared else None,
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
    """Diagnose a configuration, try bundles of remedies, and return the smallest one that measured better.

    `updates` is what the diagnosis and the trials may spend together: by default the trials 8 times the configured
    run, and at least 20,000; or else `seconds`, which no trial that has begun is stopped for. `baseline` gives random
    search as many updates too.
    `source` makes a data set from data settings, where the data are arrays: remedies change how they are scaled.

    Raises:  ConfigError, DataError for a configuration or data that cannot be read at all
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
    """Return the repair of what a diagnosis found; nothing is tried where nothing is ill, or nothing can be learned."""
    if not diagnosis.ill:
        return Repair(diagnosis, None)
    if updates is None:
        steps = diagnosis.program.prepared.steps if diagnosis.program.prepared else 0
        updates = ANY if seconds else sum(run.steps for run in diagnosis.runs) + max(LEAST, TIMES * steps)
    ward = Ward(diagnosis.program, source, Budget(updates, seconds or math.inf))
    found = search(diagnosis, ward, seeds)
    return Repair(diagnosis, found, _at_random(diagnosis, source, found, seeds) if baseline else None)


def _at_random(diagnosis: Diagnosis, source: Source | None, found: Search, seeds: int) -> Candidate:
    """Return what random search finds with as many updates, tried with as many seeds."""
    chosen = Candidate((), random_search(diagnosis, source, found.budget.spent))
    Ward(diagnosis.program, source, Budget(ANY)).run(chosen, len(found.best.scores) if found.best else seeds)
    return chosen
