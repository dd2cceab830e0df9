"""The section `search`, and what each method proposes."""

import itertools
import json
import math
import statistics

import pytest

import retrograd as rg
from retrograd.base.document import Document
from retrograd.base.errors import ConfigError, UsageError
from retrograd.training.config.config import config_of, plain_config
from retrograd.training.config.search import Range, parse_search, search_schema
from retrograd.tuning.proposals import (
    FINAL,
    STORING,
    Proposal,
    brackets,
    by_tpe,
    draw,
    grid,
    halving,
    proposals,
    rungs,
    seed_offset,
)

PLAIN = {
    "data": "xor",
    "network": [{"dense": 2}, "tanh", {"dense": 1}],
    "training": {"epochs": 27},
    "search": {"optimizer.adam.learning_rate": {"log": [1e-4, 1]}, "network.0.dense.units": [2, 4, 8], "seeds": 2},
}


def searched(**more):
    return parse_search({**PLAIN["search"], **more}, "search")


def test_the_section_survives_a_round_trip():
    config = config_of(Document(PLAIN))
    assert config.search.ranges[0] == ("optimizer.adam.learning_rate", Range("log", (1e-4, 1)))
    assert config.search.options.method == "halving"
    assert config_of(Document(plain_config(config))).search == config.search


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({}, "names no setting"),
        ({"a.b": {"log": [0, 1]}}, "a logarithm needs numbers > 0"),
        ({"a.b": {"log": [1, 0.1]}}, "the smaller number first"),
        ({"a.b": {"logg": [1, 2]}}, "did you mean 'log'"),
        ({"a.b": 3}, "expected a list of values"),
        ({"a.b": [1], "method": "griid"}, "did you mean 'grid'"),
        ({"a.b": [1], "metric": 3}, "search.metric: expected text"),
        ({"a.b": [1], "seeds": 0}, "search.seeds: expected a positive integer"),
        ({"a.b": {"integer": [1.5, 3]}}, "whole numbers"),
        ({"training.epochs": [5, 9]}, "training.epochs: every setting trains for the same number"),
    ],
)
def test_a_mistake_is_reported_with_its_place_and_cure(section, words):
    with pytest.raises(ConfigError, match=words) as caught:
        config_of(Document({**PLAIN, "search": section}))
    assert str(caught.value).startswith("search")


def test_each_mistake_in_the_options_is_reported_and_the_schema_refuses_it():
    with pytest.raises(ConfigError) as caught:
        config_of(Document({**PLAIN, "search": {"a.b": [1], "seeds": 0, "trials": "many"}}))
    assert [problem.where for problem in caught.value.problems] == ["search.seeds", "search.trials"]
    assert search_schema()["properties"]["seeds"]["exclusiveMinimum"] == 0


def test_ranges_include_their_ends_and_a_grid_all_combinations():
    log = Range("log", (1e-4, 1))
    assert (log.at(0), log.at(0.5), log.at(1)) == (1e-4, 0.01, 1)
    assert Range("integer", (2, 5)).points() == (2, 3, 4, 5)
    assert {Range("integer", (2, 5)).at(i / 100) for i in range(100)} == {2, 3, 4, 5}
    every = grid(searched(method="grid"))
    assert len(every) == len(set(every)) == 15


def test_a_sampled_setting_depends_on_seed_and_number_alone():
    assert draw(searched(seed=3), 5) == draw(searched(seed=3, trials=9), 5)
    assert draw(searched(seed=3), 5) != draw(searched(seed=4), 5)


@pytest.mark.parametrize(("epochs", "trials"), [(27, 27), (100, 27), (5, 32), (1, 9), (81, 2)])
def test_rungs_end_with_the_whole_training_and_each_costs_about_the_same(epochs, trials):
    steps = rungs(epochs, trials)
    assert steps[0][0] == trials
    assert steps[-1][1] == epochs
    assert all(first[0] > then[0] and first[1] < then[1] for first, then in itertools.pairwise(steps))


