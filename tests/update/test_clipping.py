"""Clipping by value, by each tensor's norm, and by the norm of all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.update.clipping import clip

GRADS = {"dense": {"weight": jnp.asarray([[3.0, -4.0]]), "bias": jnp.asarray([0.6, 0.8])}}  # norms 5 and 1


def clipped(value=None, norm=None, global_norm=None, grads=GRADS):
    rule = clip(value, norm, global_norm)
    return rule.update(grads, rule.init(grads))[0]["dense"]


def test_value_cuts_each_number():
    found = clipped(value=0.7)
    np.testing.assert_allclose(found["weight"], [[0.7, -0.7]])
    np.testing.assert_allclose(found["bias"], [0.6, 0.7])


def test_norm_scales_each_tensor_that_is_too_large():
    found = clipped(norm=2.5)
    np.testing.assert_allclose(found["weight"], [[1.5, -2.0]])
    np.testing.assert_array_equal(found["bias"], GRADS["dense"]["bias"])


def test_global_norm_scales_all_alike():
    found = clipped(global_norm=1.0)
    np.testing.assert_allclose(found["weight"], np.asarray([[3.0, -4.0]]) / np.sqrt(26), rtol=1e-6)
    np.testing.assert_allclose(found["bias"], np.asarray([0.6, 0.8]) / np.sqrt(26), rtol=1e-6)


def test_value_comes_first_and_global_norm_last():
    found = clipped(value=1.0, norm=1.0, global_norm=1.0)
    np.testing.assert_allclose(found["weight"], [[0.5, -0.5]], rtol=1e-6)
    np.testing.assert_allclose(found["bias"], np.asarray([0.6, 0.8]) / np.sqrt(2), rtol=1e-6)


def test_small_gradients_pass_bit_for_bit():
    for leaf, original in zip(*map(jax.tree.leaves, (clipped(9, 9, 9), GRADS["dense"])), strict=True):
        np.testing.assert_array_equal(leaf, original)


def test_zero_gradients_stay_zero():
    zeros = jax.tree.map(jnp.zeros_like, GRADS)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(clipped(1, 1, 1, zeros)))


@pytest.mark.parametrize("limits", [(1.0, None, None), (None, 1.0, None), (None, None, 1.0)])
def test_nan_is_not_hidden(limits):
    bad = {"dense": {"weight": jnp.asarray([[jnp.nan, 1.0]]), "bias": jnp.ones(2)}}
    assert jnp.isnan(clipped(*limits, bad)["weight"]).any()
