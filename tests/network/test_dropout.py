"""Dropout: its rate, its mean, and the same mask whatever the precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.base.errors import ConfigError, UsageError
from retrograd.network.layer import Context
from retrograd.network.layers import Dropout
from retrograd.network.layers.noise.dropout import draw_kept

SHAPE = (200, 500)


def kept(rate, seed=0, path="drop", dtype=jnp.float32):
    ctx = Context(True, jax.random.key(seed), path)
    return np.asarray(Dropout(rate).forward({}, {}, ctx, jnp.ones(SHAPE, dtype)).y, np.float64)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_rate_of_zeros_is_the_rate_and_the_mean_stays(rate):
    y = kept(rate)
    error = np.sqrt(rate * (1 - rate) / y.size)
    assert abs((y == 0).mean() - rate) < 4 * error
    assert abs(y.mean() - 1) < 4 * error / (1 - rate)
    np.testing.assert_allclose(y[y != 0], 1 / (1 - rate), rtol=1e-6)


def test_float32_bfloat16_and_float64_see_one_mask():
    short = kept(0.3)
    half = kept(0.3, dtype=jnp.bfloat16)
    with jax.enable_x64(True):
        long = kept(0.3, dtype=jnp.float64)
    np.testing.assert_array_equal(short == 0, long == 0)
    np.testing.assert_array_equal(short == 0, half == 0)


def test_another_step_or_node_draws_another_mask():
    first = kept(0.5)
    for other in (kept(0.5, seed=1), kept(0.5, path="block/drop")):
        assert abs((first == other).mean() - 0.5) < 0.01  # as two independent coins agree


def test_a_rate_close_to_one_still_keeps_some():
    assert 0 < np.asarray(draw_kept(jax.random.key(0), SHAPE, 1 - 1e-3)).mean() < 2e-3


@pytest.mark.parametrize(("rate", "train"), [(0.5, False), (0.0, True)])
def test_without_training_or_at_rate_zero_nothing_happens_and_no_key_is_needed(rate, train):
    x = jnp.ones((2, 3))
    step = Dropout(rate).forward({}, {}, Context(train), x)
    assert step.y is x
    assert jax.tree.leaves(step.tape) == []


def test_drawing_without_a_key_names_the_node():
    with pytest.raises(UsageError, match=r"block/drop draws random numbers.*key"):
        Dropout().forward({}, {}, Context(True, None, "block/drop"), jnp.ones((2, 3)))


@pytest.mark.parametrize("rate", [1, 1.0, -0.1, float("nan"), "half"])
def test_impossible_rates_are_refused(rate):
    with pytest.raises(ConfigError, match=r"dropout.rate: expected a number in \[0, 1\)"):
        Dropout(rate)
