"""The contract where shapes are awkward: masks that leave one step or nothing, strides that do not divide, ones."""

import numpy as np
import pytest

from retrograd.checking.contract import check_layer
from retrograd.network import layers

RNG = np.random.default_rng(6)
X = RNG.normal(size=(3, 4, 2))
FIRST, LAST, ONE = (np.zeros((3, 4), bool) for _ in range(3))
FIRST[:, 0], LAST[:, -1] = True, True
ONE[[0, 1, 2], [2, 0, 3]] = True  # another step in each row
NOTHING = np.array([[True] * 4, [False] * 4, [True, False, True, False]])

CASES = {
    "lstm, one step": (layers.LSTM(2, output="all"), (X, ONE)),
    "gru, one step, reset before": (layers.GRU(2, output="sequence", reset="before"), (X, ONE)),
    "gru, no step at all": (layers.GRU(2), (X, NOTHING)),
    "rnn, truncated at every step": (layers.RNN(2, truncate=1), (X[:1], FIRST[:1])),
    "attention, no key": (layers.MultiHeadAttention(1, reads=("query", "mask")), (X, NOTHING)),
    "attention, causal, one late key": (
        layers.MultiHeadAttention(1, causal=True, reads=("query", "mask")),
        (X, LAST),
    ),
    "max pool, stride 3 on 7": (layers.MaxPool(2, stride=3), ((1, 7, 5, 2),)),
    "average pool, odd": (layers.AveragePool(3, stride=2, padding=1), ((1, 5, 1, 1),)),
    "conv, kernel as large as the image": (layers.Conv2D(2, kernel=[3, 5], padding="valid", stride=2), ((1, 3, 5, 1),)),
    "conv, one place": (layers.Conv2D(3), ((1, 1, 1, 2),)),
    "conv transpose, one place": (layers.Conv2DTranspose(2, stride=3), ((1, 1, 1, 1),)),
    "batch norm, two rows": (layers.BatchNorm(), ((2, 1),)),
    "group norm, one example": (layers.GroupNorm(1), ((1, 1, 3),)),
    "layer norm, one example": (layers.LayerNorm(), ((1, 3),)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_contract_holds(name):
    layer, inputs = CASES[name]
    check_layer(layer, *inputs)
