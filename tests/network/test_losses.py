"""Losses: the contract on their examples, closed forms, extremes, reductions, and what is refused."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.base.errors import ConfigError, DataTypeError, LabelError, ShapeError
from retrograd.base.schema import parse_registered
from retrograd.checking.contract import check_layer
from retrograd.network.layer import Context, Spec
from retrograd.network.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Hinge,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    Quantile,
    check_labels,
    losses,
)
from retrograd.propagation.objective import Objective
from retrograd.propagation.one_layer import adjoint, run_layer

RTOL = {"float64": 1e-12, "float32": 2e-6}  # some ten roundings
DOCUMENTED = {
    "binary_cross_entropy", "categorical_focal", "categorical_hinge", "contrastive", "cosine_distance",
    "cosine_embedding", "cross_entropy", "ctc", "dice", "focal", "gaussian_nll", "generalized_cross_entropy",
    "hinge", "hinge_embedding", "huber", "info_nce", "kl_divergence", "log_cosh", "margin_ranking",
    "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_error", "mean_squared_logarithmic_error",
    "multi_label_margin", "multi_margin", "nll", "poisson_nll", "quantile", "triplet", "tversky",
}  # fmt: skip
EXAMPLES = [(name, example) for name in losses for example in losses.entry(name).facts["examples"]]
LOG3 = np.log(3.0)


@functools.cache
def compiled(loss):
    def run(*inputs):
        step = run_layer(loss, {}, {}, Context(), inputs)
        return step.y, adjoint(loss, {}, step.tape, jnp.ones_like(step.y)).inputs[0]

    return jax.jit(run)


def run(loss, *inputs, dtype="float64"):
    """Return the loss and the prediction's delta; floats are given in `dtype`."""
    with jax.enable_x64(dtype == "float64"):
        arrays = [np.asarray(x) for x in inputs]
        arrays = [x.astype(dtype) if x.dtype.kind == "f" else x for x in arrays]
        return jax.device_get(compiled(loss)(*arrays))


def assert_same(found, expected, dtype="float64"):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=RTOL[dtype], atol=1e-12 if dtype == "float64" else 1e-7)


@pytest.fixture
def rng():
    return np.random.default_rng(11)


# ---------------------------------------------------------------------------------------------------- every loss


def test_registry_holds_exactly_the_documented_losses():
    assert set(losses) == DOCUMENTED


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=lambda part: part if isinstance(part, str) else "")
def test_loss_keeps_the_contract(name, example):
    with jax.numpy_dtype_promotion("strict"):
        check_layer(losses[name](**example.settings), *example.inputs)


@pytest.mark.parametrize(
    ("loss", "prediction", "target", "value", "delta"),
    [
        (MeanSquaredError(), [[1.0, 3.0]], [[0.0, 1.0]], 2.5, [[1.0, 2.0]]),
        (MeanAbsoluteError(), [[1.0, 3.0]], [[0.0, 4.0]], 1.0, [[0.5, -0.5]]),
        (Huber(1.0), [[0.5, 3.0]], [[0.0, 1.0]], (0.125 + 1.5) / 2, [[0.25, 0.5]]),
        (BinaryCrossEntropy(), [[0.0, LOG3]], [[1.0, 0.0]], (np.log(2) + np.log(4)) / 2, [[-0.25, 0.375]]),
        (BinaryCrossEntropy(2.0), [[0.0, LOG3]], [[1.0, 0.0]], (2 * np.log(2) + np.log(4)) / 2, [[-0.5, 0.375]]),
        (BinaryCrossEntropy(from_logits=False), [[0.5, 0.75]], [[1.0, 0.0]], np.log(8) / 2, [[-1.0, 2.0]]),
        (CrossEntropy(), [[0.0, LOG3]], [1], np.log(4 / 3), [[0.25, -0.25]]),
        (CrossEntropy(from_logits=False), [[1.0, 3.0]], [1], np.log(4 / 3), [[1 / 4, -1 / 12]]),
        (CrossEntropy(from_logits=False, normalize=False), [[0.2, 0.5]], [1], np.log(2), [[0.0, -2.0]]),
        (Hinge(), [[0.5, -2.0, 3.0, 0.0]], [[1.0, 1.0, 1.0, -1.0]], 4.5 / 4, [[-0.25, -0.25, 0.0, 0.25]]),
    ],
    ids=lambda part: str(part.kind) if hasattr(part, "kind") else "",
)
def test_values_worked_out_by_hand(loss, prediction, target, value, delta):
    assert_same(run(loss, prediction, np.array(target)), (value, delta))


