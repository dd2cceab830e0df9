"""Mistakes at the output are reported before training by the rules of the diagnosis; correct networks have none."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.data.dataset import from_arrays
from retrograd.training.config.config import RunConfig
from retrograd.training.prepare import prepare

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4)).astype(np.float32)
LABELS = np.stack([X[:, 0] > 0, X[:, 1] > 0], 1).astype(np.float32)
BINARY, THREE, NUMBERS = np.arange(30) % 2, np.arange(30) % 3, X[:, 0]


def sentences(y, *layers, loss=None):
    config = RunConfig(network=rg.Network(*layers).entries, loss=loss)
    return prepare(config, from_arrays(X, y)).warnings()


@pytest.mark.parametrize(
    ("y", "layers", "loss"),
    [
        (BINARY, [rg.Dense(4, "relu"), rg.Dense(1)], None),
        (BINARY, [rg.Dense(1, "sigmoid")], rg.BinaryCrossEntropy(from_logits=False)),
        (THREE, [rg.Dense(3, "softmax")], rg.CrossEntropy(from_logits=False)),
        (THREE, [rg.Dense(3, "sigmoid")], rg.CrossEntropy(from_logits=False)),  # tolerated: no more than a note
        (THREE, [rg.Dense(3), rg.LogSoftmax()], None),
        (THREE, [rg.Dense(3, "relu"), rg.BatchNorm()], None),
        (NUMBERS, [rg.Dense(1, "relu")], None),
    ],
)
def test_correct_networks_produce_no_report(y, layers, loss):
    assert sentences(y, *layers, loss=loss) == ()


@pytest.mark.parametrize(
    ("y", "layers", "loss", "place", "words"),
    [
        (LABELS, [rg.Dense(2, "softmax")], rg.BinaryCrossEntropy(from_logits=False), "network.0 (dense_1/softmax)",
         "no two labels can both be likely"),
        (BINARY, [rg.Dense(1, "sigmoid")], None, "network.0 (dense_1/sigmoid)", "binary_cross_entropy squashes them again"),
        (BINARY, [rg.Dense(1, "relu"), rg.Dropout(0.1)], None, "network.0 (dense_1/relu)", "bends the logits"),
        (BINARY, [rg.Dense(1), rg.LogSigmoid()], None, "network.1 (log_sigmoid_1)", "bends the logits"),
        (THREE, [rg.Dense(3, "softmax")], None, "network.0 (dense_1/softmax)", "cross_entropy squashes them again"),
        (THREE, [rg.Dense(3, "softmax"), rg.Flatten(), rg.Softmax()], rg.CrossEntropy(from_logits=False),
         "network.0 (dense_1/softmax)", "softmax squashes them again"),
        (THREE, [rg.Dense(3)], rg.CrossEntropy(from_logits=False), "network.0 (dense_1)", "put softmax before it"),
        (BINARY, [rg.Dense(1), rg.Softmax()], rg.BinaryCrossEntropy(from_logits=False),
         "network.1 (softmax_1)", "constant 1"),
        (THREE, [rg.Dense(7)], None, "network.0 (dense_1)", "more units than the data has classes"),
    ],
)  # fmt: skip
def test_each_mistake_is_named_with_its_place(y, layers, loss, place, words):
    (sentence,) = sentences(y, *layers, loss=loss)
    assert sentence.startswith(f"{place}: ")
    assert words in sentence
