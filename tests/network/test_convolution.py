"""Convolutions: lengths, refusals, and the products that a shape chooses between."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.base.errors import ConfigError, DataTypeError, ShapeError
from retrograd.network.layer import Context
from retrograd.network.layers import BatchNorm, Conv1D, Conv2D, Conv2DTranspose, Dense, Flatten, MaxPool, ReLU, Upsample
from retrograd.network.layers.convolution.convolution import data_gradient, weight_gradient
from retrograd.network.layers.shared.window import fold, place_window, views
from retrograd.network.network import Network


def spec(layer, *shape, dtype=jnp.float32):
    return Network(layer).specs({"x": jax.ShapeDtypeStruct(shape, dtype)})


def lengths(layer, *shape):
    return next(iter(spec(layer, *shape).values())).shape


def test_same_gives_the_input_divided_by_the_stride_rounded_up():
    for kernel, stride, dilation in itertools.product((1, 2, 3, 5), (1, 2, 3), (1, 2)):
        window = place_window((9, 4), kernel, stride, dilation, "same")
        assert window.outputs == (-(-9 // stride), -(-4 // stride))


def test_same_with_an_even_kernel_adds_the_odd_zero_at_the_end():
    assert place_window((5, 5), (2, 4), padding="same").padding == ((0, 1), (1, 2))


def test_a_window_that_hangs_over_may_not_begin_after_the_input():
    assert place_window((3,), 2, padding=((0, 4),)).outputs == (6,)
    assert place_window((3,), 2, 2, ceil=True).outputs == (2,)
    assert place_window((2,), 1, 3, padding=1, ceil=True).outputs == (1,)


def test_causal_convolution_sees_nothing_later():
    layer = Conv1D(2, kernel=3, dilation=2, padding="causal")
    x = jnp.ones((1, 8, 3))
    params = layer.init(jax.random.key(0), x).params
    y = [layer.forward(params, {}, Context(), each).y for each in (x, x.at[:, 5:].set(7.0))]
    np.testing.assert_array_equal(y[0][:, :5], y[1][:, :5])
    assert not np.array_equal(y[0][:, 5:], y[1][:, 5:])


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            Conv2D(3, 5, padding="valid"),
            (2, 4, 4, 1),
            "kernel 5 is larger than the padded input 4; use a smaller kernel",
        ),
        (
            Conv2D(3, 3, padding=1, dilation=4),
            (2, 4, 4, 1),
            r"kernel 3 \(dilated: 9\) is larger than the padded input 6",
        ),
        (Conv2D(6, groups=3), (2, 4, 4, 4), "groups 3 do not divide 4 channels"),
        (Conv2D(3, groups=2), (2, 4, 4, 4), "groups 2 do not divide 3 filters"),
        (Conv2D(3), (2, 28, 28), r"expected \(batch, height, width, channels\), got \(2, 28, 28\); .*`reshape`"),
        (Conv1D(3), (2, 28), r"expected \(batch, length, channels\), got \(2, 28\)"),
        (Conv2DTranspose(3, 3, padding=2), (2, 1, 1, 4), "padding 2 leaves nothing of the output"),
        (MaxPool(3), (2, 2, 4, 1), "window 3 is larger than the padded input 2; use a smaller window"),
        (MaxPool((2, 2)), (2, 4, 1), r"window \[2, 2\] is for 2 axes, but the input has 1"),
        (MaxPool(2, padding=2), (2, 4, 1), "padding 2 must be smaller than the window, which spans 2"),
        (MaxPool(2, padding=(0, 1)), (2, 4, 1), r"padding \[0, 1\] is for 2 axes, .* as \[\[before, after\]\]"),
        (Upsample((2, 2)), (2, 4, 1), r"factor \[2, 2\] is for 2 axes, but the input has 1"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_what_does_not_fit_is_a_shape_error_that_names_the_numbers(layer, shape, message):
    with pytest.raises(ShapeError, match=rf"_1 \({layer.kind}\): .*{message}"):
        lengths(layer, *shape)


def test_whole_numbers_are_refused():
    with pytest.raises(DataTypeError, match="expected real numbers, got int32"):
        spec(Conv2D(1), 1, 4, 4, 1, dtype=jnp.int32)


def test_another_number_of_channels_than_the_weights_is_refused():
    params = Conv2D(3).init(jax.random.key(0), jnp.ones((1, 4, 4, 2))).params
    with pytest.raises(ShapeError, match="expected 2 channels, got 3"):
        Conv2D(3).forward(params, {}, Context(), jnp.ones((1, 4, 4, 3)))


@pytest.mark.parametrize(
    ("cls", "settings", "message"),
    [
        (Conv2D, {"stride": 0}, "conv2d.stride: expected a positive integer, or a list of one for each axis, found 0"),
        (Conv2D, {"kernel": (3, 3, 3)}, "conv2d.kernel: expected one entry for each of 2 axes, found 3"),
        (Conv2D, {"padding": "causal"}, "conv2d.padding: expected same, valid, an integer"),
        (Conv1D, {"padding": "casual"}, "conv1d.padding: .*did you mean 'causal'"),
        (Conv1D, {"padding": (1, 2)}, "conv1d.padding: expected one entry for each of 1 axes, found 2"),
        (Conv2D, {"groups": "all"}, r"conv2d.groups: expected a positive integer, or depthwise"),
        (Conv2DTranspose, {"padding": 0, "output_padding": 1}, "output_padding: expected less than the stride 1, found 1"),
        (Conv2DTranspose, {"stride": 2, "output_padding": 1}, "output_padding: is not allowed with padding same"),
        (Conv2DTranspose, {"kernel": (3,)}, "kernel: expected one entry for each of 2 axes, found 1"),
    ],
)  # fmt: skip
def test_impossible_settings_are_refused(cls, settings, message):
    with pytest.raises(ConfigError, match=message):
        cls(2, **settings)


def test_a_transposed_convolution_that_pads_same_makes_each_axis_stride_times_as_long():
    for kernel, stride in itertools.product((1, 2, 3, 4), (1, 2, 3)):
        assert lengths(Conv2DTranspose(2, kernel, stride), 1, 5, 3, 4) == (1, 5 * stride, 3 * stride, 2)


@pytest.mark.parametrize(("channels", "groups"), [(3, 1), (9, 1), (128, 1), (4, 2), (4, 4)])
def test_every_way_to_the_gradients_is_the_adjoint_of_the_same_convolution(channels, groups):
    """Few, more and many channels, groups, depthwise: each is a formula of its own, against jax.vjp of XLA's."""
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        x, weight = (jnp.asarray(rng.normal(size=s)) for s in ((2, 6, 5, channels), (3, 2, channels // groups, 8)))
        window = place_window((6, 5), (3, 2), (2, 1), (1, 2), ((0, 2), 1))

        def xla(x, weight):
            return jax.lax.conv_general_dilated(
                x, weight, (2, 1), ((0, 2), (1, 1)), rhs_dilation=(1, 2), feature_group_count=groups,
                dimension_numbers=("NHWC", "HWIO", "NHWC"))  # fmt: skip

        y, back = jax.vjp(xla, x, weight)
        dy = jnp.asarray(rng.normal(size=y.shape))
        dx, dweight = back(dy)
        np.testing.assert_allclose(data_gradient(dy, weight, window, groups), dx, rtol=1e-12, atol=1e-13)
        found = weight_gradient(x, dy, window, groups, weight.dtype)
        np.testing.assert_allclose(found, dweight, rtol=1e-12, atol=1e-13)  # sums of 36 products, round-off alone


@pytest.mark.parametrize(("kernel", "stride", "dilation", "padding"), [(3, 2, 1, 1), (2, 3, 1, 0), (2, 1, 3, 4)])
def test_folding_is_the_adjoint_of_viewing(kernel, stride, dilation, padding):
    rng = np.random.default_rng(0)
    window = place_window((7, 5), kernel, stride, dilation, padding)
    with jax.enable_x64(True):
        x = jnp.asarray(rng.normal(size=(2, 7, 5, 1)))
        parts = [jnp.asarray(rng.normal(size=seen.shape)) for seen in views(x, window)]
        there = sum(jnp.vdot(seen, part) for seen, part in zip(views(x, window), parts, strict=True))
        np.testing.assert_allclose(jnp.vdot(x, fold(parts, window)), there, rtol=1e-13)


def test_a_convolution_looks_through_norm_and_pool_for_its_initial_weights():
    network = Network(Conv2D(4), BatchNorm(), MaxPool(), ReLU(), Flatten(), Dense(2))
    assert network.nodes[0].layer.weight.registered_name == "he_normal"
    weight = network.init(jax.random.key(0), {"x": jnp.ones((2, 8, 8, 100))}).params["conv2d_1"]["weight"]
    assert weight.shape == (3, 3, 100, 4)
    assert abs(weight.std() - (2 / 900) ** 0.5) < 0.002  # 3600 draws: within three of their standard errors
