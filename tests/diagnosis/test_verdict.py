"""The verdict from recorded scores: luck, plateaus, linear models, tables without held-out rows, and rare classes."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from retrograd.data.dataset import from_arrays
from retrograd.data.settings import DataSettings
from retrograd.diagnosis.judgement.chance import ranking
from retrograd.diagnosis.judgement.levels import Levels, is_whole, learnable, reference_levels
from retrograd.diagnosis.judgement.luck import below, failed
from retrograd.diagnosis.judgement.measure import Measure, ranks_only
from retrograd.diagnosis.judgement.verdict import judge
from retrograd.diagnosis.observe import Moment, Observed


def seeds(held, own=None, losses=(1.0, 0.5, 0.3, 0.3), cut=False):
    """Runs that ended with these scores."""
    pairs = zip(held, held if own is None else own, strict=True)
    return [Observed(losses, (Moment(9, b, a, 0.3, 0.3, None),), None, 9, "", i, cut) for i, (a, b) in enumerate(pairs)]


def program(task, train, held_out, rows=200, split=True, **more):
    """A program of which the verdict sees only what references reach."""
    part = {"y": np.zeros(4)}
    dataset = SimpleNamespace(valid={} if split else None, rows={"train": 4 * rows}, task=task, train=part)
    sample = more.pop("sample", "")
    levels = Levels(train, held_out, 0.002, rows, **more)
    facts = SimpleNamespace(y=part["y"], badly_split=False, classifies=task != "regression", levels=levels)
    return SimpleNamespace(refusal=None, sample=sample, dataset=dataset, data=facts)


LINE = {"trivial": 0.0, "linear": 0.4, "forest": 0.99}
HALVES = {"trivial": 0.5, "linear": 0.85, "forest": 0.84}


@pytest.mark.parametrize(
    ("held", "lost"),
    [
        ([0.98, 0.97, 0.98, -1.0, 0.98], 3),  # one in five
        ([0.98, -0.03, 0.97], 1),
        ([0.2, 0.97, 0.98], 0),
        ([0.95, 0.96, 0.3, 0.97, 0.96], 2),
        ([0.99, 0.99, 0.98, 0.99, 0.45], 4),
    ],
)
def test_a_seed_that_ends_far_below_the_others_is_a_failure_and_its_run_is_shown(held, lost):
    verdict = judge(program("regression", LINE, LINE), seeds(held), no_signal=False)
    assert (verdict.state, verdict.run) == ("ill", lost)
    assert f"with 1 seed of {len(held)}" in verdict.sentence


def test_a_plateau_below_the_references_is_reported_with_the_seed_that_fails():
    verdict = judge(program("regression", LINE, LINE | {"forest": 1.0}), seeds([0.79, 0.83, 0.83, -1.0, 0.80]), False)
    assert verdict.state == "ill"
    assert "a random forest reaches 1" in verdict.sentence


@pytest.mark.parametrize("held", [[0.70, 0.71, 0.69, 0.80, 0.83], [0.83, 0.84, 0.80, 0.85, 0.83]])
def test_seeds_that_differ_but_learn_most_of_it_are_granted_their_spread(held):
    assert judge(program("multiclass", HALVES | {"linear": 0.83}, HALVES, 300), seeds(held), False).state == "healthy"


def test_a_bad_score_on_few_held_out_rows_is_no_failed_seed_where_the_training_rows_are_learned():
    found = Measure("accuracy", "accuracy", [0.9, 0.6, 0.9], [1.0, 1.0, 1.0], 0.9, "", 0.5, 1, 0.5, 10, 40, "")
    assert failed(found) == []
    assert failed(found._replace(own=[1.0, 0.55, 1.0])) == [1]


def test_seeds_that_differ_by_less_than_chance_on_their_rows_have_not_failed():
    found = Measure("accuracy", "accuracy", [0.65, 0.567], [0.6, 0.53], 0.6, "", 0.517, 0.6, 0.521, 60, 280, "")
    assert failed(found) == []
    assert failed(found._replace(rows=6000, own_rows=28000)) == [1]


@pytest.mark.parametrize(
    ("task", "held_out", "score"),
    [
        ("multiclass", {"trivial": 0.37, "linear": 0.40}, 0.259),
        ("regression", {"trivial": -0.02, "linear": 0.03}, -0.2),
    ],
)
def test_a_network_below_a_constant_is_never_said_to_learn(task, held_out, score):
    verdict = judge(program(task, held_out, held_out, 27), seeds([score] * 3, [0.9] * 3), no_signal=False)
    assert verdict.state == "undecided"
    assert "no better than a constant" in verdict.sentence


def test_few_held_out_rows_leave_it_to_all_rows_whether_answers_were_shuffled():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 4))
    y = (x[:, 0] + 0.5 * rng.normal(size=150) > 0).astype(int)
    signal = reference_levels(from_arrays(x, y, settings=DataSettings(task="binary")))
    noise = reference_levels(from_arrays(x, rng.permutation(y), settings=DataSettings(task="binary")))
    assert signal.rows < 30 < signal.tested == noise.tested
    assert signal.chance < 0.01
    assert noise.chance > 0.05


def test_where_a_few_huge_targets_decide_every_r2_networks_are_judged_by_rank():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 3))
    y = np.exp(2.5 * x[:, :1] + 0.3 * rng.normal(size=(400, 1))) * np.where(rng.random((400, 1)) < 0.03, 1000, 1)
    dataset = from_arrays(x, y, settings=DataSettings(task="regression"))
    levels = reference_levels(dataset)
    case = SimpleNamespace(data=SimpleNamespace(levels=levels, classifies=False), dataset=dataset)
    assert max(levels.held_out.values()) < 0.1 < levels.ranking["nearest"]
    assert ranks_only(case)


def test_without_a_held_out_part_nothing_is_said_of_held_out_rows():
    levels = {"trivial": 0.0, "linear": 0.0, "by heart": 1.0}
    table = program("regression", levels, levels, 4, split=False, whole=True)
    verdict = judge(table, seeds([0.63, 0.62, 0.63]), False)
    assert verdict.state == "ill"
    assert "0.627 on its own training rows; memorising every row reaches 1" in verdict.sentence
    good = judge(table, seeds([0.998, 0.999, 0.997]), False)
    assert good.state == "healthy"
    assert not any("held-out" in str(each) for each in (*verdict.evidence, *good.evidence))
    assert "held-out" not in verdict.sentence + good.sentence


@pytest.mark.parametrize(
    ("rows", "whole"),
    [
        ([[0, 0], [0, 1], [1, 0], [1, 1]], True),
        ([[int(b) for b in f"{i:05b}"] for i in range(32)], True),
        ([[int(b) for b in f"{i:05b}"] for i in range(20)], False),
        ([[i / 40] for i in range(40)], False),  # points of a line
        ([[i / 9, 1.0] for i in range(9)], False),
        ([[i & 1, i >> 1 & 1, i >> 2] for i in range(6)], True),
        ([[i % 3, i // 3] for i in range(9)], True),
        ([[i / 40, i % 7] for i in range(40)], False),
    ],
)
def test_a_table_of_all_combinations_is_no_sample(rows, whole):
    assert is_whole(np.array(rows, float)) is whole


def test_what_can_be_learned_of_rows_is_all_but_their_contradictions():
    x = np.array([[0.0], [0.0], [1.0], [1.0]])
    assert learnable(x, np.array([0, 1, 1, 1]), True) == 0.75
    y = np.array([[0.0], [2.0], [3.0], [3.0]])
    assert learnable(x, y, False) == pytest.approx(1 - 2 / 6)


def test_the_same_rows_tell_a_small_shortfall_from_noise():
    rng = np.random.default_rng(0)
    linear = (rng.random(600) < 0.07).astype(float)
    worse = np.maximum(linear, rng.random((3, 600)) < 0.03)
    gap, sure = below(worse, linear)
    assert sure
    assert gap == pytest.approx((worse - linear).mean())
    other = (rng.random((3, 600)) < 0.075).astype(float)  # as many errors, on other rows
    assert not below(other, linear)[1]
    assert not below(worse[:, :40], linear[:40])[1]


def test_a_run_that_was_cut_short_while_the_loss_fell_decides_nothing():
    cut = seeds([0.55, 0.56], losses=(1.0, 0.9, 0.8, 0.7), cut=True)
    verdict = judge(program("binary", HALVES, HALVES, 1000), cut, False)
    assert verdict.state == "undecided"
    flat = seeds([0.55, 0.56], losses=(0.7, 0.69, 0.69, 0.69), cut=True)
    assert judge(program("binary", HALVES, HALVES, 1000), flat, False).state == "ill"
    good = judge(program("binary", HALVES, HALVES, 1000, sample="on a sample"), seeds([0.84, 0.85]), False)
    assert good.state == "healthy"
    assert good.sentence.endswith("(on a sample)")


def rare(signal, seed):
    """400 rows for training and 200 others, one in ten of the second class, whose first feature lies higher."""
    rng = np.random.default_rng(seed)
    y = (rng.random(600) < 0.1).astype(int)
    x = rng.normal(size=(600, 4)).astype(np.float32)
    x[:, 0] += signal * y
    return from_arrays(x[:400], y[:400], valid=(x[400:], y[400:]), settings=DataSettings(task="binary", scale="none"))


@pytest.mark.parametrize("seed", [1])
def test_a_rare_class_that_only_shares_tell_is_signal_and_judged_by_how_it_ranks(seed):
    case = SimpleNamespace(data=SimpleNamespace(levels=reference_levels(rare(1.0, seed)), classifies=True))
    assert case.data.levels.best - case.data.levels.trivial < 0.05
    assert case.data.levels.chance <= 0.05
    assert ranks_only(case)
    assert reference_levels(rare(0.0, seed)).chance > 0.05


def test_how_classes_rank_is_the_area_under_the_curve():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    scores = rng.random((300, 3)) + np.eye(3)[truth] * 0.5
    areas = [roc_auc_score(truth == k, scores[:, k].round(2)) for k in range(3)]
    assert ranking(scores.round(2), truth, True) == pytest.approx(2 * np.mean(areas) - 1)
    assert ranking(np.ones((300, 3)), truth, True) == 0
    numbers = rng.normal(size=(50, 1))
    assert ranking(numbers**3, numbers, False) == pytest.approx(1)
