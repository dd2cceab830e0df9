"""The result of a study: its settings in order, and whether the winner is better than the original configuration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from retrograd.present.numbers import number
from retrograd.training.config.search import Search
from retrograd.training.loop.stop import falls
from retrograd.tuning.journal import State
from retrograd.tuning.neighbourhood import best_with_neighbours
from retrograd.tuning.proposals import CONFIRMING, FINAL, STORING, Proposal, Values, key_of, mean_cost

CONFIRM = 3  # number of fresh seeds, which were not used for the choice
FRESH = 1000  # the first fresh seed, relative to the seed of the configuration
ORIGINAL = 9999  # the number of the original configuration
FINALISTS, FINALISTS_EACH = 8, 9  # settings in the finals: at most, and without a time budget one in how many
FINAL_SEEDS = 3  # further seeds for each


class Tried(NamedTuple):
    """The settings of a trial, with their mean score over the seeds in the last rung that they reached."""

    number: int
    values: Values
    rung: int
    epochs: int
    score: float
    costs: tuple[float, ...]  # by seed

    @property
    def run(self) -> str:
        """The name of the run folder of its best seed, which exists for the winner."""
        return storing_trial(self).folder


class Verdict(NamedTuple):
    """The winner and the original configuration, on the same fresh seeds."""

    winner: Tried
    before: tuple[float, ...]  # scores of the original configuration
    after: tuple[float, ...]  # scores of the winner
    is_better: bool
    sentence: str


def ranked(search: Search, state: State, epochs: int) -> list[Tried]:
    """Return the settings, the best first: by complete finals, by rung (highest first), then by cost."""
    tried = searched(search, state)
    best = finalists(search, state, tried, epochs)
    entries = final_trials(search, best)
    if not all(entry.key in state.costs for entry in entries):
        return tried
    with_finals = []
    for trial in best:
        further = [state.costs[entry.key] for entry in entries if entry.number == trial.number]
        with_finals.append(_tried(search, trial, FINAL, (*trial.costs, *further)))
    with_finals = sorted((trial for trial in with_finals if math.isfinite(math.fsum(trial.costs))), key=_order)
    names = {trial.number for trial in with_finals}
    return [*with_finals, *(trial for trial in tried if trial.number not in names)]


def searched(search: Search, state: State) -> list[Tried]:
    """Return the settings of the search with all seeds finished in their last rung, by rung, then by cost."""
    seeds = search.options.seeds
    latest: dict[int, dict[str, Any]] = {}
    for event in state.ended.values():
        number, rung = event["number"], event["rung"]
        if rung >= FINAL or not math.isfinite(mean_cost(number, rung, seeds, state.costs)):
            continue
        if number not in latest or rung > latest[number]["rung"]:
            latest[number] = event
    tried = []
    for number, event in latest.items():
        rung, values = event["rung"], tuple(event["values"].items())
        costs = tuple(state.costs[key_of(number, rung, seed)] for seed in range(seeds))
        tried.append(_tried(search, Tried(number, values, rung, event["epochs"], 0.0, costs), rung, costs))
    return sorted(tried, key=_order)


def finalists(search: Search, state: State, tried: Sequence[Tried], epochs: int) -> list[Tried]:
    """Return the settings whose order further seeds decide: of those trained to the end, the best one and its rivals.

    Rivals are the best together with their neighbours.

    The lowest of many validation losses is partly luck: on 8 splits of the diabetes table, the settings with the lowest
    mean over four seeds reached an R2 of 0.38 on unseen rows, those with the lowest loss of one seed 0.35.
    """
    whole = [trial for trial in tried if trial.epochs == epochs]
    count = min(FINALISTS, len(whole) // FINALISTS_EACH) if state.finalists is None else state.finalists
    if count <= 1:
        return []
    ended = [(search.place(dict(trial.values)), math.fsum(trial.costs) / len(trial.costs)) for trial in whole]
    rivals = [i for i in best_with_neighbours(ended, count) if i > 0]
    return [whole[i] for i in (0, *rivals[: count - 1])]


def final_trials(search: Search, best: Sequence[Tried]) -> list[Proposal]:
    """Return the trials of the finals: seeds that the search did not use, all settings with one seed after another."""
    first = search.options.seeds
    seeds = range(first, first + FINAL_SEEDS)
    return [Proposal(trial.number, FINAL, seed, trial.epochs, trial.values) for seed in seeds for trial in best]


def storing_trial(winner: Tried) -> Proposal:
    """Return the trial that gives the winner a run folder, with the best of its seeds."""
    return Proposal(winner.number, STORING, winner.costs.index(min(winner.costs)), winner.epochs, winner.values)


def _tried(search: Search, trial: Tried, rung: int, costs: tuple[float, ...]) -> Tried:
    mean = math.fsum(costs) / len(costs)
    return trial._replace(rung=rung, score=mean if falls(search.options.metric) else -mean, costs=costs)


def _order(trial: Tried) -> tuple[int, float, int]:
    return -trial.rung, math.fsum(trial.costs), trial.number


def judged(search: Search, state: State, tried: Sequence[Tried]) -> Verdict | None:
    """Compare the winner with the original configuration on the fresh seeds that both have finished."""
    if not tried:
        return None
    winner, metric = tried[0], search.options.metric
    pairs = [
        tuple(state.costs.get(key_of(number, CONFIRMING, seed), math.nan) for number in (ORIGINAL, winner.number))
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
    count, shown = len(pairs), [number(value if falls(metric) else -value, 4) for value in means]
    if not math.isfinite(means[0]):
        sentence = f"the original configuration failed on fresh seeds; {metric} {shown[1]} with the winner"
        return Verdict(winner, before, after, count > 1, sentence)
    noise = 2 * math.sqrt(sum(_variance(by_seed) / len(by_seed) for by_seed in costs))
    gain = means[0] - means[1]
    is_better = count > 1 and gain > noise
    sentence = f"{metric} {shown[0]} originally, {shown[1]} with the winner on {count} fresh seed{'s' * (count > 1)}: "
    sentence += f"better by {number(gain, 3)}" if gain > 0 else f"worse by {number(-gain, 3)}" if gain else "the same"
    if count == 1:
        sentence += ", which may be chance with one seed; use a larger budget"
    elif gain:
        sentence += f", {'beyond' if abs(gain) > noise else 'within'} the spread over seeds ({number(noise, 3)})"
    return Verdict(winner, before, after, is_better, sentence)


def _variance(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / max(len(values) - 1, 1)
