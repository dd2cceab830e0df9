"""Activations where they are hard: extremes, infinities, NaN, kinks, and float32 beside float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.base.errors import ConfigError, ShapeError
from retrograd.network.layer import Activation, Context, Spec, layers
from retrograd.network.layers import (
    ELU,
    GELU,
    SELU,
    HardSigmoid,
    HardSwish,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from retrograd.propagation.one_layer import adjoint

ELEMENTWISE = [
    layers[name]()
    for name in layers
    if issubclass(layers[name], Activation)
    and layers[name].__module__.startswith("retrograd.")
    and layers[name].by_element
    and name != "snake"  # a wave has no limit
] + [GELU(approximate=True)]
ALONG_AN_AXIS = [Softmax(), LogSoftmax()]
LARGE = [-1e30, -1e20, -800.0, -90.0, -20.5, -1e-9, -0.0, 0.0, 1e-30, 1e-9, 20.5, 90.0, 800.0, 1e20, 1e30]


@functools.cache
def compiled(layer):
    def run(params, x, dy):
        y, tape, _ = layer.forward(params, {}, Context(), x)
        return y, adjoint(layer, params, tape, dy).inputs[0]

    return jax.jit(run)


def run(layer, x, dtype="float64", dy=None):
    """Return y and dx for one row of numbers; dy is 1 unless given."""
    with jax.enable_x64(dtype == "float64"):
        x = jnp.asarray(np.asarray(x, dtype)[None])
        params = layer.init(jax.random.key(0), Spec(x.shape, x.dtype)).params
        y, dx = compiled(layer)(params, x, jnp.ones_like(x) if dy is None else jnp.asarray(np.asarray(dy, dtype)[None]))
        return np.asarray(y)[0], np.asarray(dx)[0]


@pytest.mark.parametrize("layer", ELEMENTWISE, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_number_and_no_infinity_gives_nan(layer, dtype):
    largest = float(np.finfo(dtype).max)
    y, dx = run(layer, [*LARGE, -largest, largest, -np.inf, np.inf], dtype)
    assert not np.isnan(y).any(), y
    assert not np.isnan(dx).any(), dx
    assert np.isfinite(dx).all() or layer.kind == "exponential", dx  # its slope is itself


@pytest.mark.parametrize("layer", ALONG_AN_AXIS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scores_of_any_size_give_probabilities(layer, dtype):
    largest = float(np.finfo(dtype).max)
    for row in (LARGE, [-largest, largest], [largest, largest], [-np.inf, 0.0], [-1e30, -1e30, -1e30]):
        y, dx = run(layer, row, dtype, np.arange(len(row)))
        probabilities = np.exp(y) if isinstance(layer, LogSoftmax) else y
        np.testing.assert_allclose(probabilities.sum(), 1, rtol=1e-6)
        assert np.isfinite(dx).all(), dx


@pytest.mark.parametrize("layer", ELEMENTWISE + ALONG_AN_AXIS, ids=str)
def test_nan_passes_through(layer):
    y, _ = run(layer, [1.0, np.nan, -1.0], "float32")
    assert np.isnan(y[1])
    assert isinstance(layer, (Softmax, LogSoftmax)) or not np.isnan(y[[0, 2]]).any()


@pytest.mark.parametrize("layer", ELEMENTWISE + ALONG_AN_AXIS, ids=str)
def test_float32_is_float64_rounded(layer):
    x = np.concatenate([np.linspace(-30, 30, 241), np.linspace(-0.01, 0.01, 41)]).astype(np.float32)
    for short, long in zip(run(layer, x, "float32"), run(layer, x, "float64"), strict=True):
        np.testing.assert_allclose(
            short, long, rtol=2e-6, atol=2e-6
        )  # some ten roundings, relative to 1 where values cancel


@pytest.mark.parametrize("layer", [Sigmoid(), Tanh(), ELU(), SELU(), Softplus(), SiLU(), GELU(), Softsign()], ids=str)
def test_slope_near_zero_is_a_central_difference(layer):
    h = 1e-5
    x = np.array([-1e-3, 0.3, -0.7, 2.0])  # near 0, but not across the kink of elu's second derivative
    above, below = run(layer, x + h)[0], run(layer, x - h)[0]
    np.testing.assert_allclose(run(layer, x)[1], (above - below) / (2 * h), rtol=1e-8)  # h² and round-off / h: 1e-10


@pytest.mark.parametrize(
    ("layer", "at", "slope"),
    [
        (ReLU(), 0.0, 0.0),
        (ReLU(), -0.0, 0.0),
        (LeakyReLU(), 0.0, 0.01),
        (PReLU(), 0.0, 0.25),
        (ReLU6(), 0.0, 0.0),
        (ReLU6(), 6.0, 0.0),
        (ELU(0.5), 0.0, 0.5),
        (SELU(), 0.0, 1.0507009873554805 * 1.6732632423543772),
        (HardSigmoid(), -3.0, 0.0),
        (HardSigmoid(), 3.0, 0.0),
        (HardSwish(), -3.0, 0.0),
        (HardSwish(), 3.0, 1.0),
        (Softsign(), 0.0, 1.0),
    ],
    ids=str,
)
def test_derivative_at_a_kink_follows_the_convention(layer, at, slope):
    assert run(layer, [at])[1][0] == pytest.approx(slope, rel=1e-15)


def test_small_inputs_keep_their_digits():
    x = np.array([-1e-12, 1e-12])
    for layer in (Tanh(), ELU(), Softsign()):  # exp(x) - 1 would have lost eight of them
        np.testing.assert_allclose(run(layer, x)[0], x, rtol=1e-11)
    np.testing.assert_allclose(run(Softplus(), [-30.0])[0], np.exp(-30.0), rtol=1e-12)


def test_slopes_far_out_in_a_tail_keep_their_digits():
    for layer, x in ((Softplus(), -30.0), (LogSigmoid(), 30.0)):  # 1 - exp(y) would be 0
        np.testing.assert_allclose(run(layer, [x], "float32")[1], np.exp(-30.0), rtol=1e-5)


def test_selu_keeps_mean_zero_and_variance_one():
    y, _ = run(SELU(), np.random.default_rng(0).normal(size=100_000))
    assert abs(y.mean()) < 0.01  # 3 standard errors
    assert abs(y.var() - 1) < 0.03


def test_gelu_is_exact_by_default():
    (exact,), _ = run(GELU(), [1.0])
    (approximate,), _ = run(GELU(approximate=True), [1.0])
    assert exact == pytest.approx(0.8413447460685429, rel=1e-14)  # the standard normal distribution at 1
    assert approximate == pytest.approx(0.8411919906082768, rel=1e-14)


def test_softmax_refuses_the_batch_axis_and_an_axis_that_is_not_there():
    for axis, words in ((0, "the batch"), (-2, "the batch"), (2, "does not exist"), (-3, "does not exist")):
        with pytest.raises(ShapeError, match=words):
            run(Softmax(axis), [1.0, 2.0])


def test_softmax_of_equal_shifts_is_the_same():
    x = np.array([0.1, -2.0, 3.0])
    np.testing.assert_allclose(run(Softmax(), x)[0], run(Softmax(), x + 100)[0], rtol=1e-13)


def test_prelu_learns_one_slope_a_feature():
    params = PReLU(0.1).init(jax.random.key(0), Spec((2, 5, 3), jnp.float32)).params
    np.testing.assert_array_equal(params["slope"], np.full(3, 0.1, np.float32))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LeakyReLU(-1), "leaky_relu.slope: expected a finite number >= 0, found -1"),
        (lambda: ELU(0), "elu.alpha: expected a finite number > 0, found 0"),
        (lambda: GELU(approximate="tanh"), "gelu.approximate: expected true or false, found 'tanh'"),
    ],
)
def test_impossible_settings_are_named(make, words):
    with pytest.raises(ConfigError, match=words):
        make()
