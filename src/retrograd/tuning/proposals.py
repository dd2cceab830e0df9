"""The next trials: for each method, a pure function of the seed of the search and the finished trials.

No process distributes work: each of them calls the same function to find out which trials can start. A study therefore
consists of the same trials whether it was interrupted or shared by several processes.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from retrograd.base.errors import UsageError
from retrograd.present.numbers import number
from retrograd.present.wording import in_yaml
from retrograd.training.config.search import Search
from retrograd.tuning.neighbourhood import Place, best_with_neighbours

TRIALS = 27  # default number of trials; for halving with a time budget, per bracket
LEADERS = 4  # settings around which later brackets are drawn
UNIFORM = 1 / 3  # share of a later bracket that is drawn from the whole ranges
NEAR, NEAREST = 0.15, 0.03  # standard deviation around a leader, in shares of the range: over the bracket; its minimum
MOST_TRIALS = 10_000  # in a search that only its time budget ends
SHRINK = 3  # one in three settings is promoted to the next rung, with three times the epochs
PORTION = 8  # settings that are proposed at a time, and can run in parallel
MOST_OF_GRID = 10_000
OWN_SEEDS = 10_000  # the first seed of the settings' own ones, relative to the seed of the configuration
# Rungs after those of the search: further seeds of the best, the winner's run folder, and what confirms it.
FINAL, STORING, CONFIRMING = 97, 98, 99
TPE_CURE = "pip install 'retrograd[tune]', or choose the method halving, random or grid"


class Proposal(NamedTuple):
    """One trial: the number of the settings, the rung, the seed, the number of epochs, and the values."""

    number: int
    rung: int
    seed: int  # 0 for the first trial of these settings in a rung, 1 for the next, ...
    epochs: int
    values: tuple[tuple[str, Any], ...]

    @property
    def key(self) -> str:
        """The name of the trial in the journal."""
        return key_of(self.number, self.rung, self.seed)

    @property
    def folder(self) -> str:
        """The name of its run folder; a promoted trial continues in its folder."""
        return f"{self.number:04d}-{self.seed}"


def seed_offset(search: Search, proposal: Proposal) -> int:
    """Return what a trial adds to the seed of the configuration.

    In a search that follows the best settings, each has seeds of its own; with shared ones, it would follow the luck of
    one seed, which similar settings have in common. The points of a grid, and the trials after the search, are compared
    on the same seeds.
    """
    shares = search.options.method == "grid" or proposal.seed >= search.options.seeds
    return proposal.seed if shares else OWN_SEEDS + proposal.number * search.options.seeds + proposal.seed


def key_of(number: int, rung: int, seed: int) -> str:
    """Return the name of a trial in the journal."""
    return f"{number:04d}-{rung}-{seed}"


def short(path: str) -> str:
    """Return the last part of a path that is not a number."""
    return next((part for part in reversed(path.split(".")) if not part.isdigit()), path)


def shown(value: Any) -> str:
    """Format the value of a setting; floats have three digits."""
    return number(value, 3) if isinstance(value, float) else in_yaml(value)


Costs = Mapping[str, float]  # of finished trials by key; smaller is better, infinite means failed
Values = tuple[tuple[str, Any], ...]


def proposals(
    search: Search, epochs: int, costs: Costs, timed: bool = False, to_end: bool = False
) -> tuple[list[Proposal], bool]:
    """Return the trials that can start now, and whether the search is over.

    With a time budget and no number of trials (`timed`), halving and random continue with new settings; `to_end`, where
    it suffices for many, halving trains these for all epochs.
    """
    if search.options.method == "halving":
        return halving(search, epochs, costs, timed, to_end)
    if search.options.method == "tpe":
        return by_tpe(search, epochs, costs)
    is_grid, count = search.options.method == "grid", search.options.trials or (MOST_TRIALS if timed else TRIALS)
    drawn = grid(search) if is_grid else [draw(search, i) for i in range(count)]
    return _unfinished(_rung(search, drawn, range(len(drawn)), 0, epochs), costs)


def grid(search: Search) -> list[Values]:
    """Return all combinations of the points of the ranges.

    Raises:  UsageError if there are too many
    """
    points = [values.points() for _, values in search.ranges]
    count = math.prod(map(len, points))
    if count > MOST_OF_GRID:
        raise UsageError(
            f"the grid has {count:,} points", where="search", cure="use halving or random, or fewer values"
        )
    names = [path for path, _ in search.ranges]
    combinations = [tuple(zip(names, values, strict=True)) for values in itertools.product(*points)]
    return combinations[: search.options.trials]


def draw(search: Search, number: int) -> Values:
    """Return the random settings with this number, which depend only on the number and the seed of the search."""
    return values_at(search, anywhere(search.options.seed, number, len(search.ranges)))


def values_at(search: Search, place: Place) -> Values:
    """Return the settings at a place."""
    return tuple((path, values.at(share)) for (path, values), share in zip(search.ranges, place, strict=True))


@functools.lru_cache(MOST_TRIALS)
def anywhere(seed: int, number: int, ranges: int) -> Place:
    """Return a random place in so many ranges, which depends only on the seed and the number."""
    return tuple(map(float, _generator(seed, number).random(ranges)))


@functools.lru_cache(MOST_TRIALS)
def near(seed: int, number: int, leaders: tuple[Place, ...], width: float) -> Place:
    """Return a random place: two in three lie around one of the leaders, the others anywhere.

    See:  Falkner et al. 2018, arXiv:1807.01774, who draw from densities of the best settings in the same way
    """
    rng = _generator(seed, number)
    place = rng.random(len(leaders[0]))
    if rng.random() >= UNIFORM:
        place = leaders[rng.integers(len(leaders))] + width * rng.normal(size=len(place))
        place = 1 - np.abs(1 - np.abs(place) % 2)  # reflected at the ends of the range
    return tuple(map(float, place))


def _generator(seed: int, number: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed, number]))


def rungs(epochs: int, trials: int) -> list[tuple[int, int]]:
    """Return the number of settings and total epochs of each rung; the last rung trains for all epochs."""
    count = min(int(math.log(trials, SHRINK) + 1e-9), int(math.log(epochs, SHRINK) + 1e-9))
    return [
        (max(1, math.ceil(trials / SHRINK**i)), epochs if i == count else max(1, round(epochs / SHRINK ** (count - i))))
        for i in range(count + 1)
    ]


def halving(
    search: Search, epochs: int, costs: Costs, timed: bool = False, to_end: bool = False
) -> tuple[list[Proposal], bool]:
    """Successive halving: all settings for a few epochs, the best third of them three times as long, and so on.

    With a time budget, one bracket of settings follows another until it is used up; from the second on, they are drawn
    near the best so far, judged together with their neighbours.

    See:  Jamieson & Talwalkar 2016, arXiv:1502.07943. A rung starts when the previous one is complete, so that
          promotion does not depend on which process is faster.
    """
    steps, seed, ranges = rungs(epochs, search.options.trials or TRIALS), search.options.seed, len(search.ranges)
    whole: list[tuple[Place, float]] = []  # settings trained for all epochs, with their costs
    for bracket, (numbers, start) in enumerate(brackets(steps, timed and search.options.trials is None, to_end)):
        leaders = tuple(whole[i][0] for i in best_with_neighbours(whole, LEADERS))
        width = max(NEAREST, NEAR / max(bracket, 1))
        places = {i: near(seed, i, leaders, width) if leaders else anywhere(seed, i, ranges) for i in numbers}
        drawn = {i: values_at(search, place) for i, place in places.items()}
        chosen: Sequence[int] = numbers
        for rung, (_, length) in enumerate(steps[start:], start):
            if rung > start:  # best first, so that they are tried even if the budget cuts the rung short
                chosen = best(search, chosen, rung - 1, costs)[: math.ceil(len(numbers) / SHRINK ** (rung - start))]
            waiting, is_over = _unfinished(_rung(search, drawn, chosen, rung, length), costs)
            if not is_over:
                return waiting, False
        whole += [(places[i], mean_cost(i, len(steps) - 1, search.options.seeds, costs)) for i in chosen]
    return [], True


def brackets(steps: Sequence[tuple[int, int]], timed: bool, to_end: bool = False) -> Iterator[tuple[range, int]]:
    """Yield the numbers of the settings of each bracket, and the rung in which it starts.

    A search of a number of trials is one bracket from the lowest rung. Within a time budget, further brackets start
    ever higher, with fewer settings: few epochs tell good settings from bad ones, not from the best. After the highest
    rung, the next bracket starts in the lowest one again; `to_end`, all further ones start in the highest.

    See:  Li et al. 2018, "Hyperband", arXiv:1603.06560
    """
    first, top = 0, len(steps) - 1
    further = itertools.repeat(top) if to_end else itertools.cycle([*range(1, top + 1), 0])
    for start in itertools.chain([0], further):
        left = len(steps) - start
        if first and to_end:
            count = max(PORTION, first // SHRINK**2)
        else:
            count = steps[0][0] if start == 0 else math.ceil(len(steps) / left * SHRINK ** (left - 1))
        yield range(first, first + count), start
        first += count
        if not timed or first >= MOST_TRIALS:
            return


def best(search: Search, numbers: Sequence[int], rung: int, costs: Costs) -> list[int]:
    """Return the settings by mean cost in a rung, best first, without failed ones; ties are resolved by number."""
    means = {number: mean_cost(number, rung, search.options.seeds, costs) for number in numbers}
    return sorted(
        (number for number in numbers if math.isfinite(means[number])), key=lambda number: (means[number], number)
    )


def mean_cost(number: int, rung: int, seeds: int, costs: Costs) -> float:
    """Return the mean cost of settings over their seeds in one rung; infinite if one failed or is missing."""
    by_seed = [costs.get(key_of(number, rung, seed), math.inf) for seed in range(seeds)]
    return math.fsum(by_seed) / seeds if all(map(math.isfinite, by_seed)) else math.inf


def by_tpe(search: Search, epochs: int, costs: Costs) -> tuple[list[Proposal], bool]:
    """Tree-structured Parzen estimator (Bergstra et al. 2011), through Optuna's ask and tell, in batches.

    A batch is requested once all earlier trials are finished; their costs are reported in the order of their numbers.
    """
    total = search.options.trials or TRIALS
    drawn: list[Values] = []
    ask = tpe_asker(search)
    while len(drawn) < total:
        portion = ask(
            min(PORTION, total - len(drawn)), [mean_cost(i, 0, search.options.seeds, costs) for i in range(len(drawn))]
        )
        first = len(drawn)
        drawn += portion
        waiting, is_over = _unfinished(_rung(search, drawn, range(first, len(drawn)), 0, epochs), costs)
        if not is_over:
            return waiting, False
    return [], True


def tpe_asker(search: Search) -> Callable[[int, Sequence[float]], list[Values]]:
    """Return a function that proposes a number of settings, given the costs of all earlier proposals."""
    try:
        import optuna
    except ImportError:
        raise UsageError(
            "the method tpe needs Optuna, which is not installed", where="search.method", cure=TPE_CURE
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        direction="minimize", sampler=optuna.samplers.TPESampler(seed=search.options.seed, constant_liar=True)
    )
    asked: list[Any] = []
    reported = 0

    def distribution(kind: str, values: Sequence[Any]) -> Any:
        if kind == "choice":
            return optuna.distributions.CategoricalDistribution(list(range(len(values))))
        if kind == "integer":
            return optuna.distributions.IntDistribution(int(values[0]), int(values[1]))
        return optuna.distributions.FloatDistribution(float(values[0]), float(values[1]), log=kind == "log")

    space = {path: distribution(values.kind, values.values) for path, values in search.ranges}

    def ask(count: int, costs: Sequence[float]) -> list[Values]:
        nonlocal reported
        for cost in costs[reported:]:
            state = optuna.trial.TrialState.COMPLETE if math.isfinite(cost) else optuna.trial.TrialState.FAIL
            study.tell(asked[reported], cost if math.isfinite(cost) else None, state=state)
            reported += 1
        portion = [study.ask(space) for _ in range(count)]
        asked.extend(portion)
        return [
            tuple(
                (path, values.values[trial.params[path]] if values.kind == "choice" else _short(trial.params[path]))
                for path, values in search.ranges
            )
            for trial in portion
        ]

    return ask


def _short(value: Any) -> Any:
    return value if isinstance(value, int) else float(f"{value:.4g}")


def _rung(
    search: Search, drawn: Sequence[Values] | Mapping[int, Values], numbers: Sequence[int], rung: int, epochs: int
) -> Iterator[Proposal]:
    for i in numbers:
        for seed in range(search.options.seeds):
            yield Proposal(i, rung, seed, epochs, drawn[i])


def _unfinished(all_trials: Iterator[Proposal], costs: Costs) -> tuple[list[Proposal], bool]:
    unfinished = [proposal for proposal in all_trials if proposal.key not in costs]
    return unfinished, not unfinished