SMALL = [
    (MeanSquaredError(), "real"),
    (MeanAbsoluteError(), "real"),
    (Huber(0.5), "real"),
    (Hinge(), "binary"),
    (BinaryCrossEntropy(), "binary"),
    (CrossEntropy(), "labels"),
]
each_small = pytest.mark.parametrize(("loss", "kind"), SMALL, ids=lambda part: getattr(part, "kind", ""))


def small_target(kind, rng, shape=(4, 3)):
    if kind == "labels":
        return rng.integers(0, shape[-1], shape[:-1])
    return rng.normal(size=shape) if kind == "real" else rng.integers(0, 2, shape).astype(float)


@each_small
def test_sum_is_mean_times_count_and_scale_multiplies(loss, kind, rng):
    prediction, target = rng.normal(size=(4, 3)), small_target(kind, rng)
    value, delta = run(loss, prediction, target)
    count = 4 if kind == "labels" else 12
    assert_same(run(replace(loss, reduction="sum"), prediction, target), (value * count, delta * count))
    assert_same(run(replace(loss, scale=0.5), prediction, target), (value / 2, delta / 2))


@each_small
def test_bfloat16_is_computed_in_float32_and_its_delta_cast_back(loss, kind, rng):
    prediction = jnp.asarray(rng.normal(size=(40, 3)), jnp.bfloat16)
    target = jnp.asarray(small_target(kind, rng, (40, 3)), jnp.int32 if kind == "labels" else jnp.bfloat16)
    value, delta = compiled(loss)(prediction, target)
    wide = target if kind == "labels" else target.astype(jnp.float32)
    exact, exact_delta = compiled(loss)(prediction.astype(jnp.float32), wide)
    assert (value.dtype, delta.dtype) == (jnp.float32, jnp.bfloat16)
    assert float(value) == float(exact)
    np.testing.assert_array_equal(delta, exact_delta.astype(jnp.bfloat16))


@each_small
def test_a_weight_of_zero_silences_a_row_and_the_count_stays(loss, kind, rng):
    prediction, target = rng.normal(size=(4, 3)), small_target(kind, rng)
    value, delta = run(loss, prediction, target, np.array([1.0, 2.0, 0.0, 1.0]))
    parts = [run(loss, prediction[i : i + 1], target[i : i + 1]) for i in range(4)]
    assert_same((value,), ((parts[0][0] + 2 * parts[1][0] + parts[3][0]) / 4,))
    assert_same(delta, np.stack([s * part[1][0] / 4 for s, part in zip((1, 2, 0, 1), parts, strict=True)]))
    assert not delta[2].any()


@each_small
def test_a_nan_prediction_or_target_is_a_nan_loss(loss, kind, rng):
    prediction, target = rng.normal(size=(4, 3)), small_target(kind, rng)
    prediction[1, 1] = np.nan
    assert np.isnan(run(loss, prediction, target)[0])
    if kind != "labels":
        target[0, 0] = np.nan
        assert np.isnan(run(loss, np.zeros((4, 3)), target)[0])


@each_small
def test_an_empty_batch_is_a_loss_of_zero(loss, kind, rng):
    value, delta = run(loss, np.zeros((0, 3)), small_target(kind, rng, (0, 3)))
    assert value == 0
    assert delta.shape == (0, 3)


# --------------------------------------------------------------------------------------------- kinks and extremes


