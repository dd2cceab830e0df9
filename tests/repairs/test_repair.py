"""Repairs: a measured improvement is kept, as small as possible, in the user's own notation."""

import dataclasses

import pytest

from retrograd.base.document import parse_document
from retrograd.base.schema import dump, parse
from retrograd.diagnosis.cases import dataset
from retrograd.diagnosis.diagnose import examine
from retrograd.diagnosis.judgement.score import FAILED
from retrograd.diagnosis.remedy import remedies
from retrograd.diagnosis.symptom import setup
from retrograd.network.network import Network
from retrograd.repairs.bundles import SOUND, bundles
from retrograd.repairs.patch import difference, patched
from retrograd.repairs.random_search import random_search
from retrograd.repairs.repair import treat
from retrograd.repairs.search import better, confirmed, settle_start
from retrograd.repairs.trial import Budget, Candidate, Ward
from retrograd.training.config.config import RunConfig, plain_config

TEXT = """\
# my network
name: mine
data: circles          # a built-in
network:
  # wide enough?
  - dense: {units: 5, activation: sigmoid}   # first
  - dense: {units: 5, activation: sigmoid}
  - dense: 1           # the logit
optimizer: {adam: 0.001}   # usual
training: {epochs: 60}
"""


def source(settings):
    return dataset("halves", data=dump(settings, filled=False))


@pytest.fixture(scope="module")
def sick():
    """A network whose weights start at 0 and stay there; everything else is healthy."""
    zeros = {"units": 8, "activation": "relu", "weight": "zeros"}
    case = setup("halves", network=[{"dense": zeros}, {"dense": {"units": 1, "weight": "zeros"}}],
                 training={"epochs": 30, "batch_size": 16})  # fmt: skip
    return examine(case.program(), 2)


@pytest.fixture(scope="module")
def repaired(sick):
    return treat(sick, source, updates=20_000, seeds=2)


def test_a_repair_scores_better_than_the_start_and_says_which_change_did_it(sick, repaired):
    assert sick.ill
    assert repaired.best is not None
    assert repaired.best.mean > repaired.search.start.mean + 0.02
    assert repaired.best.remedies == ("default_initial_weights",)
    assert "repaired: held-out score" in repaired.sentence
    assert repaired.search.budget.spent <= 20_000


def test_a_repair_is_no_larger_than_what_was_tried(repaired):
    plain = repaired.plain()
    assert any(len(each["remedies"]) > 1 for each in plain["tried"])
    assert [each["name"] for each in plain["remedies"]] == ["default_initial_weights"]


def test_nothing_is_tried_on_a_healthy_configuration():
    healthy = setup("blobs", network=[{"dense": {"units": 8, "activation": "relu"}}, {"dense": 3}])
    treatment = treat(examine(healthy.program(), 1))
    assert treatment.search is None
    assert treatment.sentence.startswith("nothing to repair")


def test_random_search_stays_within_its_budget(sick, monkeypatch):
    budget = Budget(60)  # two trials
    monkeypatch.setattr("retrograd.repairs.random_search.Budget", lambda updates: budget)
    assert isinstance(random_search(sick, source, updates=60, seed=1), RunConfig)
    assert 0 < budget.spent <= 60


def test_a_start_that_fails_ranks_below_every_trial(sick):
    broken = dataclasses.replace(sick, runs=tuple(run._replace(broken="not finite") for run in sick.runs))
    start = Ward(sick.program, source, Budget(0)).start(broken)
    assert set(start.scores.values()) == {FAILED}


def test_the_test_part_does_not_influence_the_choice_but_must_not_get_worse(sick, repaired):
    assert repaired.best.unseen_mean > repaired.search.start.unseen_mean
    assert "on the test part, which was not used in the search" in repaired.sentence
    ward = Ward(sick.program, source, Budget(0))
    start, best = (Candidate((), repaired.config, dict(scores)) for scores in ({0: 0.5, 1: 0.5}, {0: 0.9, 1: 0.9}))
    assert confirmed(best, start, ward, 2)
    start.unseen, best.unseen = {0: 0.6}, {0: 0.5}
    assert not confirmed(best, start, ward, 2)


def test_a_repair_keeps_half_of_its_gain_on_further_seeds(sick, repaired):
    ward = Ward(sick.program, source, Budget(0))
    start, best = Candidate((), repaired.config, {0: 0.5}), Candidate((), repaired.config, {0: 0.9, 2: 0.9, 3: 0.8})
    assert confirmed(best, start, ward, 2)
    assert not confirmed(Candidate((), repaired.config, {0: 0.9, 2: 0.5, 3: 0.6}), start, ward, 2)


