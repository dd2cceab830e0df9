"""How close two float32 computations of the same sums must be.

A sum of n products, added in any order, is off by about sqrt(n) units of round-off (6e-8) of the *size of its terms*,
not of its own value: where terms cancel, an element near 0 differs by as much as a large one does. So errors are
compared by norm, against the norm of the whole array.
"""

from typing import Any

import jax
import numpy as np

CLOSE = 2e-5  # relative error by norm: 5,000 products give 4e-6, Winograd's transforms multiply it by up to 4


def error_by_norm(one: Any, other: Any, least: float = 0.0) -> float:
    """Return |one - other| / |other| in float64; `least` is a lower bound of the denominator, for sums that cancel."""
    exact = np.asarray(other, np.float64)
    assert np.shape(one) == exact.shape
    return float(np.linalg.norm(np.asarray(one, np.float64) - exact) / (max(np.linalg.norm(exact), least) or 1.0))


def assert_same_sums(one: Any, other: Any, close: float = CLOSE, least: float = 0.0) -> None:
    """Compare two trees of arrays leaf by leaf."""
    pairs = zip(jax.tree_util.tree_leaves_with_path(one), jax.tree.leaves(other), strict=True)
    for (path, a), b in pairs:
        error = error_by_norm(a, b, least)
        assert error <= close, f"{jax.tree_util.keystr(path)}: relative error {error:.2g}, bound {close:.2g}"
