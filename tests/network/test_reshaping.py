"""Flatten and reshape: the batch stays, values keep their order."""

import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.base.errors import ConfigError, ShapeError
from retrograd.network.layer import Context
from retrograd.network.layers import Flatten, Reshape


def forward(layer, shape):
    x = jnp.arange(np.prod(shape), dtype=jnp.float32).reshape(shape)
    return x, layer.forward({}, {}, Context(), x).y


@pytest.mark.parametrize(
    ("shape", "expected"), [((2, 3, 4), (2, 12)), ((3,), (3, 1)), ((0, 2, 2), (0, 4)), ((2, 5), (2, 5))]
)
def test_flatten_keeps_the_batch_even_an_empty_one(shape, expected):
    assert forward(Flatten(), shape)[1].shape == expected


@pytest.mark.parametrize(
    ("shape", "given", "expected"),
    [((3, 4), (2, 6), (2, 3, 4)), ((-1, 2), (1, 3, 2), (1, 3, 2)), ((-1,), (0, 4), (0, 4)), ((), (5, 1), (5,))],
)
def test_reshape_fills_in_the_one_open_length(shape, given, expected):
    x, y = forward(
        Reshape(shape),
        tuple(given) if len(given) > 2 else (given[0], int(np.prod(shape)) if -1 not in shape else given[1]),
    )
    assert y.shape == expected
    np.testing.assert_array_equal(np.ravel(x), np.ravel(y))


def test_reshape_names_the_sizes_that_do_not_fit():
    with pytest.raises(
        ShapeError, match=r"shape: \[4, -1\] takes a multiple of 4 values per example, but the input has 6 \(2 x 3\)"
    ):
        forward(Reshape((4, -1)), (5, 2, 3))


@pytest.mark.parametrize("shape", [(-1, -1), (0, 2), (-2,), "3x3"])
def test_reshape_refuses_impossible_lengths(shape):
    with pytest.raises(ConfigError, match="reshape"):
        Reshape(shape)
