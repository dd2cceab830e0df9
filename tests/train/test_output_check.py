"""Mistakes at the output are told before training, and right networks are not."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.data.dataset import from_arrays
from retrograd.train.config import RunConfig
from retrograd.train.prepare import prepare

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4)).astype(np.float32)
BINARY, THREE, NUMBERS = np.arange(30) % 2, np.arange(30) % 3, X[:, 0]


def found(y, *layers, loss=None):
    config = RunConfig(network=rg.Network(*layers).entries, loss=loss)
    return [(each.name, each.path) for each in prepare(config, from_arrays(X, y)).findings()]


@pytest.mark.parametrize(
    ("y", "layers", "loss"),
    [
        (BINARY, [rg.Dense(4, "relu"), rg.Dense(1)], None),
        (BINARY, [rg.Dense(1, "sigmoid")], rg.BinaryCrossEntropy(from_logits=False)),
        (THREE, [rg.Dense(3, "softmax")], rg.CrossEntropy(from_logits=False)),
        (THREE, [rg.Dense(3), rg.LogSoftmax()], None),
        (NUMBERS, [rg.Dense(1, "relu")], None),
    ],
)
def test_right_networks_are_not_worth_a_word(y, layers, loss):
    assert found(y, *layers, loss=loss) == []


@pytest.mark.parametrize(
    ("y", "layers", "expected"),
    [
        (BINARY, [rg.Dense(1, "sigmoid")], [("activation_before_logits", "dense_1/sigmoid")]),
        (BINARY, [rg.Dense(1, "relu"), rg.Dropout(0.1)], [("activation_before_logits", "dense_1/relu")]),
        (THREE, [rg.Dense(3, "softmax")], [("activation_before_logits", "dense_1/softmax")]),
        (THREE, [rg.Dense(7)], [("idle_output_units", "dense_1")]),
    ],
)
def test_each_mistake_is_named_with_its_node(y, layers, expected):
    assert found(y, *layers) == expected


def test_a_softmax_of_a_softmax_is_found():
    layers = [rg.Dense(3, "softmax"), rg.Flatten(), rg.Softmax()]
    assert found(THREE, *layers, loss=rg.CrossEntropy(from_logits=False)) == [("softmax_twice", "softmax_1")]
