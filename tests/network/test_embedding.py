"""Embedding: looking up, scattering back, padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.base.errors import ConfigError, DataTypeError, ShapeError
from retrograd.network.layer import Context, Spec
from retrograd.network.layers import Dense, Embedding, Flatten
from retrograd.network.network import Network

IDS = Spec((2, 3), jnp.int32)


def test_first_values_are_standard_normal_and_the_padding_row_is_zero():
    weight = np.asarray(Embedding(50, vocabulary=400, padding=7).init(jax.random.key(0), IDS).params["weight"])
    assert weight.dtype == np.float32
    assert not weight[7].any()
    others = np.delete(weight, 7, axis=0)
    assert abs(others.mean()) < 0.03  # 4 standard errors
    assert abs(others.std() - 1) < 0.02


def test_gradient_counts_each_use_of_an_identifier():
    layer = Embedding(2, vocabulary=4)
    params = {"weight": jnp.ones((4, 2))}
    ids = jnp.array([[0, 1, 1], [1, 3, 0]], jnp.uint8)
    tape = layer.forward(params, {}, Context(), ids).tape
    back = layer.backward(params, tape, jnp.ones((2, 3, 2)))
    np.testing.assert_array_equal(back.grads["weight"], [[2, 2], [3, 3], [0, 0], [1, 1]])
    assert back.inputs == (None,)


def test_the_size_of_the_vocabulary_is_filled_from_the_data():
    network = Network(Embedding(3, "words"), Flatten(), Dense(2))
    with pytest.raises(ShapeError, match=r"embedding_1 \(embedding\): vocabulary: .*'words'"):
        network.init(jax.random.key(0), {"x": IDS})
    params = network.fill({"words": 11}).init(jax.random.key(0), {"x": IDS}).params
    assert params["embedding_1"]["weight"].shape == (11, 3)


def test_numbers_with_fractions_are_no_identifiers():
    with pytest.raises(DataTypeError, match="expected integers, got float32"):
        Embedding(2, vocabulary=4).forward({"weight": jnp.ones((4, 2))}, {}, Context(), jnp.ones((2, 3)))


def test_a_padding_row_outside_the_vocabulary_is_refused():
    with pytest.raises(ConfigError, match=r"embedding\.padding: expected a row of the vocabulary of 4, found 4"):
        Embedding(2, vocabulary=4, padding=4)
