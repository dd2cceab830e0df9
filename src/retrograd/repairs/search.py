"""The search for a repair: bundles by successive halving, accepted if better beyond noise, minimised, and confirmed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from retrograd.diagnosis.diagnose import Diagnosis
from retrograd.diagnosis.remedy import remedies
from retrograd.repairs.bundles import bundles
from retrograd.repairs.trial import GLANCE, Budget, Candidate, Ward, unique

EXPLORE = 0.45  # share of the budget for the short trials of many candidates
SHARE = 1 / 3  # share of a candidate's epochs in a short trial
DEAREST = 0.4  # maximum share of the budget for one trial
FINALISTS = 3  # number of candidates with full trials on all seeds
CHEAP = 0.02  # share of the remaining budget up to which a trial is so cheap that more seeds are almost free
GAIN = 0.02  # minimum gain of a repair, in accuracy or R²
NEAR = 0.02  # distance to the best score within which a candidate with fewer changes is as good
UNSURE = 0.05  # standard error of the start's score above which single seeds fail, so that short trials use two
SHRINK = 0.8  # share of the time after which a repair is no longer reduced
RISK = 0.1  # score deducted for each remaining fault that spoils some seeds by chance
CONFIRM = 2  # number of extra seeds that were not used in the search


@dataclass
class Search:
    """The result of a search: the start, the repair (None if nothing helped), and all candidates that were tried.

    `precautions`: remedies that the repair keeps for the sake of these findings, which would return without them.
    """

    start: Candidate
    best: Candidate | None
    tried: list[Candidate]
    budget: Budget
    precautions: dict[str, list[str]] = field(default_factory=dict)


def search(diagnosis: Diagnosis, ward: Ward, seeds: int) -> Search:
    """Search for the smallest set of remedies that scores better than the start by more than the noise."""
    start = ward.start(diagnosis)
    ward.budget.spent += sum(run.steps for run in diagnosis.runs)
    result = Search(start, None, explore(diagnosis, ward, start), ward.budget)
    for finalist in finals(result, ward, seeds, reachable(diagnosis)):
        settle_start(finalist, start, ward, seeds)
        if better(finalist, start):
            result.precautions.clear()
            for candidate in dict.fromkeys((minimal(finalist, ward, result), finalist)):
                if better(candidate, start) and confirmed(candidate, start, ward, seeds):
                    result.best = candidate
                    return result
    return result


def reachable(diagnosis: Diagnosis) -> float:
    """Return a score known to be reachable: that of the best reference, but at least 0.5."""
    # references may fail where networks can learn
    return max(diagnosis.levels.best if diagnosis.levels else 1.0, 0.5)


def explore(diagnosis: Diagnosis, ward: Ward, start: Candidate) -> list[Candidate]:
    """Give each bundle a short trial within the first part of the budget; stop early at the reachable score.

    If the score falls during training, short trials would say nothing, so trials are full.
    """
    allowed = ward.budget.spent + EXPLORE * ward.budget.left
    worsens = any(finding.name == "overfit" for finding in diagnosis.causes)
    share, enough = (1.0, math.inf) if worsens else (SHARE, reachable(diagnosis) - NEAR / 2)
    seeds = 2 if start.spread > UNSURE else 1
    tried: list[Candidate] = []
    for candidate in unique(ward.candidate(names) for names in bundles(diagnosis)):
        price = ward.price(candidate)
        cost = seeds * max(share * price, min(price, GLANCE))
        best = max(tried, key=lambda c: c.promise, default=start)
        reserved = 2 * ward.price(best) if best.promise > start.mean + GAIN else 0  # for its full trials
        if price > DEAREST * ward.budget.updates:
            continue
        if tried and (ward.budget.spent + cost > allowed or ward.budget.left - cost < reserved):
            continue
        if tried and ward.budget.time_used > EXPLORE:
            break
        ward.glance(candidate, seeds, share, enough)
        tried.append(candidate)
        good = [c for c in tried if c.promise >= reachable(diagnosis) - NEAR / 2]
        if len(good) >= FINALISTS or (len(good) > 1 and candidate.promise >= 1 - NEAR / 4):
            break
    return tried


def finals(search_so_far: Search, ward: Ward, seeds: int, enough: float) -> Iterator[Candidate]:
    """Yield the most promising candidates after full trials, the best first.

    A third one is tried only if the first two miss the reachable score.
    """
    promising = sorted(
        search_so_far.tried, key=lambda c: (-round((c.promise - RISK * len(ward.risks(c))) / NEAR), c.cost)
    )
    promising = promising[:FINALISTS]
    ward.forget(promising)
    finalists: list[Candidate] = []
    for candidate in promising:
        if len(finalists) > 1 and max(c.mean for c in finalists) >= enough - NEAR:
            break
        ward.run(candidate, seeds if ward.price(candidate) < CHEAP * ward.budget.left else 1)
        finalists += [candidate] if candidate.scores else []
    while finalists:
        finalists.sort(key=lambda c: (-round((c.mean - RISK * len(ward.risks(c))) / NEAR), c.cost))
        if len(finalists[0].scores) >= seeds or not ward.run(finalists[0], len(finalists[0].scores) + 1):
            yield finalists.pop(0)


def settle_start(chosen: Candidate, start: Candidate, ward: Ward, seeds: int) -> None:
    """Try the start with further seeds as long as only the spread of its scores prevents a gain from counting."""
    while chosen.mean - start.mean > GAIN and start.spread > chosen.spread and not better(chosen, start):
        if len(start.scores) >= seeds + CONFIRM or not ward.run(start, len(start.scores) + 1):
            return


def confirmed(candidate: Candidate, start: Candidate, ward: Ward, seeds: int) -> bool:
    """Return whether a repair keeps at least half of its gain on seeds that were not used in the search.

    If the budget does not allow that, the repair counts as confirmed. The score on the test part, which was not used
    either, must rise.
    """
    least = (candidate.mean + start.mean) / 2
    ward.run(candidate, seeds + CONFIRM)
    fresh_scores = [score for seed, score in candidate.scores.items() if seed >= ward.seed + seeds]
    before, after = start.unseen_mean, candidate.unseen_mean
    if before is not None and after is not None and after <= before:
        return False
    return not fresh_scores or math.fsum(fresh_scores) / len(fresh_scores) >= least


def better(candidate: Candidate, start: Candidate) -> bool:
    """Return whether a candidate's gain exceeds the noise between seeds."""
    noise = 2 * math.sqrt(candidate.spread**2 + start.spread**2)
    return candidate.mean - start.mean > max(GAIN, noise)


