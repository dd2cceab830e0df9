"""Keys fold by name: the same everywhere, different for every path."""

import itertools
import subprocess
import sys

import jax
import numpy as np

from retrograd.base.keys import fold_path

KEY = jax.random.key(0)


def data(path):
    return tuple(np.asarray(jax.random.key_data(fold_path(KEY, path))).tolist())


def test_every_path_has_a_key_of_its_own():
    segments = ["dense_1", "dense_2", "block", "weight"]
    paths = ["/".join(parts) for n in (1, 2) for parts in itertools.permutations(segments, n)]
    assert len({data(path) for path in paths}) == len(paths)


def test_a_path_is_folded_segment_by_segment():
    assert data("block/dense") == tuple(
        np.asarray(jax.random.key_data(fold_path(fold_path(KEY, "block"), "dense"))).tolist()
    )


def test_another_process_folds_to_the_same_key():
    program = "import jax; from retrograd.base.keys import fold_path; print(tuple(jax.random.key_data(fold_path(jax.random.key(0), 'block/dense')).tolist()))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert found.strip() == str(data("block/dense"))