def finished(search, method, cost):
    """Return all proposals of a search in their order; a function of the settings is the cost of a trial."""
    costs, order = {}, []
    while True:
        waiting, is_over = method(search, 27, costs)
        if is_over:
            return order
        assert waiting
        for proposal in waiting:
            costs[proposal.key] = cost(dict(proposal.values))
            order.append(proposal)


def test_halving_promotes_the_best_third_and_no_setting_that_failed():
    search = searched(seeds=1)

    def cost(values):
        rate = values["optimizer.adam.learning_rate"]
        return math.inf if rate > 0.5 else abs(math.log10(rate) + 2)

    order = finished(search, halving, cost)
    counts = [sum(each.rung == rung for each in order) for rung in range(4)]
    assert counts == [27, 9, 3, 1]
    best = min((each for each in order if each.rung == 0), key=lambda each: (cost(dict(each.values)), each.number))
    assert order[-1].number == best.number
    assert order[-1].epochs == 27


BRACKETS = ((27, 9, 3, 1), (12, 4, 2), (6, 2), (4,))  # settings in each rung, starting from higher and higher rungs


def test_with_a_time_budget_brackets_of_new_settings_follow_one_another():
    search, epochs = searched(seeds=1), 27
    costs = {}
    for bracket in (*BRACKETS, *BRACKETS):
        first = 1 + max((int(key[:4]) for key in costs), default=-1)
        for rung, count in enumerate(bracket, 4 - len(bracket)):
            waiting, is_over = halving(search, epochs, costs, timed=True)
            assert (len(waiting), is_over) == (count, False)
            assert {(each.rung, each.epochs) for each in waiting} == {(rung, 3**rung)}
            assert waiting[0].number == first  # the best so far
            costs |= {proposal.key: proposal.number / 100 for proposal in waiting}
    assert {int(key[:4]) for key in costs} == set(range(2 * (27 + 12 + 6 + 4)))
    ninth = halving(search, epochs, costs, timed=True)[0]
    assert (
        ninth == halving(search, epochs, dict(reversed(costs.items())), timed=True)[0]
    )  # in whatever order they ended
    assert halving(search, epochs, costs) == ([], True)  # without a budget there is only one bracket
    assert len(proposals(searched(method="random"), epochs, {}, timed=True)[0]) > 27
    assert halving(searched(trials=9), epochs, {}, timed=True) == halving(searched(trials=9), epochs, {})


@pytest.mark.parametrize(("epochs", "trials"), [(1, 27), (2, 27), (5, 10), (1000, 4)])
def test_brackets_start_in_every_rung_even_if_there_are_few(epochs, trials):
    steps = rungs(epochs, trials)
    cycle = list(itertools.islice(brackets(steps, timed=True), len(steps)))
    assert [start for _, start in cycle] == list(range(len(steps)))
    assert cycle[0][0] == range(steps[0][0])
    assert len(cycle[-1][0]) == (len(steps) if len(steps) > 1 else steps[0][0])
    numbers = [number for numbers, _ in cycle for number in numbers]
    assert numbers == list(range(len(numbers)))