def test_derivatives_at_kinks_are_zero():
    assert run(MeanAbsoluteError(), [[1.0]], np.array([[1.0]]))[1] == 0
    assert run(Hinge(), [[1.0, -1.0]], np.array([[1.0, -1.0]]))[1].tolist() == [[0, 0]]


def test_huber_does_not_overflow_far_from_the_target():
    value, delta = run(Huber(), [[1e30]], np.array([[0.0]]), dtype="float32")
    assert_same((value, delta), (np.float32(1e30), [[1.0]]), "float32")


def test_hinge_reads_both_codings_of_the_target(rng):
    prediction, binary = rng.normal(size=(4, 2)), rng.integers(0, 2, (4, 2)).astype(float)
    assert_same(run(Hinge(), prediction, binary), run(Hinge(), prediction, 2 * binary - 1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_binary_cross_entropy_is_exact_for_extreme_logits(dtype):
    logits, target = [[1e4, -1e4, 1e4, -1e4]], np.array([[1.0, 0.0, 0.0, 1.0]])
    assert_same(run(BinaryCrossEntropy(), logits, target, dtype=dtype), (5e3, [[0, 0, 0.25, -0.25]]), dtype)


def test_binary_cross_entropy_keeps_the_digits_of_a_tiny_delta():
    _, delta = run(BinaryCrossEntropy(), [[-50.0, 50.0]], np.array([[0.0, 1.0]]), dtype="float32")
    np.testing.assert_allclose(delta, [[np.exp(-50) / 2, -np.exp(-50) / 2]], rtol=RTOL["float32"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_cross_entropy_is_exact_for_extreme_logits(dtype, smoothing):
    logits, target = [[1e4, -1e4, 0.0], [1e4, -1e4, 0.0]], np.array([0, 1])
    q = (1 - smoothing) * np.eye(3)[target] + smoothing / 3
    value = (q * -(np.array(logits) - 1e4)).sum() / 2
    delta = (np.array([[1, 0, 0], [1, 0, 0]]) - q) / 2
    assert_same(run(CrossEntropy(smoothing), logits, target, dtype=dtype), (value, delta), dtype)


def test_logits_of_minus_infinity_rule_out_classes():
    logits = np.array([[-np.inf, 0.0, 0.0], [-np.inf, 0.0, 1.0]])
    value, delta = run(CrossEntropy(ignored=-1), logits, np.array([1, -1]))  # the ignored row's stand-in is class 0
    assert_same((value, delta), (np.log(2), [[0, -0.5, 0.5], [0, 0, 0]]))


def test_gradient_is_zero_where_probabilities_are_clipped():
    highest, above = -np.log(1e-7), 1 - 1e-7
    value, delta = run(BinaryCrossEntropy(from_logits=False), [[0.0, 1.0, 1.5, 0.5]], np.array([[1.0, 0.0, 0.0, 1.0]]))
    assert_same((value, delta), ((highest - 2 * np.log(1 - above) + np.log(2)) / 4, [[0, 0, 0, -0.5]]))
    value, delta = run(CrossEntropy(from_logits=False), [[0.0, 2.0], [3.0, 0.0]], np.array([0, 0]))
    assert_same((value, delta), ((highest - np.log(above)) / 2, np.zeros((2, 2))))


# -------------------------------------------------------------------------------------------------- cross-entropy


def test_cross_entropy_of_softmax_outputs_is_that_of_their_logits(rng):
    logits, target = rng.normal(size=(5, 4)), rng.integers(0, 4, 5)
    proportions = np.exp(logits)  # rows that do not sum to 1 are divided by their sum
    value, delta = run(CrossEntropy(from_logits=False), proportions, target)
    assert_same((value, delta * proportions), run(CrossEntropy(), logits, target))


@pytest.mark.parametrize("from_logits", [True, False])
def test_one_hot_targets_equal_labels(from_logits, rng):
    prediction, target = rng.uniform(0.1, 1, (5, 4)), rng.integers(0, 4, 5)
    for loss in (CrossEntropy(from_logits=from_logits), CrossEntropy(0.2, from_logits=from_logits)):
        assert_same(run(loss, prediction, np.eye(4)[target]), run(loss, prediction, target))
    weighted = CrossEntropy(class_weights=(1, 2, 0.5, 3), from_logits=from_logits, reduction="sum")
    assert_same(run(weighted, prediction, np.eye(4)[target]), run(weighted, prediction, target))


def test_probability_targets_are_averaged_over_rows_whatever_the_class_weights(rng):
    logits, target = rng.normal(size=(5, 2)), np.eye(2)[[0, 1, 1, 0, 1]]
    summed = run(CrossEntropy(class_weights=(1, 3), reduction="sum"), logits, target)
    assert_same(run(CrossEntropy(class_weights=(1, 3)), logits, target), [part / 5 for part in summed])


def test_label_smoothing_is_a_smoothed_target(rng):
    logits, labels = rng.normal(size=(5, 4)), rng.integers(0, 4, 5)
    assert_same(run(CrossEntropy(0.2), logits, labels), run(CrossEntropy(), logits, 0.8 * np.eye(4)[labels] + 0.05))
    answers = rng.integers(0, 2, (5, 4)).astype(float)
    smooth = run(BinaryCrossEntropy(label_smoothing=0.2), logits, answers)
    assert_same(smooth, run(BinaryCrossEntropy(), logits, 0.8 * answers + 0.1))


@pytest.mark.parametrize("ignored", [-100, 255, 2])
def test_ignored_rows_are_as_if_absent(ignored, rng):
    logits, labels = rng.normal(size=(6, 4)), np.array([0, 1, 3, 0, 1, 3], np.int64 if ignored < 0 else np.uint8)
    labels[[1, 4]] = ignored
    value, delta = run(CrossEntropy(ignored=ignored), logits, labels)
    kept = [0, 2, 3, 5]
    assert_same((value, delta[kept]), run(CrossEntropy(), logits[kept], labels[kept].astype(np.int32)))
    assert not delta[[1, 4]].any()


@pytest.mark.parametrize("settings", [{}, {"label_smoothing": 0.1}, {"from_logits": False}])
def test_all_rows_ignored_is_exactly_zero(settings, rng):
    loss = CrossEntropy(ignored=-1, **settings)
    value, delta = run(loss, rng.uniform(0.1, 1, (3, 4)), np.full(3, -1), dtype="float32")
    assert str(float(value)) == "0.0"  # and no minus in front
    assert not delta.any()


def test_class_weights_weigh_rows_and_the_mean_divides_by_their_sum(rng):
    logits, labels, weights = rng.normal(size=(5, 3)), np.array([0, 1, 2, 2, 1]), np.array([0.5, 2.0, 1.0])
    rows = -np.log((np.exp(logits) / np.exp(logits).sum(-1, keepdims=True))[np.arange(5), labels])
    value, _ = run(CrossEntropy(class_weights=tuple(weights)), logits, labels)
    assert_same((value,), ((weights[labels] * rows).sum() / weights[labels].sum(),))
    sample = np.array([1.0, 0.0, 3.0, 1.0, 1.0])
    value, _ = run(CrossEntropy(class_weights=tuple(weights)), logits, labels, sample)
    assert_same((value,), ((sample * weights[labels] * rows).sum() / weights[labels].sum(),))


def test_positive_weight_may_differ_from_output_to_output(rng):
    logits, target = rng.normal(size=(4, 2)), rng.integers(0, 2, (4, 2)).astype(float)
    _, both = run(BinaryCrossEntropy((2.0, 5.0)), logits, target)
    for i, weight in enumerate((2.0, 5.0)):
        _, one = run(BinaryCrossEntropy(weight), logits, target)
        assert_same(both[:, i], one[:, i])


@pytest.mark.parametrize("bad", [-1, 4, 100])
@pytest.mark.parametrize(
    "settings", [{}, {"label_smoothing": 0.1, "class_weights": (1, 1, 0, 0)}, {"from_logits": False}]
)
def test_a_label_that_names_no_class_poisons_the_compiled_loss(bad, settings, rng):
    value, delta = run(CrossEntropy(**settings), rng.uniform(0.1, 1, (3, 4)), np.array([0, bad, 1]), dtype="float32")
    assert np.isnan(value)
    assert np.isnan(delta).any()


def test_candidates_side_by_side_are_as_each_alone(rng):
    logits, labels = rng.normal(size=(3, 5, 4)).astype(np.float32), rng.integers(0, 4, 5)
    values, deltas = jax.vmap(compiled(CrossEntropy()), (0, None))(logits, labels)
    for i in range(3):
        assert_same((values[i], deltas[i]), run(CrossEntropy(), logits[i], labels, dtype="float32"), "float32")


# -------------------------------------------------------------------------------------------------- micro-batches


def micro_batches():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(6, 3))
    mask = np.array([[1, 1, 1], [0, 0, 1], [1, 1, 0], [1, 0, 0], [0, 1, 1], [1, 1, 1]], bool)
    yield MeanSquaredError(), (x, rng.normal(size=(6, 3)), np.array([1.0, 2.0, 0.0, 1.0, 1.0, 3.0]))
    yield BinaryCrossEntropy(), (x, rng.integers(0, 2, (6, 3)).astype(float), mask)
    labels = np.array([0, 2, 1, 1, -1, 0])
    yield CrossEntropy(class_weights=(0.2, 1, 4), ignored=-1), (x, labels)
    yield CrossEntropy(0.1, (0.2, 1, 4), ignored=-1), (x, labels, np.array([1.0, 2.0, 0.0, 1.0, 1.0, 3.0]))
    yield CrossEntropy(), (x, np.eye(3)[[0, 1, 2, 1, 0, 0]])


@pytest.mark.parametrize(("loss", "inputs"), list(micro_batches()), ids=lambda part: getattr(part, "kind", ""))
def test_micro_batches_weighed_by_count_are_the_whole_batch(loss, inputs):
    value, delta = run(loss, *inputs)
    parts = [tuple(x[rows] for x in inputs) for rows in (slice(0, 4), slice(4, 6))]
    with jax.enable_x64(True):
        counts = np.array([jax.jit(functools.partial(loss.count, Spec(p[0].shape, p[0].dtype)))(*p[1:]) for p in parts])
    found = [run(loss, *part) for part in parts]
    shares = counts / counts.sum()
    assert_same((sum(s * v for s, (v, _) in zip(shares, found, strict=True)),), (value,))
    assert_same(np.concatenate([s * d for s, (_, d) in zip(shares, found, strict=True)]), delta)
    assert abs(np.mean([v for v, _ in found]) - value) > 5e-4  # what averaging their means would give


# ----------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("loss", "shapes", "message"),
    [
        (BinaryCrossEntropy(), [(5, 1), (5,)], r"\(5, 1\), got \(5,\); reshape the target to \(5, 1\)"),
        (MeanSquaredError(), [(5,), (5, 1)], r"\(5,\), got \(5, 1\); reshape the target to \(5,\)"),
        (MeanSquaredError(), [(5, 2), (5, 3)], r"\(5, 2\), got \(5, 3\); .*change the units"),
        (MeanSquaredError(), [(5, 2), (5, 2), (5, 1)], r"sample weight of shape \(5,\), got \(5, 1\)"),
        (CrossEntropy(), [(5, 4), (5, 1)], r"labels \(5,\) or probabilities \(5, 4\), got \(5, 1\); .* to \(5,\)"),
        (CrossEntropy(), [(5, 4, 7), (5, 7)], r"the classes must be the last axis"),
        (CrossEntropy(), [(5, 4), (5, 3)], r"got \(5, 3\); .*change the units"),
        (CrossEntropy(class_weights=(1, 2)), [(5, 4), (5, 4)], r"class_weights: expected 4 class weights.*got 2"),
        (BinaryCrossEntropy((1, 2)), [(5, 4), (5, 4)], r"positive_weight: expected 4 positive weights.*got 2"),
    ],
)
def test_shapes_that_do_not_fit_are_named_with_the_cure(loss, shapes, message):
    with pytest.raises(ShapeError, match=message):
        jax.eval_shape(compiled(loss), *(Spec(shape, jnp.float32) for shape in shapes))


def test_class_labels_for_an_output_per_class_mean_one_hot_rows():
    y, labels = jnp.array([[0.2, 0.7, 0.1], [0.5, 0.3, 0.2]]), jnp.array([1, 2])
    one_hot = jnp.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    for loss in (MeanSquaredError(), BinaryCrossEntropy()):
        pair = compiled(loss)(y, labels), compiled(loss)(y, one_hot)
        assert jax.tree.all(jax.tree.map(lambda a, b: bool(jnp.array_equal(a, b)), *pair))


def test_fractions_are_no_class_labels():
    with pytest.raises(DataTypeError, match="must be integers, found float32"):
        jax.eval_shape(compiled(CrossEntropy()), Spec((5, 4), jnp.float32), Spec((5,), jnp.float32))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"cross_entropy": {"class_weights": [1, -1]}}, r"class_weights.*a finite number >= 0"),
        ({"cross_entropy": {"label_smoothing": 1.0}}, r"label_smoothing.*\[0, 1\)"),
        ({"cross_entropy": {"normalize": False}}, r"normalize.*from_logits: false"),
        ({"binary_cross_entropy": {"positive_weight": 0}}, r"positive_weight.*> 0"),
        ({"huber": -1}, r"huber.delta.*> 0"),
        ({"mean_squared_error": {"reduction": "average"}}, r"reduction.*one of mean, sum"),
        ("crossentropy", r"did you mean 'cross_entropy'"),
    ],
)
def test_settings_that_cannot_be_are_named(config, message):
    with pytest.raises(ConfigError, match=message):
        parse_registered(losses, config)


