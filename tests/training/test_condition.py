"""The condition of weights: the measurement equals the formulas of the activations."""

import jax
import numpy as np
import pytest

from retrograd.base.document import Document
from retrograd.data.dataset import from_arrays
from retrograd.training.config.config import config_of
from retrograd.training.loop.guarded import Gauge
from retrograd.training.prepare import prepare

CONFIG = {
    "network": [
        {"dense": {"units": 5, "activation": "tanh"}},
        {"dense": {"units": 4, "activation": "relu"}},
        {"dense": {"units": 1, "activation": "sigmoid"}},
    ],
    "loss": "mean_squared_error",
}


def test_the_share_of_a_delta_that_passes_is_the_mean_slope_of_the_hidden_activations():
    x = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    prepared = prepare(config_of(Document(CONFIG)), from_arrays(x, x.sum(1)))
    columns = prepared.dataset.train
    stepper = prepared.stepper()
    train = stepper.start(prepared.network.init(jax.random.key(0), columns), jax.random.key(0))
    halves = [{name: column[part] for name, column in columns.items()} for part in (slice(0, 20), slice(20, 40))]
    condition = Gauge(stepper)(train, halves)
    p = jax.device_get(train.params)
    first = np.tanh(columns["x"][:40] @ p["dense_1"]["weight"] + p["dense_1"]["bias"])
    second = first @ p["dense_2"]["weight"] + p["dense_2"]["bias"]
    out = np.maximum(second, 0) @ p["dense_3"]["weight"] + p["dense_3"]["bias"]
    assert condition.passed == {  # not the last one, which the loss reads
        "dense_1/tanh": pytest.approx(np.mean(1 - first**2), rel=1e-3),
        "dense_2/relu": pytest.approx(np.mean(second > 0)),
    }
    assert condition.loss == pytest.approx(np.mean((1 / (1 + np.exp(-out)) - columns["y"][:40].reshape(40, 1)) ** 2))
