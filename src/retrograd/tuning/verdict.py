"""The result of a study: its settings in order, and whether the winner is better than the original configuration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from retrograd.training.config.search import Search
from retrograd.training.loop.stop import falls
from retrograd.tuning.journal import State
from retrograd.tuning.proposals import CONFIRMING, STORING, Values, mean_cost

CONFIRM = 3  # number of fresh seeds, which were not used for the choice
FRESH = 1000  # the first fresh seed, relative to the seed of the configuration
ORIGINAL = 9999  # the number of the original configuration


class Tried(NamedTuple):
    """The settings of a trial, with their mean score over the seeds in the last rung that they reached."""

    number: int
    values: Values
    rung: int
    epochs: int
    score: float
    costs: tuple[float, ...]


class Verdict(NamedTuple):
    """The winner and the original configuration, on the same fresh seeds."""

    winner: Tried
    before: tuple[float, ...]  # scores of the original configuration
    after: tuple[float, ...]  # scores of the winner
    is_better: bool
    sentence: str


def ranked(search: Search, state: State) -> list[Tried]:
    """Return the settings with all seeds finished in their last rung, by rung (highest first), then by cost."""
    latest: dict[int, dict[str, Any]] = {}
    for event in state.ended.values():
        number, rung = event["number"], event["rung"]
        if rung in (STORING, CONFIRMING) or not math.isfinite(
            mean_cost(number, rung, search.options.seeds, state.costs)
        ):
            continue
        if number not in latest or rung > latest[number]["rung"]:
            latest[number] = event
    tried = []
    for number, event in latest.items():
        by_seed = tuple(state.costs[f"{number:04d}-{event['rung']}-{seed}"] for seed in range(search.options.seeds))
        mean = math.fsum(by_seed) / len(by_seed)
        score = mean if falls(search.options.metric) else -mean
        tried.append(Tried(number, tuple(event["values"].items()), event["rung"], event["epochs"], score, by_seed))
    return sorted(tried, key=lambda trial: (-trial.rung, math.fsum(trial.costs), trial.number))


def judged(search: Search, state: State, tried: Sequence[Tried]) -> Verdict | None:
    """Compare the winner with the original configuration on the fresh seeds that both have finished."""
    if not tried:
        return None
    winner, metric = tried[0], search.options.metric
    pairs = [
        tuple(state.costs.get(f"{number:04d}-{CONFIRMING}-{seed}", math.nan) for number in (ORIGINAL, winner.number))
        for seed in range(FRESH, FRESH + CONFIRM)
    ]
    pairs = [pair for pair in pairs if not any(map(math.isnan, pair))]
    if not pairs:
        return Verdict(winner, (), (), False, "the budget left no time to confirm the winner on fresh seeds")
    before, after = (tuple(pair[i] if falls(metric) else -pair[i] for pair in pairs) for i in (0, 1))
    costs = [[pair[i] for pair in pairs] for i in (0, 1)]
    means = [math.fsum(by_seed) / len(by_seed) for by_seed in costs]
    if not math.isfinite(means[1]):
        return Verdict(winner, before, after, False, "the winner failed on fresh seeds: the configuration is unchanged")
    count, shown = len(pairs), [f"{value if falls(metric) else -value:.4g}" for value in means]
    if not math.isfinite(means[0]):
        sentence = f"the original configuration failed on fresh seeds; {metric} {shown[1]} with the winner"
        return Verdict(winner, before, after, count > 1, sentence)
    noise = 2 * math.sqrt(sum(_variance(by_seed) / len(by_seed) for by_seed in costs))
    gain = means[0] - means[1]
    is_better = count > 1 and gain > noise
    sentence = f"{metric} {shown[0]} originally, {shown[1]} with the winner on {count} fresh seed{'s' * (count > 1)}: "
    sentence += f"better by {gain:.3g}" if gain > 0 else f"worse by {-gain:.3g}" if gain else "the same"
    if count == 1:
        sentence += ", which may be chance with one seed; use a larger budget"
    elif gain:
        sentence += f", {'beyond' if abs(gain) > noise else 'within'} the spread over seeds ({noise:.3g})"
    return Verdict(winner, before, after, is_better, sentence)


def _variance(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / max(len(values) - 1, 1)