def minimal(best: Candidate, ward: Ward, result: Search) -> Candidate:
    """Return the candidate without remedies that make no difference, trying to drop the costliest first.

    A smaller bundle must be as good on every seed of the larger one, and must not restore a risk that the larger one
    removed.
    """
    reserve = (ward.budget.left - CONFIRM * ward.price(best)) / 2
    for dropped in sorted(best.remedies, key=lambda name: -remedies[name].cost):
        rest = tuple(name for name in best.remedies if name != dropped)
        if not rest:
            break
        smaller = known(ward.candidate(rest), result.tried)
        risks, fewer = ward.risks(smaller), ward.risks(best)
        if len(risks) > len(fewer):
            result.precautions[dropped] = [name for name in dict.fromkeys(risks) if name not in fewer] or risks
            continue
        if ward.budget.time_used > SHRINK:
            continue
        while len(smaller.scores) < len(best.scores) and as_good(smaller, best):
            if ward.budget.left - ward.price(smaller) < reserve or not ward.run(smaller, len(smaller.scores) + 1):
                break
        result.tried += [] if smaller in result.tried or not smaller.scores else [smaller]
        if len(smaller.scores) >= len(best.scores) and as_good(smaller, best):
            best = smaller
    return best


def as_good(smaller: Candidate, best: Candidate) -> bool:
    """Return whether a smaller bundle is no worse on the seeds that it was tried with so far."""
    shared = [best.scores[seed] for seed in smaller.scores if seed in best.scores]
    return not shared or smaller.mean >= sum(shared) / len(shared) - NEAR / 2


def known(candidate: Candidate, tried: Sequence[Candidate]) -> Candidate:
    """Return the earlier candidate with the same configuration, if there is one."""
    return next((earlier for earlier in tried if earlier.config == candidate.config), candidate)
