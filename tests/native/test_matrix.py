"""The product of transposed matrices against the same in float64, at random shapes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.native import matrix as native
from retrograd.native.library import kernels
from tests.closeness import CLOSE, error_by_norm

pytestmark = pytest.mark.usefixtures("variant")


def drawn(seed):
    rng = np.random.default_rng(seed)
    rows, left, right = (int(rng.integers(1, most)) for most in (700, 80, 100))
    return [rng.normal(size=(rows, columns)).astype(np.float32) for columns in (left, right)]


def product(x, dy):
    return native.transposed_product(x, dy, jnp.float32)


def test_it_is_the_sum_over_rows(cases, monkeypatch):
    monkeypatch.setattr(native, "faster", lambda *_: True)
    for seed in cases:
        x, dy = drawn(seed)
        found, exact = jax.jit(lambda *a: product(*a))(x, dy), x.astype(np.float64).T @ dy
        assert error_by_norm(found, exact) <= CLOSE, (seed, x.shape, dy.shape)


def test_it_runs_for_many_rows_of_moderate_width_alone():
    for (rows, left, right), wanted in {(1024, 64, 32): True, (64, 64, 32): False, (1024, 8, 32): False}.items():
        x, dy = np.ones((rows // 4, 4, left), np.float32), np.ones((rows // 4, 4, right), np.float32)
        text = jax.jit(lambda *a: product(*a)).lower(x, dy).as_text()
        assert ("retrograd_transposed_product" in text) == wanted


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_stay_in_their_row_and_column(bad):
    x, dy = np.ones((600, 20), np.float32), np.ones((600, 40), np.float32)
    x[5, 3], dy[599, 39] = bad, bad
    found = jax.jit(lambda *a: product(*a))(x, dy)
    with kernels(False):
        np.testing.assert_array_equal(found, jax.jit(lambda *a: product(*a))(x, dy))
