"""References for losses: each against its textbook value, computed by hand from the data."""

import dataclasses
import math

import numpy as np
import pytest

import retrograd.diagnosis.symptoms  # noqa: F401  # registers them
from retrograd.base.schema import parse
from retrograd.data.dataset import from_arrays, load
from retrograd.data.settings import DataSettings
from retrograd.diagnosis.judgement.verdict import judge
from retrograd.diagnosis.observe import Observed
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import symptoms
from retrograd.training.config.config import RunConfig

BARE = parse(DataSettings, {"task": "unsupervised", "scale": "none", "split": "none"}, "data")


def program(x, network, dataset=None, **settings):
    dataset = from_arrays(np.asarray(x, np.float32), settings=BARE) if dataset is None else dataset
    return Program(parse(RunConfig, {"network": network, **settings}), dataset)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return rng.normal(size=(200, 2)) @ rng.normal(size=(2, 6)) * 5 + rng.normal(size=(200, 6)) + 3


def autoencoder(x, loss="mean_squared_error", output="identity"):
    return program(x, [{"dense": 2}, {"dense": {"units": "features", "activation": output}}], loss=loss)


def test_an_autoencoder_is_measured_by_the_mean_row_and_by_principal_components(rows):
    levels = autoencoder(rows).loss_levels
    singular = np.linalg.svd(rows - rows.mean(0), compute_uv=False)
    assert levels.constant == pytest.approx(rows.var(0).mean(), rel=1e-4)
    assert levels.linear == pytest.approx((singular[2:] ** 2).sum() / rows.size, rel=1e-3)
    assert levels.floor == 0
    assert levels.linear_words == "2 principal components"
    assert levels.score(levels.constant) == 0


def test_the_constant_of_absolute_errors_is_the_median_and_of_shares_their_mean(rows):
    absolute = autoencoder(rows, "mean_absolute_error").loss_levels
    assert absolute.constant == pytest.approx(np.abs(rows - np.median(rows, 0)).mean(), rel=1e-4)
    shares = 1 / (1 + np.exp(-(rows - 3) / 3))
    mean = shares.mean(0)
    entropy = -(shares * np.log(mean) + (1 - shares) * np.log(1 - mean)).mean()
    logits = autoencoder(shares, "binary_cross_entropy").loss_levels
    assert logits.constant == pytest.approx(entropy, rel=1e-4)
    assert 0 < logits.floor < logits.constant  # of shares that are neither 0 nor 1 it is an entropy


def sentences(count, seed=0):
    """Rows of tokens in which each of 5 is followed by the next one nine times of ten."""
    rng = np.random.default_rng(seed)
    rows = [rng.integers(0, 5, count)]
    for _ in range(20):
        rows.append(np.where(rng.random(count) < 0.9, (rows[-1] + 1) % 5, rng.integers(0, 5, count)))
    tokens = np.stack(rows, 1).astype(np.int32)
    return {"x": tokens[:, :-1], "y": tokens[:, 1:]}


def test_a_language_model_is_measured_by_single_tokens_and_by_pairs():
    known = from_arrays(np.zeros((4, 2), np.float32), settings=BARE)
    data = dataclasses.replace(known, task="next_token", train=sentences(300), valid=sentences(100, 1))
    network = [{"embedding": {"units": 4, "vocabulary": 5}}, {"dense": 5}]
    levels = program(None, network, data, loss="cross_entropy").loss_levels
    pair = -(0.92 * math.log(0.92) + 0.08 * math.log(0.02))
    assert levels.constant == pytest.approx(math.log(5), abs=0.01)
    assert levels.linear == pytest.approx(pair, abs=0.02)
    assert levels.linear_words == "the bigram frequencies"


