"""Dice, focal, triplet, contrastive, InfoNCE and divergence: closed forms, masks, and how a configuration names them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import retrograd as rg
from retrograd.base.errors import ConfigError, DataError, LabelError, ShapeError
from retrograd.base.schema import parse
from retrograd.network.layer import Context, Spec
from retrograd.network.losses import (
    CTC,
    NLL,
    BinaryCrossEntropy,
    CategoricalFocal,
    Contrastive,
    CrossEntropy,
    Dice,
    Focal,
    InfoNCE,
    KLDivergence,
    MeanSquaredError,
    MultiMargin,
    Triplet,
    losses,
)
from retrograd.propagation.objective import Objective
from retrograd.propagation.one_layer import adjoint, run_layer
from retrograd.training.config.config import plain_config
from retrograd.training.use.link import link_of
from retrograd.training.use.ranges import check_targets
from tests.network.test_losses import compiled, run

REGIONS = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])[..., None]  # two "images" of four places


def deltas(loss, *inputs):
    """Return the deltas of all inputs, in float64."""

    def both(*inputs):
        step = run_layer(loss, {}, {}, Context(), inputs)
        return adjoint(loss, {}, step.tape, jnp.ones_like(step.y)).inputs

    with jax.enable_x64(True):
        return jax.device_get(jax.jit(both)(*inputs))


@pytest.fixture
def rng():
    return np.random.default_rng(11)


# ------------------------------------------------------------------------------------------------------------ masks


def test_a_mask_leaves_steps_out_of_sum_and_count_and_a_weight_only_weighs(rng):
    y, labels = rng.normal(size=(2, 3, 4)), rng.integers(0, 4, (2, 3))
    mask = np.array([[True, True, False], [True, False, False]])
    kept = [run(CrossEntropy(), y[i, :n], labels[i, :n]) for i, n in ((0, 2), (1, 1))]
    value, delta = run(CrossEntropy(), y, labels, mask)
    assert value == pytest.approx((2 * kept[0][0] + kept[1][0]) / 3, rel=1e-12)
    np.testing.assert_allclose(delta[0, :2], kept[0][1] * 2 / 3, rtol=1e-12)
    assert not delta[~mask].any()
    assert run(CrossEntropy(), y, labels, mask.astype(float))[0] == pytest.approx(value * 3 / 6, rel=1e-12)
    ignored = np.where(mask, labels, -1)
    assert run(CrossEntropy(ignored=-1), y, ignored)[0] == pytest.approx(value, rel=1e-12)


def test_mask_and_sample_weight_combine_and_masked_nan_is_ignored(rng):
    y, t = rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
    weight = np.array([1.0, 2.0, 5.0])
    y[2] = np.nan
    value, delta = run(MeanSquaredError(), y, t, np.array([True, True, False]), weight)
    assert value == pytest.approx(np.sum(weight[:2, None] * (y - t)[:2] ** 2) / 4, rel=1e-12)
    assert np.isfinite(delta).all()


def test_a_mask_that_leaves_nothing_gives_zero(rng):
    value, delta = run(CrossEntropy(), rng.normal(size=(2, 3, 4)), np.zeros((2, 3), int), np.zeros((2, 3), bool))
    assert value == 0
    assert not delta.any()


# ---------------------------------------------------------------------------------------------------- regions, answers


def test_dice_of_regions_counted_by_hand():
    loss = Dice(from_logits=False)
    assert run(loss, REGIONS, REGIONS)[0] == 0.0  # equal regions; nothing predicted where nothing is
    assert run(loss, 1 - REGIONS, REGIONS)[0] == pytest.approx((1 - 1 / 5 + 1 - 1 / 5) / 2)
    half = np.full_like(REGIONS, 0.5)
    assert run(loss, half, REGIONS)[0] == pytest.approx((1 - 3 / 5 + 1 - 1 / 3) / 2)
    assert run(Dice(0.0, from_logits=False), half, REGIONS)[0] == pytest.approx((1 - 2 / 4 + 1 - 0) / 2)


def test_dice_of_labels_is_dice_of_their_regions_and_of_two_classes_the_mean_over_both(rng):
    y, labels = rng.normal(size=(2, 5, 5, 3)), rng.integers(0, 3, (2, 5, 5))
    assert run(Dice(), y, labels)[0] == pytest.approx(run(Dice(), y, np.eye(3)[labels])[0], rel=1e-12)
    p = np.exp(y) / np.exp(y).sum(-1, keepdims=True)
    each = [run(Dice(from_logits=False), p[..., k : k + 1], (labels == k)[..., None] * 1.0)[0] for k in range(3)]
    assert run(Dice(), y, labels)[0] == pytest.approx(np.mean(each), rel=1e-12)
    assert run(Dice(background=False), y, labels)[0] == pytest.approx(np.mean(each[1:]), rel=1e-12)


def test_dice_does_not_look_at_ignored_places(rng):
    y, labels = rng.normal(size=(2, 6, 3)), rng.integers(0, 3, (2, 6))
    labels[:, 4:] = -1
    value, delta = run(Dice(ignored=-1), y, labels)
    assert value == pytest.approx(run(Dice(), y[:, :4], labels[:, :4])[0], rel=1e-12)
    assert not delta[:, 4:].any()


def test_focal_reads_small_probabilities_to_the_last_digit():
    p = np.float32([[1e-6, 3e-5]])
    terms, _ = Focal(from_logits=False).terms(jnp.asarray(p), jnp.ones((1, 2), jnp.float32))
    np.testing.assert_allclose(terms, -0.25 * (1 - p.astype(float)) ** 2 * np.log(p.astype(float)), rtol=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize("y", [[1e-9, 0.6], [1.4, -0.4], [-0.3, 1.2], [0.3, 0.4]], ids=str)
def test_categorical_focal_has_its_derivative_outside_the_clip_too(y, gamma):
    label, step = np.zeros(5, int), 1e-10  # less than the least y
    nearby = np.array(y) + step * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    value, delta = run(CategoricalFocal(gamma, from_logits=False, reduction="none"), nearby, label)
    expected = (value[1::2] - value[2::2]) / (2 * step)
    np.testing.assert_allclose(delta[0], expected, rtol=1e-4, atol=1e-4)  # 16 digits beside a step of 1e-10


def test_focal_without_gamma_and_alpha_is_binary_cross_entropy_and_by_hand_else(rng):
    y, t = rng.normal(size=(4, 3)) * 30, rng.integers(0, 2, (4, 3)) * 1.0
    for found, expected in zip(run(Focal(0.0, None), y, t), run(BinaryCrossEntropy(), y, t), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    y = np.array([[np.log(3.0), np.log(3.0)]])  # p = 3/4
    expected = -(0.25 * 0.25**2 * np.log(0.75) + 0.75 * 0.75**2 * np.log(0.25)) / 2
    assert run(Focal(), y, np.array([[1.0, 0.0]]))[0] == pytest.approx(expected, rel=1e-12)


def test_divergence_is_cross_entropy_less_the_targets_own_surprise(rng):
    y, q = rng.normal(size=(4, 3)), rng.dirichlet(np.ones(3), 4)
    (value, delta), (whole, same) = run(KLDivergence(), y, q), run(CrossEntropy(), y, q)
    assert value == pytest.approx(whole + np.mean(np.sum(q * np.log(q), -1)), rel=1e-12)
    np.testing.assert_allclose(delta, same, rtol=1e-10)
    assert run(KLDivergence(), np.log(q), q)[0] == pytest.approx(0, abs=1e-15)


# ---------------------------------------------------------------------------------------------------------------- pairs


def test_contrastive_by_hand():
    a, b = np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]), np.array([[3.0, 4.0], [0.3, 0.4], [3.0, 4.0]])
    value, _ = run(Contrastive(), a, b, np.array([1.0, 0.0, 0.0]))
    assert value == pytest.approx((25 / 2 + 0.5**2 / 2 + 0) / 3, rel=1e-5)  # 1e-6 is added to each difference
    da, db, none = deltas(Contrastive(), a, b, np.array([1.0, 0.0, 0.0]))
    np.testing.assert_allclose(da, [[-1, -4 / 3], [0.1, 0.5 * 0.8 / 3], [0, 0]], atol=1e-5)
    np.testing.assert_array_equal(da, -db)
    assert none is None


def test_equal_embeddings_have_finite_deltas(rng):
    a = rng.normal(size=(2, 3))
    for loss, inputs in ((Triplet(), (a, a, a)), (Contrastive(), (a, a, np.zeros(2))), (InfoNCE(), (a, 0 * a))):
        assert all(np.isfinite(delta).all() for delta in deltas(loss, *inputs) if delta is not None)


def test_info_nce_is_the_cross_entropy_of_similarities(rng):
    a, b = rng.normal(size=(2, 4, 3))
    unit = [x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (a, b)]
    scores = unit[0] @ unit[1].T / 0.1
    forth, back = (run(CrossEntropy(), s, np.arange(4))[0] for s in (scores, scores.T))
    assert run(InfoNCE(), a, b)[0] == pytest.approx((forth + back) / 2, rel=1e-12)
    assert run(InfoNCE(symmetric=False), a, b)[0] == pytest.approx(forth, rel=1e-12)
    assert run(InfoNCE(), 7 * a, b)[0] == pytest.approx((forth + back) / 2, rel=1e-12)


@pytest.mark.parametrize(
    ("loss", "shapes", "message"),
    [
        (Dice(), [(2, 3), (2, 3)], "dice compares regions"),
        (Dice(), [(2, 4, 3), (2, 5)], r"expected labels \(2, 4\) or regions"),
        (Triplet(), [(2, 3), (2, 3), (2, 4)], r"embeddings of equal shape .* \(2, 3\), \(2, 3\), \(2, 4\)"),
        (Triplet(), [(2, 3), (2, 3)], "expected 3 inputs to compare"),
        (Contrastive(), [(2, 3), (2, 3), (3,)], r"one label per pair \(2,\), got \(3,\)"),
        (InfoNCE(), [(2, 3), (2, 3), (2,)], "neither mask nor sample weight"),
        (MeanSquaredError(), [(2, 3), (2, 3), (2,), (2,)], "at most one mask"),
    ],
)
def test_shapes_that_do_not_fit_are_named(loss, shapes, message):
    with pytest.raises(ShapeError, match=message):
        jax.eval_shape(compiled(loss), *(Spec(shape, jnp.float32) for shape in shapes))


# -------------------------------------------------------------------------------------------------- in a configuration


TOWERS = {
    "network": [
        {"dense": 2, "name": "anchor", "inputs": "a"},
        {"dense": 2, "name": "positive", "inputs": "p", "share": {"weight": "anchor/weight", "bias": "anchor/bias"}},
        {"dense": 2, "name": "negative", "inputs": "n", "share": {"weight": "anchor/weight", "bias": "anchor/bias"}},
    ],
    "losses": {"anchor": {"loss": {"triplet": {"margin": 2.0}}, "target": ["positive", "negative"]}},
}


def test_a_configuration_names_the_other_inputs_of_a_loss(rng):
    config = parse(rg.RunConfig, TOWERS)
    network, objectives = config.build({}, "unsupervised", ("a", "p", "n"))
    assert objectives[0].inputs == ("anchor", "positive", "negative")
    batch = {name: jnp.asarray(rng.normal(size=(4, 3)), jnp.float32) for name in "apn"}
    first = network.init(jax.random.key(0), batch)
    result = rg.backprop(network, objectives, first.params, first.state, rg.Context(True), batch)
    assert set(result.deltas) >= {"anchor", "positive", "negative"}
    assert np.abs(result.grads["anchor"]["weight"]).max() > 0
    assert np.abs(result.grads["anchor"]["bias"]).max() < 1e-6  # a common shift changes no distance
    again = parse(rg.RunConfig, plain_config(config))
    assert again == config


def test_an_unknown_target_is_named():
    plain = {**TOWERS, "losses": {"anchor": {"loss": "triplet", "target": ["positive", "nobody"]}}}
    with pytest.raises(ConfigError, match="the data has no column 'nobody'"):
        parse(rg.RunConfig, plain).build({}, "unsupervised", ("a", "p", "n"))


@pytest.mark.parametrize(
    ("loss", "units", "target", "message"),
    [
        (Dice(), 3, np.array([[0, 3]]), r"label 3 out of range \[0, 3\)"),
        (CTC(), 3, np.array([[0, -1]]), r"label -1 out of range \[0, 3\)"),
        (CategoricalFocal(), 3, np.array([1, 3]), r"label 3 out of range \[0, 3\)"),
        (MultiMargin(), 3, np.array([1, 3]), r"label 3 out of range \[0, 3\)"),
        (NLL(ignored=-1), 3, np.array([-1, 3]), r"label 3 out of range \[0, 3\)"),
        (Focal(), 1, np.array([[0.0], [2.0]]), "numbers from 0 to 1, found 2"),
    ],
)
def test_targets_that_a_compiled_pass_could_not_report_are_refused(loss, units, target, message):
    with pytest.raises((LabelError, DataError), match=message):
        check_targets(Objective("loss", loss, ("out", "y")), units, {"y": target})
    check_targets(Objective("loss", loss, ("out", "y")), units, {"y": np.clip(target, 0, 1)})


def test_a_classifier_trained_on_scores_gives_logits():
    on_scores = {name for name in losses if link_of(losses[name]()) == "logit"}
    assert on_scores == {
        "binary_cross_entropy", "categorical_focal", "categorical_hinge", "cross_entropy", "dice", "focal",
        "generalized_cross_entropy", "hinge", "kl_divergence", "multi_label_margin", "multi_margin", "nll", "tversky",
    }  # fmt: skip
    assert link_of(Focal(from_logits=False)) == "identity"


def test_a_single_loss_takes_its_settings():
    config = parse(rg.RunConfig, {"network": [{"dense": 1}], "loss": {"dice": {"smoothing": 0.5}}})
    assert config.loss == Dice(0.5)
