"""Keys fold by name: the same everywhere, different for every path."""

import itertools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.base.keys import fold_path, fold_paths, random_bits

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


# ------------------------------------------------------------------------------------------------------- random bits

SIGMAS = 5  # of a statistic that is nearly Gaussian: one false alarm in two million
MASK = random_bits(jax.random.fold_in(KEY, 1), (1024, 512))


def nibbles(bits, shift):
    return np.asarray(bits >> np.uint32(shift)).astype(np.int64) & 15


def expect_uniform(cells, count):
    """Chi-square: as many in each cell as chance would have it."""
    found = np.bincount(np.ravel(cells), minlength=count)
    expected = found.sum() / count
    chi_square = ((found - expected) ** 2 / expected).sum()
    assert abs(chi_square - (count - 1)) < SIGMAS * np.sqrt(2 * (count - 1))


def expect_independent(one, other):
    """Chi-square of pairs: of the four bits that a threshold looks at first, and of the last four."""
    for shift in (28, 0):
        expect_uniform(16 * nibbles(one, shift) + nibbles(other, shift), 256)


def test_random_bits_are_uniform():
    for shift in (24, 12, 0):
        expect_uniform(np.asarray(MASK >> shift) & 255, 256)


def test_each_bit_is_one_half_the_time():
    ones = np.unpackbits(np.asarray(MASK).view(np.uint8).reshape(-1, 4), axis=1).mean(0)
    assert np.abs(ones - 0.5).max() < SIGMAS * 0.5 / np.sqrt(MASK.size)


def test_neighbouring_places_are_independent():
    expect_independent(MASK[:, ::2], MASK[:, 1::2])
    expect_independent(MASK[::2], MASK[1::2])


@pytest.mark.parametrize("other", [jax.random.fold_in(KEY, 2), fold_path(jax.random.fold_in(KEY, 1), "dropout_2"), KEY])
def test_other_steps_and_layers_are_independent(other):
    expect_independent(MASK, random_bits(other, MASK.shape))


def test_one_place_is_uniform_and_independent_from_step_to_step():
    steps = jax.vmap(jax.random.fold_in, (None, 0))(KEY, jnp.arange(2**15))
    place = np.asarray(jax.jit(jax.vmap(lambda key: random_bits(key, (3,))))(steps))[:, 2]
    expect_uniform(place >> 24, 256)
    expect_independent(place[::2], place[1::2])


def test_each_bit_of_a_key_changes_each_random_bit_half_the_time():
    words = jax.random.key_data(fold_path(KEY, "dropout_1"))
    flips = np.zeros((64, 2), np.uint32)
    flips[np.arange(64), np.arange(64) // 32] = 1 << (np.arange(64, dtype=np.uint32) % 32)
    draw = jax.jit(jax.vmap(lambda words: random_bits(jax.random.wrap_key_data(words), (2**13,))))
    changed = np.asarray(draw(words ^ flips)) ^ np.asarray(draw(words[None]))
    rates = np.unpackbits(changed.view(np.uint8).reshape(64, -1, 4), axis=2).mean(1)
    assert np.abs(rates - 0.5).max() < 0.04  # 2048 rates of 8192 draws: five standard errors are 0.028


def test_random_bits_are_the_same_under_x64():
    with jax.enable_x64(True):
        np.testing.assert_array_equal(MASK, random_bits(jax.random.fold_in(KEY, 1), MASK.shape))


def test_random_bits_depend_on_the_place_not_on_the_shape():
    np.testing.assert_array_equal(np.ravel(MASK), random_bits(jax.random.fold_in(KEY, 1), (MASK.size,)))


@pytest.mark.parametrize("implementation", ["threefry2x32", "rbg"])
def test_keys_of_several_paths_draw_what_each_path_alone_draws(implementation):
    key = jax.random.key(2**32 - 1, impl=implementation)
    paths = ["dense_1", "block/dense", "block/inner/dense", "dense_1"]
    for drawn, path in zip(fold_paths(key, paths), paths, strict=True):
        alone = fold_path(key, path)
        for draw in (jax.random.normal, jax.random.bits):
            assert np.array_equal(draw(drawn, (3, 2)), draw(alone, (3, 2)))
        halves = (jax.random.uniform(jax.random.split(each)[1], (2,)) for each in (drawn, alone))
        assert np.array_equal(*halves)
