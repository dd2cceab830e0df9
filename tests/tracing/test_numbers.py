"""The numbers of a trace are those of the pass and of the step; nothing is added and nothing left out."""

import dataclasses

import jax
import numpy as np
import pytest

import retrograd as rg
from retrograd.data.batches import epoch_order
from retrograd.data.dataset import from_arrays
from retrograd.tracing.numbers import parts
from retrograd.training.prepare import prepare
from retrograd.training.run import as_config

RNG = np.random.default_rng(1)
X = RNG.normal(size=(12, 6, 3)).astype(np.float32)
Y = RNG.normal(size=(12, 2)).astype(np.float32)
NETWORK = [
    {"lstm": {"units": 3, "output": "all"}, "name": "lstm"},
    {"layer_norm": {}, "name": "norm", "inputs": "lstm.last"},
    {"dense": {"units": 3}, "name": "first", "frozen": True},
    {"residual": {"layers": [{"dense": 3}, "gelu"]}, "name": "skip"},
    {"dense": {"units": 3}, "name": "again", "share": {"weight": "skip/dense_1/weight"}},
    {"dense": 2, "name": "out"},
]
CONFIG = {
    "network": NETWORK,
    "losses": {
        "out": {"loss": "mean_squared_error", "target": "y"},
        "again": {"loss": "mean_absolute_error", "target": "z", "weight": 0.5},
    },
    "optimizer": {"adam": {"learning_rate": 0.01, "accumulate": 2, "clip_norm": 0.2, "weight_decay": 0.1}},
    "penalties": [{"l2": 0.1}],
    "training": {"epochs": 2, "batch_size": 5},
}


@pytest.fixture(scope="module")
def dataset():
    settings = rg.DataSettings(task="regression", scale="none", scale_target="none", split=rg.SplitSettings("none"))
    made = from_arrays(X, Y, settings=settings)
    z = RNG.normal(size=(12, 3)).astype(np.float32)
    return rg.Dataset(**{**vars(made), "train": {**made.train, "z": z}})


@pytest.fixture(scope="module")
def traced(dataset):
    return rg.trace(CONFIG, dataset=dataset, step=2, dtype="float32")


def test_the_step_is_the_stepper_s(traced, dataset):
    prepared = prepare(as_config(CONFIG), dataset)
    stepper = prepared.stepper()
    state = stepper.start(prepared.network.init(jax.random.key(0), dataset.train), jax.random.key(0))
    state, _ = stepper.single(state, first_rows(dataset))
    expected, outcome = stepper.single(state, traced.numbers.columns)
    assert traced.numbers.loss == pytest.approx(float(outcome.loss), rel=1e-6)
    for parameter in traced.numbers.parameters:
        node, _, name = parameter.path.rpartition("/")
        assert np.allclose(parameter.after, expected.params[node][name], rtol=1e-5, atol=1e-7), parameter.path
        assert np.allclose(parameter.before + parameter.update, parameter.after)
        assert parameter.frozen == (node == "first")


def first_rows(dataset):
    rows = epoch_order(12, 5, 0, 0, join_single=True).full[0]
    return {name: column[rows] for name, column in dataset.train.items()}


def test_a_delta_is_the_sum_of_what_the_readers_and_losses_hand_back(traced):
    sources = {}
    for node in traced.numbers.nodes:
        whole = dict(parts(node.path, node.delta))
        for reference, delta in whole.items():
            given = [each.values for each in node.contributions if each.reference == reference]
            assert np.allclose(sum(given), delta, rtol=1e-5, atol=1e-8), reference
        sources[node.path] = [each.source for each in node.contributions]
    assert sources["out"] == ["loss/out"]
    assert sources["again"] == ["loss/again", "out"]
    assert sources["first"] == ["skip/dense_1", "skip/add"]
    assert sources["lstm"] == ["norm"]


def test_the_gradient_of_a_shared_parameter_adds_up_over_its_uses(traced):
    shared = next(each for each in traced.numbers.parameters if each.path == "skip/dense_1/weight")
    assert list(shared.uses) == ["skip/dense_1", "again"]
    assert np.allclose(sum(shared.uses.values()), shared.gradient, rtol=1e-5, atol=1e-8)


def test_every_stage_of_the_optimizer_is_there(traced):
    weight = next(each for each in traced.numbers.parameters if each.path == "out/weight")
    whole = weight.gradient + weight.penalty
    norm = float(np.linalg.norm(whole))
    assert np.allclose(weight.stages["clip"], whole * min(1, 0.2 / norm), rtol=1e-5)
    assert np.allclose(weight.stages["decay"], weight.stages["clip"] + 0.1 * weight.before, rtol=1e-5)
    m = [value * 1.0 for value in weight.moments["m"]]
    assert np.allclose(m[1], 0.9 * m[0] + 0.1 * weight.stages["decay"], rtol=1e-4, atol=1e-8)
    assert np.allclose(weight.update, -0.01 * weight.stages["direction"], rtol=1e-5)
    assert traced.numbers.updates_so_far == 2


def test_one_node_is_opened_in_full_and_large_arrays_are_summed_up(traced):
    whole, opened = traced.text(), dataclasses.replace(traced, node="lstm").text()
    assert "a corner:" in whole
    assert "a corner:" not in opened
    assert "lstm.last" in opened
    assert "out/weight" not in opened
