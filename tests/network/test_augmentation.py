"""Layers that change rows at random: what they do to values, their seeds, and mixing as a part of the step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

import retrograd as rg
from retrograd.network.layer import Context
from retrograd.network.layers.augmentation.resampling import read, reading, rotation
from retrograd.propagation.objective import Objective
from retrograd.update.mixing import Mixing

IMAGES = np.random.default_rng(0).normal(size=(6, 5, 5, 2)).astype(np.float32)


def run(layer, x=IMAGES, key=0, train=True, step=None):
    ctx = Context(train, jax.random.key(key), "here", None if step is None else jnp.int32(step))
    return np.asarray(layer.forward({}, {}, ctx, jnp.asarray(x)).y)


IMAGE_LAYERS = (
    rg.ColorJitter(),
    rg.Cutout(2),
    rg.RandomCrop(2),
    rg.RandomFlip(),
    rg.RandomRotation(30),
    rg.RandomScaling(0.4),
)


@pytest.mark.parametrize("layer", IMAGE_LAYERS, ids=lambda layer: layer.kind)
def test_rows_pass_unchanged_when_not_training(layer):
    np.testing.assert_array_equal(run(layer, train=False), IMAGES)
    assert (run(layer) != IMAGES).any()


def test_a_seed_of_its_own_makes_a_layer_independent_of_the_runs_but_not_of_the_step():
    own, of_run = rg.RandomFlip(seed=3), rg.RandomFlip()
    np.testing.assert_array_equal(run(own, key=0), run(own, key=1))
    assert (run(of_run, key=0) != run(of_run, key=1)).any()
    assert any((run(own, step=1) != run(own, step=step)).any() for step in (2, 3))


def test_a_crop_moves_each_image_by_whole_pixels_and_fills_with_zeros():
    y = run(rg.RandomCrop(1))
    wide = np.pad(IMAGES, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for image, around in zip(y, wide, strict=True):
        crops = [around[i : i + 5, j : j + 5] for i in range(3) for j in range(3)]
        assert any((image == crop).all() for crop in crops)


def test_a_turn_is_that_of_scipy():
    angle = 0.4
    by = reading(jnp.asarray(IMAGES), rotation(jnp.full(len(IMAGES), angle, jnp.float32)))
    turned = ndimage.affine_transform(
        IMAGES[0, :, :, 0],
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]],
        offset=2 - np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ [2, 2],
        order=1,
        mode="grid-constant",
    )
    np.testing.assert_allclose(read(jnp.asarray(IMAGES), by)[0, :, :, 0], turned, atol=1e-5)  # float32


def test_jitter_without_colour_keeps_the_mean_or_the_deviation():
    bright = run(rg.ColorJitter(0.5, 0, 0))
    np.testing.assert_allclose(bright.std((1, 2, 3)), IMAGES.std((1, 2, 3)), rtol=1e-5)
    contrast = run(rg.ColorJitter(0, 0.5, 0))
    np.testing.assert_allclose(contrast.mean((1, 2, 3)), IMAGES.mean((1, 2, 3)), atol=1e-6)
    assert np.std(contrast.std((1, 2, 3)) / IMAGES.std((1, 2, 3))) > 0.05


def test_cutout_hides_a_square_and_nothing_else():
    y = run(rg.Cutout(3))
    hidden = (y == 0).all(-1)
    assert ((hidden.sum((1, 2)) >= 1) & (hidden.sum((1, 2)) <= 9)).all()
    np.testing.assert_array_equal(y[~hidden], IMAGES[~hidden])


def test_a_shift_in_time_fills_with_zeros():
    x = np.arange(1, 25, dtype=np.float32).reshape(2, 4, 3)
    y = run(rg.TimeShift(2), np.repeat(x, 8, 0))
    assert {int((row == 0).all(-1).sum()) for row in y} <= {0, 1, 2}
    assert len({row.tobytes() for row in y}) > 2


def test_dropped_tokens_are_unknown_and_padding_stays():
    x = np.array([[5, 6, 7, 0, 0]] * 40, np.int32)
    y = run(rg.TokenDropout(0.5), x)
    assert set(y[:, 3:].ravel()) == {0}
    assert 0.3 < (y[:, :3] == 1).mean() < 0.7


def test_images_are_asked_for_in_words():
    with pytest.raises(rg.ShapeError, match="expected images"):
        run(rg.RandomFlip(), np.zeros((2, 3), np.float32))
    with pytest.raises(TypeError, match="expected identifiers"):
        run(rg.TokenDropout(), np.zeros((2, 3), np.float32))


# ----------------------------------------------------------------------------------------------------- mixup and cutmix


@pytest.fixture(scope="module")
def network():
    return rg.Network(rg.Flatten(), rg.Dense(3))


def mixed(network, mixing, batch, key=0):
    objective = Objective.on(network, rg.CrossEntropy(), network.output, ("y",))
    found = mixing(batch, jax.random.key(key), network.fill({}), [objective])
    return {name: np.asarray(column) for name, column in found.items()}


BATCH = {"x": jnp.asarray(IMAGES), "y": jnp.arange(6, dtype=jnp.int32) % 3}


def test_mixup_blends_rows_and_targets_in_one_proportion(network):
    found = mixed(network, Mixing(mixup=1.0), BATCH)
    hot = np.eye(3)[np.arange(6) % 3]
    # both are one linear map of the rows: the same matrix, solved from the images, gives the targets
    matrix = np.linalg.lstsq(IMAGES.reshape(6, -1).T, found["x"].reshape(6, -1).T, rcond=None)[0].T
    np.testing.assert_allclose(found["y"], matrix @ hot, atol=1e-4)
    np.testing.assert_allclose(found["y"].sum(1), 1, atol=1e-6)


def test_cutmix_pastes_a_rectangle_and_counts_its_pixels(network):
    found = mixed(network, Mixing(cutmix=1.0), BATCH, key=3)
    own = (found["x"] == IMAGES).all(-1).mean((1, 2))
    hot = np.eye(3)[np.arange(6) % 3]
    moved = ~np.isclose(own, 1)
    assert moved.any()
    share = own[moved][0]
    assert 0 < share < 1
    assert {round(float(v), 4) for v in found["y"][moved].ravel()} <= {0, 1, round(share, 4), round(1 - share, 4)}
    assert (found["y"] * hot).sum(1).min() >= share - 1e-6


def test_what_cannot_be_mixed_is_refused_in_words(network):
    with pytest.raises(rg.ConfigError, match="no input x of real numbers"):
        mixed(network, Mixing(mixup=1.0), {**BATCH, "x": BATCH["y"]})
    with pytest.raises(rg.ConfigError, match="cutmix needs images"):
        mixed(network, Mixing(cutmix=1.0), {**BATCH, "x": BATCH["x"][:, 0, 0]})


def test_a_run_with_mixing_and_augmentation_trains_the_same_twice(tmp_path):
    x = np.abs(IMAGES).repeat(4, 0)
    settings = {"epochs": 3, "batch_size": 8, "mixup": 0.4, "root": tmp_path, "progress": False}
    network = [{"random_crop": 1}, "flatten", {"dense": "classes"}]
    runs = [rg.fit(x, np.arange(24) % 3, network=network, **settings) for _ in range(2)]
    assert [epoch.loss for epoch in runs[0].history] == [epoch.loss for epoch in runs[1].history]
    assert runs[0].model.config.training.mixup == 0.4
