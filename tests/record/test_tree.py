from __future__ import annotations

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from retrograd.base.errors import UsageError
from retrograd.record.tree import digest, flatten, nonfinite, unflatten

TREE = {"block_1/dense": {"weight": np.ones((2, 3), np.float32), "bias": np.zeros(3, np.float32)}}


def test_paths_lead_back_to_the_tree():
    assert list(flatten(TREE)) == ["block_1/dense/weight", "block_1/dense/bias"]
    assert unflatten(flatten(TREE).items()).keys() == TREE.keys()


@pytest.mark.parametrize(
    ("node", "name"), [("dense", "a/b"), ("", "weight"), ("dense", ""), ("a//b", "w"), ("a\n", "w")]
)
def test_a_path_that_could_not_be_taken_apart_is_refused(node, name):
    with pytest.raises(UsageError, match="not a valid path of an array"):
        flatten({node: {name: np.zeros(1)}})


def test_digest_does_not_depend_on_order_or_on_whose_array_it_is():
    other = {"block_1/dense": {"bias": jnp.zeros(3), "weight": np.asfortranarray(np.ones((2, 3), ">f4"))}}
    assert digest(other) == digest(TREE)
    assert len(digest(TREE)) == 64


@pytest.mark.parametrize(
    "changed",
    [
        {"d": {"w": np.array([0.0, -0.0], np.float32)}},
        {"d": {"w": np.array([[0.0, 0.0]], np.float32)}},
        {"d": {"w": np.zeros(2, np.int32)}},
        {"d": {"w": np.array([0.0, 1e-45], np.float32)}},
        {"d": {"v": np.zeros(2, np.float32)}},
        {"e": {"w": np.zeros(2, np.float32)}},
        {},
    ],
)
def test_the_digest_changes_with_every_difference(changed):
    assert digest(changed) != digest({"d": {"w": np.zeros(2, np.float32)}})


def test_arrays_that_are_not_finite_are_named():
    tree = {
        "dense_1": {"weight": np.array([1, np.nan], np.float32), "bias": np.zeros(2)},
        "norm": {"mean": np.array([np.inf], ml_dtypes.bfloat16), "count": np.array(3)},
    }
    assert nonfinite(tree) == ["dense_1/weight", "norm/mean"]
    assert nonfinite(TREE) == []
