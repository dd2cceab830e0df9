"""CTC: against all alignments written out, figures from another implementation, and what is refused."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.base.errors import DataTypeError, ShapeError
from retrograd.network.layer import Spec
from retrograd.network.losses import CTC
from tests.network.test_losses import compiled, run

# torch.nn.CTCLoss 2.13 in float64 on log_softmax of LOGITS: labels 1 1 3, 2, 3 2 on 6, 2 and 4 steps
LOGITS = np.array([
    [[-0.65, -0.17, 1.66, 0.66], [-1.64, -0.01, -0.62, 0.15], [-1.61, 0.24, 0.24, 1.58],
     [0.32, 0.51, -1.49, 2.25], [-1.92, 1.1, -0.33, -0.88], [-0.66, -0.67, 0.38, -0.11]],
    [[1.48, -1.83, 0.0, -0.89], [0.78, -2.12, -0.34, 0.21], [-1.48, 0.99, 0.18, 1.01],
     [0.96, -0.98, -0.8, -0.2], [0.75, 0.85, -0.71, -0.61], [-0.8, -0.58, -0.24, -0.13]],
    [[2.06, -0.51, -0.29, 0.46], [-0.95, -0.37, 0.01, 0.77], [-1.32, 1.37, -0.35, 0.17],
     [0.85, 0.66, 1.06, 0.17], [-0.02, 0.32, -1.0, 1.21], [-0.78, -1.26, 2.06, -0.14]],
])  # fmt: skip
LABELS = np.array([[1, 1, 3], [2, 0, 0], [3, 2, 1]], np.int32)
STEPS, NUMBERS = np.array([6, 2, 4], np.int32), np.array([3, 1, 2], np.int32)
MEAN, SUM = 1.787272014546011, 11.932937590509358
DELTA_OF_SECOND = [  # of the sum
    [0.21717943, 0.02689691, -0.31293193, 0.06885559],
    [0.15128579, 0.028263, -0.4700343, 0.2904855],
    *[[0.0] * 4] * 4,
]
DELTA_OF_BLANKS = [-0.25247306, -0.21349488, -0.20325753, -0.55230359, 0.01007475, 0.0866678]  # first sequence


def test_loss_and_delta_are_the_figures_of_another_implementation():
    total, delta = run(CTC(per_label=False, reduction="sum"), LOGITS, LABELS, STEPS, NUMBERS)
    assert total == pytest.approx(SUM, rel=1e-13)
    np.testing.assert_allclose(delta[1], DELTA_OF_SECOND, atol=6e-9)  # printed with eight digits
    np.testing.assert_allclose(delta[0, :, 0], DELTA_OF_BLANKS, atol=6e-9)
    mean, _ = run(CTC(), LOGITS, LABELS, np.arange(6) < STEPS[:, None], NUMBERS)  # the same as a mask
    assert mean == pytest.approx(MEAN, rel=1e-13)


def merged(path, blank):
    return [label for label, _ in itertools.groupby(path) if label != blank]


@pytest.mark.parametrize("labels", [[1], [1, 1], [1, 2], [], [2, 1]])
def test_loss_is_the_sum_over_all_alignments_written_out(labels):
    y = np.random.default_rng(3).normal(size=(1, 4, 3))
    p = np.exp(y) / np.exp(y).sum(-1, keepdims=True)
    total = sum(
        np.prod([p[0, t, k] for t, k in enumerate(path)])
        for path in itertools.product(range(3), repeat=4)
        if merged(path, 0) == labels
    )
    padded = np.array([labels + [0] * (2 - len(labels))], np.int32)
    assert run(CTC(per_label=False), y, padded)[0] == pytest.approx(-np.log(total), rel=1e-12)


def test_a_sequence_longer_than_its_steps_is_infinitely_surprising_or_left_out():
    y, labels, steps = np.zeros((2, 3, 3)), np.array([[1, 1], [2, 0]], np.int32), np.array([2, 3], np.int32)
    assert run(CTC(), y, labels, steps)[0] == np.inf
    value, delta = run(CTC(zero_impossible=True, reduction="sum"), y, labels, steps)
    assert value == pytest.approx(run(CTC(reduction="sum"), y[1:], labels[1:])[0], rel=1e-12)
    assert not delta[0].any()


def test_no_steps_fit_no_labels_alone():
    y, steps = np.zeros((2, 3, 3)), np.array([0, 0], np.int32)
    value, delta = run(CTC(zero_impossible=True), y, np.array([[0], [1]], np.int32), steps)
    assert value == 0.0
    assert not delta.any()


def test_long_sequences_keep_their_digits_in_float32():
    rng = np.random.default_rng(8)
    y, labels = rng.normal(size=(1, 400, 5)), rng.integers(1, 5, (1, 60)).astype(np.int32)
    (wide, wide_delta), (value, delta) = run(CTC(), y, labels), run(CTC(), y, labels, dtype="float32")
    assert value == pytest.approx(wide, rel=1e-5)
    np.testing.assert_allclose(delta, wide_delta, atol=1e-3 * np.abs(wide_delta).max())


def test_a_label_that_names_no_class_poisons_the_loss():
    assert np.isnan(run(CTC(), np.zeros((1, 4, 3)), np.array([[1, 3]], np.int32))[0])


@pytest.mark.parametrize(
    ("shapes", "error", "message"),
    [
        ([((2, 5, 3), "f4"), ((2, 3), "f4")], DataTypeError, "labels must be integers, found float32"),
        ([((2, 5), "f4"), ((2, 3), "i4")], ShapeError, r"expected logits \(batch, time, classes\)"),
        ([((2, 5, 3), "f4"), ((2, 3), "i4"), ((2, 4), "?")], ShapeError, r"steps \(a mask \[batch, time\]"),
        ([((2, 5, 3), "f4"), ((2, 3), "i4"), ((2, 5), "f4")], ShapeError, r"sample weight of shape \(2,\)"),
    ],
)
def test_inputs_that_do_not_fit_are_named(shapes, error, message):
    with pytest.raises(error, match=message):
        jax.eval_shape(compiled(CTC()), *(Spec(shape, jnp.dtype(dtype)) for shape, dtype in shapes))
