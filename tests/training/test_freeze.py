"""Frozen parameters: neither clipping nor decay nor the optimizer's averages include them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import retrograd as rg
from retrograd.base.errors import ConfigError
from retrograd.update.selection import without_frozen
from retrograd.update.step import apply_gradients

ROWS = {"rows": [[0, 0, 0.5], [0, 1, 1.5], [1, 0, -1.0], [1, 1, 2.0]]}
CONFIG = {
    "data": ROWS,
    "network": [{"dense": 3, "name": "hidden"}, "tanh", {"dense": 1, "name": "last"}],
    "optimizer": {"sgd": {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.5, "clip_global_norm": 0.1}},
    "training": {"epochs": 3},
}


def trained(freeze, root):
    run = rg.train(CONFIG | {"freeze": freeze}, root=root)
    first = run.model.network.init(jax.random.key(0), run.dataset.train).params
    last = jax.device_get(run.model.variables.params)
    return {
        f"{n}/{k}" for n, parameters in first.items() for k, v in parameters.items() if np.array_equal(v, last[n][k])
    }


@pytest.mark.parametrize(
    ("freeze", "still"),
    [
        (["hidden/weight"], {"hidden/weight"}),
        (["*/weight"], {"hidden/weight", "last/weight"}),
        (["hidden/*"], {"hidden/weight", "hidden/bias"}),
    ],
)
def test_matching_parameters_stay_and_the_rest_move(freeze, still, tmp_path):
    assert trained(freeze, tmp_path) == still


def test_the_clipping_norm_covers_only_trained_parameters():
    network = rg.Network(rg.Dense(1))
    grads = {"dense_1": {"weight": jnp.array([[300.0]]), "bias": jnp.array([0.3])}}
    params = {"dense_1": {"weight": jnp.array([[1.0]]), "bias": jnp.array([1.0])}}
    left = without_frozen(network, ["dense_1/weight"], grads)
    assert set(left["dense_1"]) == {"bias"}
    chain = rg.SGD(1.0, clip_global_norm=0.4).build(None)
    after, _ = apply_gradients(chain, params, left, chain.init(without_frozen(network, ["dense_1/weight"], params)))
    assert after["dense_1"]["weight"] == 1.0
    assert float(after["dense_1"]["bias"][0]) == pytest.approx(0.7)  # 0.3 is below 0.4: nothing is clipped


def test_a_trace_names_frozen_parameters_and_gives_them_no_update():
    text = str(rg.trace(CONFIG | {"freeze": ["last/bias"]}))
    assert "Frozen, and so not updated: last/bias." in text
    step = rg.trace(CONFIG | {"freeze": ["last/bias"]}).numbers
    frozen = {parameter.path: parameter.frozen for parameter in step.parameters}
    assert frozen == {"hidden/weight": False, "hidden/bias": False, "last/weight": False, "last/bias": True}


@pytest.mark.parametrize(
    ("freeze", "words"),
    [
        (["hiden/bias"], "freeze: no parameter matches 'hiden/bias'; did you mean 'hidden/bias'"),
        (["*"], "freeze: all parameters are frozen"),
    ],
)
def test_a_pattern_must_match_something_and_leave_something_to_train(freeze, words, tmp_path):
    with pytest.raises(ConfigError) as caught:
        rg.train(CONFIG | {"freeze": freeze}, root=tmp_path)
    assert words in str(caught.value)
