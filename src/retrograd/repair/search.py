"""The search for a repair: bundles by successive halving, accepted above the noise, then made minimal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from retrograd.diagnosis.diagnose import Diagnosis
from retrograd.repair.bundles import bundles
from retrograd.repair.remedy import remedies
from retrograd.repair.trial import Budget, Candidate, Source, Ward, unique

EXPLORE = 0.55  # of the budget, for the first look at many candidates
DEAREST = 0.4  # of the budget, for one trial
FINALISTS = 3
CHEAP = 0.02  # of what is left, for one trial: then more seeds cost nothing
GAIN = 0.02  # accuracy or R² that a repair must bring at least
NEAR = 0.02  # of the best: then a candidate with fewer changes is as good


@dataclass
class Search:
    """What a search found: the start, the repair (None if nothing helped), and everything that was tried."""

    start: Candidate
    best: Candidate | None
    tried: list[Candidate]
    budget: Budget


def search(diagnosis: Diagnosis, ward: Ward, seeds: int) -> Search:
    """Return the smallest set of remedies that measured better than the start by more than the noise."""
    start = Candidate((), diagnosis.program.config)
    if diagnosis.verdict.state == "refused":
        start.scores[ward.seed], start.refusal = -1.0, str(diagnosis.program.refusal)
    else:
        own = diagnosis.program.config.training.seed
        start.scores = {own + i: -1.0 if run.broken else run.score for i, run in enumerate(diagnosis.runs)}
        ward.budget.spent += sum(run.steps for run in diagnosis.runs)
    tried = explore(diagnosis, ward)
    finalists = sorted(tried, key=lambda c: (-c.mean, c.cost))[:FINALISTS]
    ward.forget(finalists)
    for candidate in finalists:
        ward.run(candidate, seeds if ward.price(candidate) < CHEAP * ward.budget.left else min(2, seeds))
    finalists.sort(key=lambda c: (-round(c.mean / NEAR), c.cost))
    best = finalists[0] if finalists else None
    if best is None or not better(best, start):
        return Search(start, None, tried, ward.budget)
    ward.run(best, seeds)
    best = minimal(best, ward, tried)
    return Search(start, best if better(best, start) else None, tried, ward.budget)


def explore(diagnosis: Diagnosis, ward: Ward) -> list[Candidate]:
    """Try one seed of each bundle while the budget's first part lasts; stop early at what data hold at most."""
    allowed = ward.budget.spent + EXPLORE * ward.budget.left
    enough = max(diagnosis.levels.best if diagnosis.levels else 1.0, 0.5)
    tried: list[Candidate] = []
    for candidate in unique(ward.candidate(names) for names in bundles(diagnosis)):
        price = ward.price(candidate)
        if price > DEAREST * ward.budget.updates or (tried and ward.budget.spent + price > allowed):
            continue
        ward.run(candidate, 1)
        tried.append(candidate)
        good = [each for each in tried if each.mean >= enough - NEAR / 2]
        if len(good) >= FINALISTS or (len(good) > 1 and candidate.mean >= 1 - NEAR / 4):
            break
    return tried


def better(candidate: Candidate, start: Candidate) -> bool:
    """Return whether a candidate's gain exceeds what seeds alone explain."""
    noise = 2 * (candidate.spread**2 + start.spread**2) ** 0.5
    return candidate.mean - start.mean > max(GAIN, noise)


def minimal(best: Candidate, ward: Ward, tried: list[Candidate]) -> Candidate:
    """Return the candidate without the remedies that make no difference, the dearest of them dropped first.

    A smaller bundle has to hold on every seed of the larger one: what helps on one seed only is no repair.
    """
    for dropped in sorted(best.remedies, key=lambda name: -remedies[name].cost):
        rest = tuple(name for name in best.remedies if name != dropped)
        if not rest:
            break
        smaller = known(ward.candidate(rest), tried)
        tried += [] if smaller in tried else [smaller]
        while len(smaller.scores) < len(best.scores) and as_good(smaller, best):
            if ward.price(smaller) > ward.budget.left or not ward.run(smaller, len(smaller.scores) + 1):
                break
        if len(smaller.scores) >= len(best.scores) and as_good(smaller, best):
            best = smaller
    return best


def as_good(smaller: Candidate, best: Candidate) -> bool:
    """Return whether a smaller bundle is no worse on the seeds that it has been tried with."""
    own = [best.scores[seed] for seed in smaller.scores if seed in best.scores]
    return not own or smaller.mean >= sum(own) / len(own) - NEAR / 2


def known(candidate: Candidate, tried: Sequence[Candidate]) -> Candidate:
    """Return the same configuration as it was tried before, if it was."""
    return next((each for each in tried if each.config == candidate.config), candidate)


def ward_for(diagnosis: Diagnosis, source: Source | None, updates: int) -> Ward:
    """Return where candidates are tried."""
    return Ward(diagnosis.program, source, Budget(updates))