def test_a_repair_ends_with_its_time_budget():
    assert Budget(1000).left == 1000
    assert Budget(1000, seconds=1e-9).left == 0


def test_bundles_begin_with_what_the_findings_name(sick):
    first, *others = bundles(sick)
    assert first[0] == sick.causes[0].remedies[0]
    assert any(set(SOUND) <= set(bundle) for bundle in others)


@pytest.mark.parametrize("name", list(remedies))
def test_a_remedy_has_a_reason_and_changes_a_configuration_or_leaves_it(name):
    case = setup("halves", {"stretch": 400.0}, network=[{"dense": {"units": 64, "activation": "sigmoid"}}, {"dropout": 0.5},
                 {"dense": {"units": 4, "weight": "ones"}}, {"dense": 1}, "sigmoid"],
                 loss={"mean_squared_error": {"reduction": "sum"}}, penalties=[{"l2": 1.0}],
                 training={"shuffle": False, "batch_size": 100})  # fmt: skip
    program = case.program()
    changed = remedies[name]().change(program.config, program)
    assert remedies[name].why
    assert remedies[name].__doc__
    if changed is not None:
        assert changed != program.config
        assert parse(RunConfig, plain_config(changed)) == changed


def test_frozen_weights_stay_frozen_whatever_a_remedy_drops_or_inserts():
    hidden = {"dense": {"units": 4, "activation": "sigmoid"}}
    case = setup("halves", network=[hidden, {"dropout": 0.5}, hidden, hidden, hidden, {"dropout": 0.2}, {"dense": 1}],
                 freeze=["dense_3/bias", "dense_5/weight", "*/bias"],
                 penalties=[{"l2": {"strength": 0.1, "parameters": ["dense_4/weight"]}}])  # fmt: skip
    program = case.program()
    fewer = remedies["fewer_layers"]().change(program.config, program)
    assert [entry.name for entry in fewer.network] == [None, None, None, "dense_5"]
    assert fewer.freeze == ("dense_5/weight", "*/bias")  # the third layer was removed
    assert fewer.penalties == ()  # without a pattern it would freeze all weights
    two = setup("halves", network=[hidden, "sigmoid", {"dense": 3}, "relu", {"dense": 1, "inputs": ["relu_1"]}])
    changed = remedies["hidden_relu"]().change(two.program().config, two.program())
    assert [entry.name for entry in changed.network] == [
        None,
        "sigmoid_1",
        None,
        None,
        None,
    ]  # otherwise the second relu would be relu_2
    assert Network(*changed.network).nodes[-1].inputs == ("relu_1",)


def config(**changes):
    return parse(RunConfig, {**parse_document(TEXT).values, **changes})


def test_a_patch_keeps_comments_and_touches_only_what_changes():
    after = config(training={"epochs": 300}, optimizer={"adam": 0.01})
    text = patched(TEXT, config(), after)
    assert "# my network" in text
    assert "# the logit" in text
    assert "# first" in text
    assert parse(RunConfig, parse_document(text).values) == after
    changed = [line for line in difference(TEXT, text, "mine.yaml").splitlines() if line[:1] in "+-"][2:]
    assert len(changed) == 4


def test_a_patch_replaces_single_entries_of_the_network():
    network = [
        {"dense": {"units": 32, "activation": "relu"}},
        {"dense": {"units": 5, "activation": "sigmoid"}},
        {"dense": 1},
    ]
    after = config(network=network, data={"builtin": "circles", "scale": "standard"})
    text = patched(TEXT, config(), after)
    assert parse(RunConfig, parse_document(text).values) == after
    assert "# the logit" in text


def test_a_start_with_few_seeds_is_tried_with_further_ones_before_its_spread_rejects_a_gain(sick, monkeypatch):
    ward = Ward(sick.program, source, Budget(10))
    start, best = Candidate((), config(), {0: 0.88, 1: 0.68}), Candidate((), config(), {0: 0.97, 1: 0.97})
    more = {2: 0.75, 3: 0.74}

    def run(candidate, seeds):
        candidate.scores |= {seed: more[seed] for seed in range(2, seeds)}
        return True

    monkeypatch.setattr(ward, "run", run)
    assert not better(best, start)
    settle_start(best, start, ward, 3)
    assert better(best, start)
    assert len(start.scores) == 3


def test_a_candidate_knows_its_mean_and_its_spread():
    candidate = Candidate((), config(), {0: 0.5, 1: 0.7})
    assert candidate.mean == pytest.approx(0.6)
    assert candidate.spread == pytest.approx(0.1)
