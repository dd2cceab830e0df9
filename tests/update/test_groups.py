"""Rates and decays by pattern, and optimizers that other implementations have too."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from retrograd.base.errors import ConfigError
from retrograd.base.schema import dump_registered, parse_registered
from retrograd.update.adam import LAMB
from retrograd.update.groups import Group
from retrograd.update.muon import Muon
from retrograd.update.optimizers import SGD, optimizers
from retrograd.update.step import apply_gradients

PARAMS = {"embed": {"weight": np.array([[1.0, -2.0], [0.5, 3.0]])}, "out": {"weight": np.array([[2.0, 1.0]]),
          "bias": np.array([0.5, -0.5])}}  # fmt: skip

GROUPS = (("embed/*", Group(0.1)),)


def two_steps(chain, steps=2):
    """The parameters after two steps, in float64."""
    with jax.enable_x64(True):
        params = jax.tree.map(jnp.asarray, PARAMS)
        state = chain.init(params)
        rng = np.random.default_rng(5)
        for _ in range(steps):
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


def test_a_group_rests_before_and_after_its_epochs_and_its_averages_go_on():
    written = {"adam": {"learning_rate": 0.1, "weight_decay": 0.01, "groups": {"embed/*": {"after": 1, "until": 2}}}}
    made = parse_registered(optimizers, written)
    assert parse_registered(optimizers, dump_registered(optimizers, made)) == made
    chain = made.timed(2).build(None)
    after = [two_steps(chain, steps)["embed"]["weight"] for steps in (2, 3, 4, 6)]
    np.testing.assert_array_equal(after[0], PARAMS["embed"]["weight"])
    assert np.abs(after[1] - after[0]).max() < 0.2  # no jump: Adam has averaged since the first step
    assert np.abs(after[2] - after[1]).min() > 0
    np.testing.assert_array_equal(after[3], after[2])
    assert made.timed(2) != made
    with pytest.raises(ConfigError, match=r"until: expected more than `after` \(3\), found 3"):
        Group(after=3, until=3)


def test_a_pattern_that_matches_nothing_is_named():
    chain = parse_registered(optimizers, {"sgd": {"groups": {"embedd/*": {"rate": 0.1}}}}).build(None)
    with pytest.raises(ConfigError, match=r"optimizer.sgd.groups: no parameter matches 'embedd/\*'"):
        chain.init(PARAMS)


@pytest.mark.parametrize("patterns", [["*", "embed/*"], ["embed/*", "embed/weight"], ["*/weight", "*/bias", "out/*"]])
def test_a_pattern_that_earlier_ones_leave_nothing_is_named(patterns):
    chain = parse_registered(optimizers, {"sgd": {"groups": {pattern: {"rate": 0.1} for pattern in patterns}}})
    with pytest.raises(ConfigError, match=rf"'{re.escape(patterns[-1])}' has no effect.*put narrow patterns first"):
        chain.build(None).init(PARAMS)


def test_groups_leave_the_tree_of_the_state_alone():
    trees = [jax.tree.structure(SGD(0.1, groups=groups).build(None).init(PARAMS)) for groups in ((), GROUPS)]
    assert trees[0] == trees[1]


def test_lamb_takes_the_steps_of_optax():
    assert_same(two_steps(LAMB(0.02, weight_decay=0.1).build(None)), two_steps(optax.lamb(0.02, weight_decay=0.1)))


@pytest.mark.parametrize("adjust", ["original", "match_rms_adamw"])
def test_muon_s_first_step_is_optax_s_which_weighs_later_momenta_otherwise(adjust):
    consistent = 0.2 if adjust == "match_rms_adamw" else None
    theirs = optax.contrib.muon(0.02, weight_decay=0.1, adam_weight_decay=0.1, consistent_rms=consistent)
    found, expected = two_steps(Muon(0.02, adjust=adjust).build(None), 1), two_steps(theirs, 1)
    for node in ("embed", "out"):
        np.testing.assert_allclose(found[node]["weight"], expected[node]["weight"], rtol=1e-7)  # an eps in the norm


def test_muon_moves_by_the_orthogonal_factor_of_nesterov_s_momentum():
    chain, rng = Muon(0.02, adjust="original", weight_decay=0.0, rounds=5).build(None), np.random.default_rng(5)
    first, second = (jax.tree.map(lambda p: rng.normal(size=p.shape), PARAMS)["embed"]["weight"] for _ in range(2))
    ahead = 0.95 * (0.95 * 0.05 * first + 0.05 * second) + 0.05 * second  # PyTorch's lerp, twice
    left, values, right = np.linalg.svd(ahead)
    values = values / np.sqrt((values**2).sum())
    for _ in range(5):
        values = 3.4445 * values - 4.775 * values**3 + 2.0315 * values**5
    moved = two_steps(chain)["embed"]["weight"] - two_steps(chain, 1)["embed"]["weight"]
    np.testing.assert_allclose(moved, -0.02 * (left * values) @ right, rtol=1e-9)