def test_check_labels_accepts_classes_and_the_ignored_label():
    check_labels(np.array([0, 4, 2], np.uint8), 5)
    check_labels(np.array([[0, -1], [4, 2]]), 5, ignored=-1)
    check_labels(np.array([], np.int32), 5)


def test_check_labels_names_the_first_bad_label_and_its_row():
    with pytest.raises(LabelError, match=r"^row 2: label 7 out of range \[0, 5\) \(and 1 more\); number the classes"):
        check_labels(np.array([0, 4, 7, -1]), 5)
    with pytest.raises(LabelError, match=r"^row 1, position 0: label 5 out of range \[0, 5\);"):
        check_labels(np.array([[0, -1], [5, 2]]), 5, ignored=-1)
    with pytest.raises(DataTypeError, match="must be integers, found float64"):
        check_labels(np.array([0.0, 1.0]), 5)


# ------------------------------------------------------------------------------------------ one loss for each example


def test_without_a_reduction_the_terms_come_out_weighed_and_their_deltas_go_back():
    prediction, target, weight = [[1.0, 3.0], [0.0, 0.0]], np.array([[0.0, 1.0], [2.0, 0.0]]), np.array([1.0, 0.5])
    value, delta = run(MeanSquaredError(reduction="none"), prediction, target, weight)
    assert_same((value, delta), ([[1.0, 4.0], [2.0, 0.0]], [[2.0, 4.0], [-2.0, 0.0]]))


def test_training_refuses_a_loss_without_a_reduction():
    with pytest.raises(ConfigError, match="mean_squared_error with reduction none gives many numbers"):
        Objective("loss", MeanSquaredError(reduction="none"), ("out", "y"))


def test_quantiles_of_one_target_need_as_many_outputs():
    with pytest.raises(ShapeError, match=r"3 quantiles for 2 outputs.*3 units"):
        Quantile((0.1, 0.5, 0.9)).forward({}, {}, Context(), jnp.zeros((4, 2)), jnp.zeros((4, 1)))
