"""Convolution kernels against the sums that define them, in float64, at random shapes and options."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.native import convolution as native
from retrograd.native.convolution import NOTHING, Epilogue
from retrograd.native.library import kernels
from retrograd.network.layers import ReLU
from retrograd.network.layers.convolution import convolution as layer
from retrograd.network.layers.shared.window import place_window, views
from tests.closeness import CLOSE, error_by_norm


@pytest.fixture(autouse=True)
def every_shape(monkeypatch, variant):
    monkeypatch.setattr(native, "faster", lambda *_, **__: True)


def drawn(seed):
    """One geometry and its three arrays."""
    rng = np.random.default_rng(seed)
    axes = int(rng.choice([1, 2, 2, 2]))
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    channels, filters = (groups * int(n) for n in rng.integers(1, [40, 70], 2))
    if rng.random() < 0.2:
        channels = filters = groups = int(rng.integers(2, 50))
    kernel, stride, dilation = (tuple(map(int, rng.integers(1, most, axes))) for most in (6, 4, 4))
    if seed % 5 == 0:  # whole vectors of channels and 3 x 3 entries: by fewer products (winograd.cc)
        groups, (channels, filters) = 1, (16 * int(n) for n in rng.integers(1, 5, 2))
        axes, kernel, stride, dilation = 2, (3, 3), (1, 1), (1, 1)
    elif seed % 5 == 1:  # pixels are read where they lie
        kernel, dilation = (1,) * axes, (1,) * axes
    most = 1 if seed % 5 == 1 and rng.random() < 0.8 else 5
    padding = tuple((int(a), int(b)) for a, b in rng.integers(0, most, (axes, 2)))
    lengths = [
        max(int(n), (k - 1) * d + 1) for n, k, d in zip(rng.integers(1, 24, axes), kernel, dilation, strict=True)
    ]
    window = place_window(lengths, kernel, stride, dilation, padding)
    batch = int(rng.integers(1, 6))
    x = rng.normal(size=(batch, *lengths, channels)).astype(np.float32)
    weight = rng.normal(size=(*kernel, channels // groups, filters)).astype(np.float32)
    dy = rng.normal(size=(batch, *window.outputs, filters)).astype(np.float32)
    return window, groups, x, weight, dy


def everything_after(seed, shape, bad=0.0):
    """A bias and a residual, `bad` added to one number of each."""
    rng = np.random.default_rng([seed, 1])
    arrays = [rng.normal(size=shape[-1:]).astype(np.float32), rng.normal(size=shape).astype(np.float32)]
    for array in arrays:
        array[tuple(rng.integers(0, array.shape))] += bad
    return arrays


def drawn_behind(seed, shape):
    """What follows the sums: each part half of the time."""
    bias, residual = everything_after(seed, shape)
    chosen = np.random.default_rng([seed, 2]).random(3) < 0.5
    return Epilogue(bias if chosen[0] else None, residual if chosen[1] else None, bool(chosen[2]))


def arrays_of(epilogue):
    return [array for array in epilogue[:2] if array is not None]


def products(window, groups, epilogue, x, weight, dy, *rest):
    return (
        layer.convolve(x, weight, window, groups, epilogue.of(rest)),
        layer.data_gradient(dy, weight, window, groups),
        layer.weight_gradient(x, dy, window, groups, weight.dtype),
    )


def defined(window, groups, epilogue, x, weight, dy):
    """The three sums, entry of the kernel by entry, in float64, and what follows the first."""
    x, weight, dy = (a.astype(np.float64) for a in (x, weight, dy))
    margins = [
        (0, 0),
        *((max(low, 0), max(high, 0) + e) for (low, high), e in zip(window.margins, window.extent, strict=True)),
        (0, 0),
    ]
    padded = np.pad(x, margins)
    parted = padded.reshape(*padded.shape[:-1], groups, -1)
    deltas = dy.reshape(*dy.shape[:-1], groups, -1)
    weights = weight.reshape(*weight.shape[:-1], groups, -1)
    y, dx, dweight = np.zeros_like(deltas), np.zeros_like(parted), np.zeros_like(weights)
    for place in window.places:
        seen = (slice(None), *(slice(p * d, p * d + (n - 1) * s + 1, s)
                for p, d, n, s in zip(place, window.dilation, window.outputs, window.stride, strict=True)))  # fmt: skip
        y += np.einsum("...gc,cgf->...gf", parted[seen], weights[place])
        dx[seen] += np.einsum("...gf,cgf->...gc", deltas, weights[place])
        rows = (-1, groups)
        dweight[place] = np.einsum(
            "ngc,ngf->cgf", parted[seen].reshape(*rows, parted.shape[-1]), deltas.reshape(*rows, deltas.shape[-1])
        )
    inside = (slice(None), *(slice(low, low + n) for (low, _), n in zip(window.padding, window.lengths, strict=True)))
    y = y.reshape(dy.shape) + sum(arrays_of(epilogue))
    y = np.maximum(y, 0) if epilogue.relu else y
    return y, dx[inside].reshape(x.shape), dweight.reshape(weight.shape)


def test_the_three_products_are_the_sums_that_define_them(cases):
    for seed in cases:
        window, groups, *arrays = drawn(seed)
        epilogue = drawn_behind(seed, arrays[-1].shape)
        run = jax.jit(lambda *a, w=window, g=groups, b=epilogue: products(w, g, b, *a))
        found, expected = run(*arrays, *arrays_of(epilogue)), defined(window, groups, epilogue, *arrays)
        for name, one, exact in zip(("y", "dx", "dweight"), found, expected, strict=True):
            error = error_by_norm(one, exact)
            assert error <= CLOSE, (seed, name, error, window, groups, arrays_of(epilogue), epilogue.relu)


def test_kernels_are_what_runs(every_shape):
    window, groups, *arrays = drawn(0)
    text = jax.jit(lambda *a: products(window, groups, NOTHING, *a)).lower(*arrays).as_text()
    assert all(f"retrograd_{name}" in text for name in ("convolve", "data_gradient", "weight_gradient"))
    assert "stablehlo.convolution" not in text
    epilogue = Epilogue(*everything_after(0, arrays[-1].shape), relu=True)
    run = jax.jit(lambda x, w, *rest: layer.convolve(x, w, window, groups, epilogue.of(rest)))
    text = run.lower(*arrays[:2], *arrays_of(epilogue)).as_text()
    assert "retrograd_convolve" in text
    assert not any(f"stablehlo.{name}" in text for name in ("convolution", "add", "maximum"))
    with kernels(False):
        text = jax.jit(lambda *a: products(window, groups, NOTHING, *a)).lower(*arrays).as_text()
    assert "retrograd_" not in text


@pytest.mark.parametrize(("seed", "bad"), [(0, np.nan), (1, np.inf), (2, -np.inf), (3, np.nan), (5, np.inf)])
def test_nan_and_infinity_go_through_as_in_the_formula(seed, bad):
    window, _, x, weight, dy = drawn(1000 + seed)
    weight = weight[..., :1, :].repeat(x.shape[-1], -2)  # one group
    rng = np.random.default_rng(seed)
    for array in (x, dy):
        array[tuple(rng.integers(0, array.shape))] = bad
    found = jax.jit(lambda *a: products(window, 1, NOTHING, *a))(x, weight, dy)
    expected = jax.jit(lambda *a: direct(window, *a))(x, weight, dy)
    for one, other in zip(found, expected, strict=True):
        same_where_not_finite(np.asarray(one), np.asarray(other))


def same_where_not_finite(one, other):
    np.testing.assert_array_equal(np.isnan(one), np.isnan(other))
    np.testing.assert_array_equal(one[np.isinf(one)], other[np.isinf(one)])
    np.testing.assert_array_equal(np.isinf(one), np.isinf(other))


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("seed", [0, 1, 2])  # by fewer products (where all is finite), read in place, and from a band
def test_what_follows_the_sums_gives_the_same_bits_at_the_store_as_after_it(seed, bad):
    window, groups, x, weight, dy = drawn(seed)
    bias, residual = everything_after(seed, dy.shape, bad)
    x[tuple(np.random.default_rng(seed).integers(0, x.shape))] += bad
    for relu in (True, False):

        def fused(x, weight, bias, residual, relu=relu):
            return layer.convolve(x, weight, window, groups, Epilogue(bias, residual, relu))

        sums = jax.jit(lambda x, weight: layer.convolve(x, weight, window, groups))(x, weight)
        with np.errstate(invalid="ignore"):  # infinity and its opposite
            expected = np.asarray(sums) + bias + residual
        expected = np.asarray(ReLU().forward({}, {}, None, expected).y) if relu else expected
        found = np.asarray(jax.jit(fused)(x, weight, bias, residual))
        np.testing.assert_array_equal(found, expected)
        numbers = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(found[numbers]), np.signbit(expected[numbers]))


def test_sums_that_only_fewer_products_would_have_do_not_overflow():
    window, groups, x, weight, dy = drawn(0)
    x[0, 0, :2] = 3e38
    weight, dy = weight / 100, dy / 100
    found = jax.jit(lambda *a: products(window, groups, NOTHING, *a))(x, weight, dy)
    expected = jax.jit(lambda *a: direct(window, *a))(x, weight, dy)
    for one, other in zip(found, expected, strict=True):
        assert np.isfinite(other).all()
        assert np.isfinite(one).all()


def direct(window, x, weight, dy):
    """The sums by XLA, entry by entry."""

    def y(x, weight):
        return sum(seen @ weight[place] for seen, place in zip(views(x, window), window.places, strict=True))

    found, back = jax.vjp(y, x, weight)
    return found, *back(dy)


def test_what_kernels_cannot_take_goes_to_the_formula():
    window, groups, x, weight, dy = drawn(3)
    with jax.enable_x64(True):
        wide = [a.astype(np.float64) for a in (x, weight, dy)]
        assert "retrograd_" not in jax.jit(lambda *a: products(window, groups, NOTHING, *a)).lower(*wide).as_text()
    empty = [x[:0], weight, dy[:0]]
    text = jax.jit(lambda x, w: layer.convolve(x, w, window, groups)).lower(*empty[:2]).as_text()
    assert "retrograd_" not in text
    half = [a.astype(jnp.bfloat16) for a in (x, weight, dy)]
    assert "retrograd_" not in jax.jit(lambda x, w: layer.convolve(x, w, window, groups)).lower(*half[:2]).as_text()


def test_the_same_bits_from_run_to_run():
    window, groups, *arrays = drawn(5)
    step = jax.jit(lambda *a: products(window, groups, NOTHING, *a))
    first = [np.asarray(a).tobytes() for a in step(*arrays)]
    assert all([np.asarray(a).tobytes() for a in step(*arrays)] == first for _ in range(5))


def test_where_no_kernel_is_faster_none_is_chosen(monkeypatch):
    monkeypatch.undo()
    pointwise = place_window((8, 8), 1, 1, 1)
    assert native.faster(native.FORWARD, pointwise, 1, 16, 16)
    assert not native.faster(native.FORWARD, pointwise, 1, 16, 8)
    assert native.faster(native.BY_DATA, pointwise, 1, 16, 16)
    assert not native.faster(native.BY_DATA, place_window((8, 8), 1, 2, 1), 1, 16, 16)
    assert native.faster(native.BY_WEIGHTS, pointwise, 1, 16, 16)
    window = place_window((8, 8), 3, 1, 1, "same")
    assert native.faster(native.FORWARD, window, 1, 3, 16)
    assert not native.faster(native.BY_DATA, window, 1, 3, 16)
