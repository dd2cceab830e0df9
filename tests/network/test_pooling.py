"""Pooling and enlarging: small windows by hand, what is padded, what ties."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.base.errors import ShapeError
from retrograd.network.layer import Context
from retrograd.network.layers import (
    AdaptiveAveragePool,
    AveragePool,
    GlobalAveragePool,
    GlobalMaxPool,
    MaxPool,
    Upsample,
)


def run(layer, x, dy=None):
    """Return y and dx of a sequence with one channel."""
    step = layer.forward({}, {}, Context(), jnp.asarray(x, jnp.float32).reshape(1, -1, 1))
    back = layer.backward({}, step.tape, step.y if dy is None else jnp.asarray(dy, jnp.float32).reshape(step.y.shape))
    return np.ravel(step.y).tolist(), np.ravel(back.inputs[0]).tolist()


def test_max_pool_gives_the_delta_to_the_first_of_equal_values():
    assert run(MaxPool(3), [2, 5, 5, 1, 1, 1], [10, 20]) == ([5, 1], [0, 10, 0, 20, 0, 0])


def test_values_that_no_window_sees_get_no_delta():
    assert run(MaxPool(2), [1, 2, 9]) == ([2], [0, 2, 0])
    assert run(AveragePool(2), [1, 3, 9]) == ([2], [1, 1, 0])


def test_overlapping_windows_add_up_their_deltas():
    assert run(MaxPool(2, stride=1), [1, 5, 2], [1, 1]) == ([5, 5], [0, 2, 0])


def test_padding_never_wins_even_over_negative_values():
    assert run(MaxPool(3, stride=1, padding=1), [-3, -2, -9])[0] == [-2, -2, -2]


def test_padding_counts_by_default_and_overhang_never_counts():
    x = [3.0, 3.0, 3.0]
    assert run(AveragePool(2, padding=1), x)[0] == [1.5, 3]
    assert run(AveragePool(2, padding=1, count_padding=False), x)[0] == [3, 3]
    assert run(AveragePool(2, ceil=True), x)[0] == [3, 3]


def test_a_missing_number_in_a_window_is_passed_on():
    assert np.isnan(run(MaxPool(2), [1, np.nan, 2, 3])[0]).tolist() == [True, False]


def test_global_pools_leave_one_value_a_channel():
    assert run(GlobalMaxPool(), [1, 4, 4], [2]) == ([4], [0, 2, 0])
    assert run(GlobalAveragePool(), [1, 4, 4], [3]) == ([3], [1, 1, 1])
    with pytest.raises(ShapeError, match=r"expected \(batch, length, channels\) or \(batch, height, width, channels\)"):
        GlobalMaxPool().forward({}, {}, Context(), jnp.ones((2, 3)))


def test_adaptive_pool_shares_a_value_between_regions_that_do_not_divide():
    assert run(AdaptiveAveragePool(2), [2, 4, 6], [2, 4]) == ([3, 5], [1, 3, 2])
    assert run(AdaptiveAveragePool(3), [1], [1, 1, 1]) == ([1, 1, 1], [3])


def test_upsampling_repeats_or_draws_straight_lines():
    assert run(Upsample(2), [1, 3], [1, 2, 3, 4]) == ([1, 1, 3, 3], [3, 7])
    assert run(Upsample(2, "bilinear"), [0, 4], [1, 0, 0, 0]) == ([0, 1, 3, 4], [1, 0])


@pytest.mark.parametrize("method", ["nearest", "bilinear"])
def test_upsampling_agrees_with_resizing(method):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 4, 2)), jnp.float32)
    y = Upsample((2, 3), method).forward({}, {}, Context(), x).y
    np.testing.assert_allclose(y, jax.image.resize(x, (2, 6, 12, 2), method), rtol=1e-5, atol=1e-6)  # float32
