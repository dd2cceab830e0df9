"""Normalisations: what they leave of x, running statistics, digits, refusals; and noise that works like dropout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.base.errors import ConfigError, ShapeError
from retrograd.network.layer import Context
from retrograd.network.layers import (
    BatchNorm,
    Dense,
    GaussianNoise,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    RMSNorm,
    SpatialDropout,
    StochasticDepth,
)
from retrograd.network.network import Network
from retrograd.network.scope import named
from retrograd.propagation.backprop import forward

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(3, 2, size=(64, 4, 4, 6)), jnp.float32)


def output(layer, x=X, train=True, key=0):
    first = layer.init(jax.random.key(0), x)
    return layer.forward(first.params, first.state, Context(train, jax.random.key(key), "layer"), x).y


@pytest.mark.parametrize(
    ("layer", "axes"),
    [
        (BatchNorm(), (0, 1, 2)),
        (LayerNorm(), (3,)),
        (LayerNorm(axes=3), (1, 2, 3)),
        (GroupNorm(groups=1), (1, 2, 3)),
        (InstanceNorm(), (1, 2)),
    ],
    ids=str,
)
def test_what_is_normalised_has_mean_0_and_variance_1(layer, axes):
    y = np.asarray(output(layer), np.float64)
    np.testing.assert_allclose(y.mean(axes), 0, atol=1e-5)
    np.testing.assert_allclose(y.var(axes), 1, rtol=1e-3)  # eps 1e-5 beside variances of six values


def test_rms_norm_leaves_rows_of_root_mean_square_1():
    np.testing.assert_allclose(np.sqrt(np.square(output(RMSNorm())).mean(-1)), 1, rtol=1e-5)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_a_batch_whose_mask_leaves_no_variance_leaves_the_running_statistics_alone(momentum):
    layer, x = BatchNorm(momentum=momentum), X[0, 0]
    state = layer.init(jax.random.key(0), x).state
    for there in (0, 1, 2):
        mask = jnp.arange(len(x)) < there
        after = layer.forward({}, state, Context(train=True), x, mask).state
        assert all((after[name] == state[name]).all() for name in state) == (there < 2)


@pytest.mark.parametrize("offset", [1e3, 1e4])
def test_batch_statistics_keep_their_digits_far_from_zero(offset):
    """Without the pivot, float32 would have nothing left of a variance of 1 beside a mean of 10,000."""
    x = np.asarray(RNG.normal(size=(256, 3)) + offset, np.float32)
    exact = (x - x.mean(0, dtype=np.float64)) / x.std(0, dtype=np.float64)
    np.testing.assert_allclose(output(BatchNorm(), jnp.asarray(x)), exact, atol=3e-3 * offset / 1e4 + 1e-4)


def test_a_constant_channel_becomes_its_bias_and_nothing_breaks():
    x = jnp.full((5, 2), 1e6, jnp.float32)
    y = output(BatchNorm(bias=0.5), x)
    np.testing.assert_array_equal(y, 0.5)


@pytest.mark.parametrize("shape", [(1, 3), (1, 1, 1, 3)])
def test_a_single_value_of_a_channel_has_no_variance(shape):
    with pytest.raises(ShapeError, match="more than 1 value per channel"):
        output(BatchNorm(), jnp.ones(shape))
    assert output(BatchNorm(), jnp.ones(shape), train=False).shape == shape


def test_running_statistics_move_a_tenth_of_the_way_in_training_and_not_at_all_otherwise():
    x = jnp.asarray([[1.0], [3.0]])
    first = BatchNorm().init(jax.random.key(0), x)
    state = BatchNorm().forward(first.params, first.state, Context(True), x).state
    np.testing.assert_allclose([state["mean"][0], state["var"][0]], [0.1 * 2, 0.9 + 0.1 * 2], rtol=1e-6)
    assert BatchNorm().forward(first.params, state, Context(False), x).state is state


def test_frozen_statistics_are_used_and_stay():
    network = Network(named(BatchNorm(), "norm", frozen=True), Dense(2))
    x = {"x": jnp.asarray([[1.0], [3.0]])}
    params, state = network.init(jax.random.key(0), x)
    step = forward(network, params, state, Context(True), x)
    np.testing.assert_allclose(step.outputs["norm"], x["x"], rtol=1e-4)  # mean 0, variance 1 + eps
    jax.tree.map(np.testing.assert_array_equal, step.state, state)


@pytest.mark.parametrize("given", [True, "ones", 1.0, (1.0,) * 6])
def test_a_scale_may_be_given_in_every_way_and_true_means_ones(given):
    np.testing.assert_array_equal(LayerNorm(scale=given).init(jax.random.key(0), X).params["scale"], np.ones(6))
    assert set(LayerNorm(scale=False).init(jax.random.key(0), X).params) == {"bias"}


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (GroupNorm(groups=4), (2, 6), "groups 4 do not divide 6 channels"),
        (InstanceNorm(), (2, 6), "more than 1 value per channel and example"),
        (LayerNorm(axes=2), (2, 6), r"axes: input: expected a batch axis and 2 more, got \(2, 6\)"),
    ],
)
def test_what_does_not_fit_is_a_shape_error_that_names_the_numbers(layer, shape, message):
    with pytest.raises(ShapeError, match=message):
        output(layer, jnp.ones(shape))


def test_eps_must_be_positive():
    with pytest.raises(ConfigError, match=r"layer_norm\.eps: expected a finite number > 0, found 0"):
        LayerNorm(eps=0)


def test_spatial_dropout_drops_channels_and_stochastic_depth_examples():
    ones = jnp.ones((50, 4, 4, 40))
    for layer, axes in ((SpatialDropout(0.25), (1, 2)), (StochasticDepth(0.25), (1, 2, 3))):
        y = np.asarray(output(layer, ones))
        kept = y.mean(axes)
        np.testing.assert_allclose(kept[kept != 0], 4 / 3, rtol=1e-6)  # all or nothing, scaled up
        assert abs((kept == 0).mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / kept.size)
        np.testing.assert_array_equal(output(layer, ones, train=False), ones)


def test_noise_has_its_deviation_and_is_the_same_whatever_the_precision():
    zeros = jnp.zeros((200, 500))
    short = np.asarray(output(GaussianNoise(0.3), zeros))
    assert abs(short.std() - 0.3) < 4 * 0.3 / np.sqrt(2 * short.size)
    assert abs(short.mean()) < 4 * 0.3 / np.sqrt(short.size)
    with jax.enable_x64(True):
        long = np.asarray(output(GaussianNoise(0.3), jnp.zeros((200, 500), jnp.float64)))
    np.testing.assert_allclose(short, long, rtol=1e-6)  # one rounding to float32
    assert output(GaussianNoise(0.3), zeros, train=False) is zeros