def test_embeddings_that_are_all_alike_find_their_partner_by_chance(rows):
    network = [{"dense": {"units": 4}, "name": "left"}, {"dense": {"units": 4}, "name": "right", "inputs": "x"}]
    levels = program(rows, network, losses={"left": {"loss": "info_nce", "target": "right"}}).loss_levels
    assert levels.constant == pytest.approx(math.log(200), rel=1e-4)


def ended(case, outputs):
    """Runs of a linear network that ended with these weights."""
    first = case.start.variables
    return [Observed((9.0, 5.0), (), first._replace(params=params), 9, seed=i) for i, params in enumerate(outputs)]


def biased(case, bias, weight=0.0):
    """Parameters with which the last layer answers a constant."""
    name = case.start.weighted[-1].name
    own = case.start.variables.params[name]
    return {
        **case.start.variables.params,
        name: {"weight": own["weight"] * weight, "bias": np.asarray(bias, np.float32)},
    }


def test_a_loss_above_one_is_judged_by_what_a_constant_leaves_of_it(rows):
    case = autoencoder(rows)
    values, axes = np.linalg.eigh(np.cov(rows.T))
    first, last = (node.name for node in case.start.weighted)
    mean, top = rows.mean(0), axes[:, np.argsort(values)[-2:]]
    best = {first: {"weight": top, "bias": -mean @ top}, last: {"weight": top.T, "bias": mean}}
    best = {name: {k: np.asarray(v, np.float32) for k, v in each.items()} for name, each in best.items()}
    found = judge(case, ended(case, [best] * 3), no_signal=False)
    assert found.state == "healthy"
    assert "2 principal components" in found.sentence
    flat = judge(case, ended(case, [biased(case, mean)] * 3), no_signal=False)
    assert flat.state == "ill"
    assert "no better than a constant" in flat.sentence
    worse = judge(case, ended(case, [biased(case, mean + 9)] * 3), no_signal=False)
    assert "worse than a constant" in worse.sentence
    lucky = judge(case, ended(case, [best, best, biased(case, mean), best]), no_signal=False)
    assert (lucky.state, lucky.run) == ("ill", 2)


def test_rows_that_are_all_alike_ask_for_a_loss_of_nothing():
    case = autoencoder(np.tile([1.0, 2.0, 3.0], (9, 1)))
    right = biased(case, [1, 2, 3])
    assert judge(case, ended(case, [right] * 2), no_signal=False).state == "healthy"
    assert judge(case, ended(case, [biased(case, [1, 1, 1])] * 2), no_signal=False).state == "ill"


def test_a_sigmoid_that_cannot_give_its_inputs_back_is_named():
    sick = autoencoder(np.tile([1.0, 2.0, 3.0], (9, 1)), output="sigmoid")
    found = list(symptoms["target_out_of_range"]().find(sick))
    assert [finding.code for finding in found] == ["S03"]
    assert "targets range from 1 to 3" in found[0].message
    assert not list(symptoms["target_out_of_range"]().find(autoencoder(np.eye(6), output="sigmoid")))


@pytest.mark.parametrize(("bias", "found"), [(-50.0, True), (5.0, False)])
def test_dead_outputs_count_but_for_those_whose_target_is_nothing(bias, found):
    pixels = np.random.default_rng(0).random((40, 6)) * [1, 1, 1, 0, 0, 0]
    case = program(pixels, [{"dense": 2}, {"dense": {"units": 6, "activation": "relu", "bias": {"constant": bias}}}])
    case.observed = None
    dead = list(symptoms["dead_units"]().find(case))
    assert bool(dead) is found


def test_transcripts_shorter_than_their_sounds_have_no_constant_reference():
    data = {"builtin": "tones", "samples": 20, "audio": {"transcript": "notes", "unit": "words"}}
    settings = {"loss": None, "losses": {"logits": {"loss": "ctc", "target": ["y", "mask"]}}, "data": data}
    network = [{"dense": "classes", "name": "logits"}]
    assert program(None, network, load(parse(DataSettings, data, "data")), **settings).loss_levels is None