def test_later_brackets_sample_around_the_best_so_far_and_improve_on_it():
    search = searched(seeds=1)
    cost, costs = lambda proposal: abs(math.log10(dict(proposal.values)["optimizer.adam.learning_rate"]) + 2.2), {}
    sampled = []
    for bracket in (*BRACKETS, *BRACKETS):
        for rung in range(len(bracket)):
            waiting, _ = halving(search, 27, costs, timed=True)
            sampled += [] if rung else sorted(map(cost, waiting))
            costs |= {proposal.key: cost(proposal) for proposal in waiting}
    first, later = sampled[:27], sampled[len(sampled) // 2 :]
    assert statistics.median(later) < 0.5 * statistics.median(first)
    assert min(later) < min(first)


def test_with_time_for_many_whole_trials_settings_are_no_longer_judged_by_few_epochs():
    search, costs, sizes = searched(seeds=1), {}, []
    for _ in range(12):
        waiting, is_over = halving(search, 27, costs, timed=True, to_end=True)
        assert not is_over
        sizes.append((len(waiting), waiting[0].epochs))
        costs |= {proposal.key: proposal.number / 100 for proposal in waiting}
    assert sizes[:4] == [(27, 1), (9, 3), (3, 9), (1, 27)]  # the first bracket, which shows how long a trial takes
    assert {length for _, length in sizes[4:]} == {27}
    assert all(8 <= count <= 12 for count, _ in sizes[4:])


@pytest.mark.parametrize("method", ["halving", "random", "tpe"])
def test_settings_have_seeds_of_their_own_and_share_those_after_the_search(method):
    search = searched(method=method)
    trials = [Proposal(number, 0, seed, 27, ()) for number in (0, 1) for seed in (0, 1)]
    assert len({seed_offset(search, trial) for trial in trials}) == 4
    finals = [Proposal(number, FINAL, 2, 27, ()) for number in (0, 1)]
    assert len({seed_offset(search, trial) for trial in finals}) == 1
    stored = [Proposal(0, STORING, seed, 27, ()) for seed in (1, 2)]  # the seed of a trial of the search, of the finals
    assert [seed_offset(search, trial) for trial in stored] == [seed_offset(search, trials[1]), 2]


@pytest.mark.parametrize("method", ["halving", "random", "grid"])
def test_choices_may_be_mappings_and_lists(method):
    choices = [{"adam": 0.01}, "rmsprop", {"adamw": {"learning_rate": 0.003}}]
    weights = ["he_normal", [[1.0, 2.0]]]
    search = parse_search({"optimizer": choices, "network.0.dense.weight": weights, "method": method}, "search")
    waiting, _ = proposals(search, 27, {}, timed=True)
    for trial in waiting[:9]:
        stored = json.loads(json.dumps(dict(trial.values)))
        place = search.place(stored)
        assert [span.at(share) for (_, span), share in zip(search.ranges, place, strict=True)] == list(stored.values())


def test_the_points_of_a_grid_share_their_seeds():
    search = searched(method="grid")
    assert {seed_offset(search, Proposal(number, 0, 1, 27, ())) for number in range(9)} == {1}


def test_promoted_settings_run_best_first_so_that_an_interrupted_rung_has_tried_the_best():
    search = searched(trials=9)
    waiting, _ = halving(search, 27, {})
    promoted, _ = halving(search, 27, {each.key: -float(each.number) for each in waiting})
    assert [(each.number, each.seed) for each in promoted] == [(8, 0), (8, 1), (7, 0), (7, 1), (6, 0), (6, 1)]


def test_proposals_do_not_depend_on_the_order_in_which_trials_end():
    search = searched(seeds=1, trials=9)
    waiting, _ = halving(search, 27, {})
    costs = {each.key: each.number % 4 + each.number / 100 for each in waiting}
    forwards, _ = halving(search, 27, costs)
    backwards, _ = halving(search, 27, dict(reversed(costs.items())))
    assert forwards == backwards
    partly = {key: costs[key] for key in list(costs)[1:]}
    assert [each.key for each in halving(search, 27, partly)[0]] == [waiting[0].key]


def test_a_grid_ends_when_each_point_has_all_its_seeds():
    search = searched(method="grid")
    assert len(finished(search, proposals, lambda values: 0.0)) == 30


def test_tpe_without_optuna_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(UsageError, match=r"needs Optuna.*retrograd\[tune\]"):
        by_tpe(searched(method="tpe"), 27, {})


def test_tpe_improves_on_its_first_portion_and_is_reproducible():
    pytest.importorskip("optuna")
    search = searched(method="tpe", seeds=1, trials=24)

    def cost(values):
        return abs(math.log10(values["optimizer.adam.learning_rate"]) + 2)

    order = finished(search, by_tpe, cost)
    assert order == finished(search, by_tpe, cost)
    first, last = (min(cost(dict(each.values)) for each in part) for part in (order[:8], order[8:]))
    assert last < first


def test_a_setting_that_does_not_exist_is_refused_before_the_first_trial(tmp_path):
    with pytest.raises(ConfigError, match="units"):
        rg.tune({**PLAIN, "search": {"network.0.dense.unitz": [2]}}, root=tmp_path)
    assert not list(tmp_path.iterdir())
