"""Rates and decays by pattern, and optimizers that other implementations have too."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from retrograd.base.errors import ConfigError
from retrograd.base.schema import dump_registered, parse_registered
from retrograd.update.adam import LAMB
from retrograd.update.muon import Muon
from retrograd.update.optimizers import SGD, optimizers
from retrograd.update.step import apply_gradients

PARAMS = {"embed": {"weight": np.array([[1.0, -2.0], [0.5, 3.0]])}, "out": {"weight": np.array([[2.0, 1.0]]),
          "bias": np.array([0.5, -0.5])}}  # fmt: skip
GRADS = np.random.default_rng(5)


def two_steps(chain):
    """The parameters after two steps, in float64."""
    with jax.enable_x64(True):
        params = jax.tree.map(jnp.asarray, PARAMS)
        state = chain.init(params)
        rng = np.random.default_rng(5)
        for _ in range(2):
            grads = jax.tree.map(lambda p: jnp.asarray(rng.normal(size=p.shape)), params)
            params, state = apply_gradients(chain, params, grads, state)
        return jax.device_get(params)


def assert_same(found, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), found, expected)


def test_a_group_multiplies_the_rate_and_has_a_decay_of_its_own():
    written = {"sgd": {"learning_rate": 0.1, "weight_decay": 0.01,
                       "groups": {"embed/*": {"rate": 0.5}, "*/bias": {"weight_decay": 0.0, "rate": 0.0}}}}  # fmt: skip
    made = parse_registered(optimizers, written)
    assert parse_registered(optimizers, dump_registered(optimizers, made)) == made
    found = two_steps(made.build(None))
    assert_same(found["embed"], two_steps(SGD(0.05, weight_decay=0.01).build(None))["embed"])
    assert_same(found["out"]["weight"], two_steps(SGD(0.1, weight_decay=0.01).build(None))["out"]["weight"])
    assert_same(found["out"]["bias"], PARAMS["out"]["bias"])


def test_a_pattern_that_matches_nothing_is_named():
    chain = parse_registered(optimizers, {"sgd": {"groups": {"embedd/*": {"rate": 0.1}}}}).build(None)
    with pytest.raises(ConfigError, match=r"optimizer.sgd.groups: no parameter matches 'embedd/\*'"):
        chain.init(PARAMS)


def test_lamb_takes_the_steps_of_optax():
    assert_same(two_steps(LAMB(0.02, weight_decay=0.1).build(None)), two_steps(optax.lamb(0.02, weight_decay=0.1)))


@pytest.mark.parametrize("adjust", ["original", "match_rms_adamw"])
def test_muon_takes_the_steps_of_optax(adjust):
    consistent = 0.2 if adjust == "match_rms_adamw" else None
    theirs = optax.contrib.muon(0.02, weight_decay=0.1, adam_weight_decay=0.1, consistent_rms=consistent, nesterov=True)
    found, expected = two_steps(Muon(0.02, adjust=adjust).build(None)), two_steps(theirs)
    for node in ("embed", "out"):  # the momenta differ in a factor, which does not count but for the eps in a norm
        np.testing.assert_allclose(found[node]["weight"], expected[node]["weight"], rtol=1e-6)
