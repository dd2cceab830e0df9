"""`rg.check_gradient`: right gradients of NumPy code pass, and each usual slip is named."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.base.errors import NonFiniteError, UsageError

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(20, 3)), RNG.uniform(size=(20, 2))
LABELS = RNG.integers(0, 3, 20)
P = {"W1": RNG.normal(size=(3, 4)), "b1": RNG.normal(size=4), "W2": RNG.normal(size=(4, 2)), "b2": RNG.normal(size=2)}
Q = {"W": RNG.normal(size=(3, 5)), "b": RNG.normal(size=5), "g": RNG.uniform(1, 2, 5), "V": RNG.normal(size=(5, 3))}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def forward(p):
    h = np.tanh(X @ p["W1"] + p["b1"])
    y = sigmoid(h @ p["W2"] + p["b2"])
    return h, y


def squares(p):
    return np.mean((forward(p)[1] - T) ** 2)


def backward(p, *, out=True, hidden=True, two=2, n=40, sign=1, axis=0, again=False, decay=0.0):
    """The backward pass of `squares` as a student writes it, with a switch for each slip."""
    h, y = forward(p)
    delta = sign * two * (y - T) / n
    if out:
        delta = delta * (sigmoid(y) * (1 - sigmoid(y)) if again else y * (1 - y))
    back = delta @ p["W2"].T
    if hidden:
        back = back * (1 - h * h)
    return {"W1": X.T @ back + decay * p["W1"], "b1": back.sum(axis), "W2": h.T @ delta, "b2": delta.sum(axis)}


def normalised(p):
    z = X @ p["W"] + p["b"]
    mean, var = z.mean(0), z.var(0)
    hat = (z - mean) / np.sqrt(var + 1e-5)
    h = np.maximum(p["g"] * hat, 0)
    e = np.exp(h @ p["V"])
    return hat, var, h, e / e.sum(1, keepdims=True)


def entropy(p):
    return -np.mean(np.log(normalised(p)[3][np.arange(20), LABELS]))


def backward_normalised(p, *, statistics=True, mask=True):
    hat, var, h, probabilities = normalised(p)
    delta = (probabilities - np.eye(3)[LABELS]) / 20
    back = delta @ p["V"].T * ((h > 0) if mask else 1)
    dx, scale = back * p["g"], 1 / np.sqrt(var + 1e-5)
    dz = scale * (dx - dx.mean(0) - hat * (dx * hat).mean(0)) if statistics else scale * dx
    return {"W": X.T @ dz, "b": dz.sum(0), "g": (back * hat).sum(0), "V": h.T @ delta}


def test_right_gradients_are_exact():
    for loss, grads, params in ((squares, backward, P), (entropy, backward_normalised, Q)):
        report = rg.check_gradient(loss, grads, params)
        assert report.ok, str(report)
        assert bool(report)
        assert report.verdict == "exact"
        assert [each.name for each in report.tensors] == list(params)


@pytest.mark.parametrize(
    ("slip", "tensor", "words"),
    [
        ({"out": False}, "W2", "y (1 - y) of the sigmoid at y"),
        ({"out": False}, "W1", "y (1 - y) of the sigmoid at y"),
        ({"hidden": False}, "W1", "1 - y^2 of tanh at h"),
        ({"hidden": False}, "b1", "1 - y^2 of tanh at h"),
        ({"again": True}, "b2", "the derivative of the sigmoid at y is evaluated at its output instead of its input"),
        ({"out": False, "hidden": False}, "W1", "missing everywhere"),
        ({"two": 1}, "W2", "0.5 times what it should be (the 2 from a squared error is missing)"),
        ({"n": 1}, "b2", "a sum over all 40 entries of T"),
        ({"n": 2}, "b2", "a sum over the 20 rows"),
        ({"n": 800}, "b2", "1/20 of what it should be"),
        ({"sign": -1}, "W1", "the sign is wrong"),
        ({"sign": -1, "two": 4}, "W1", "and the sign is wrong"),
        ({"axis": 1}, "b1", "summed over the wrong axis"),
        ({"decay": 0.1}, "W1", "0.1 times the tensor itself"),
        ({"out": False, "two": 1}, "W2", "multiplied by 0.5"),
    ],
)
def test_a_slip_is_named(slip, tensor, words):
    report = rg.check_gradient(squares, lambda p: backward(p, **slip), P)
    assert not report.ok
    hints = {each.name: each.hint for each in report.tensors}
    assert words in hints[tensor], str(report)


@pytest.mark.parametrize(
    ("slip", "tensor", "words"),
    [
        ({"statistics": False}, "W", "perhaps a mean and a variance, are constants"),
        ({"mask": False}, "g", "(y > 0) of relu at h"),
    ],
)
def test_a_slip_in_batch_norm_or_relu_is_named(slip, tensor, words):
    report = rg.check_gradient(entropy, lambda p: backward_normalised(p, **slip), Q)
    assert words in {each.name: each.hint for each in report.tensors}[tensor], str(report)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda g: g.T, "transpose"),
        (lambda g: np.roll(g, 1, axis=0), "shifted by one along axis 0"),
        (lambda g: g * 0, "0 everywhere"),
        (lambda g: g * np.nan, "not finite"),
        (lambda g: np.stack([g / 2, g / 2]), "the sum over the batch is missing"),
        (lambda g: g.reshape(-1), "need the shape of the tensor"),
    ],
)
def test_a_misplaced_gradient_is_reported(change, words):
    w, a = RNG.normal(size=(4, 4)), RNG.normal(size=(4, 4))
    report = rg.check_gradient(lambda w: np.sum(np.sin(w) * a), change(np.cos(w) * a), w)
    assert not report.ok
    assert words in report.tensors[0].hint, str(report)


def test_parameters_may_be_numbers_tuples_lists_and_nested():
    assert rg.check_gradient(lambda x: x**3, 12.0, 2.0).ok
    assert rg.check_gradient(lambda a, b: a * b**2, (4.0, 12.0), (3.0, 2.0)).ok
    assert rg.check_gradient(lambda p: p[0] * p[1] ** 2, [4.0, 12.0], [3.0, 2.0]).ok
    nested = {"layers": [(np.ones((2, 2)), np.ones(2)), (np.ones(2), 1.0)], "scale": 2.0}

    def loss(p):
        (w, b), (v, c) = p["layers"]
        return p["scale"] * ((np.ones(2) @ w + b) @ v + c)

    right = {"layers": [(2 * np.ones((2, 2)), 2 * np.ones(2)), (np.full(2, 6.0), 2.0)], "scale": 7.0}
    report = rg.check_gradient(loss, right, nested)
    assert report.ok, str(report)
    assert [each.name for each in report.tensors] == ["layers/0/0", "layers/0/1", "layers/1/0", "layers/1/1", "scale"]


def test_a_function_without_arguments_reads_its_own_arrays_which_stay_as_they_were():
    w = np.array([1.0, 2.0, 3.0])
    report = rg.check_gradient(lambda: float((w**3).sum()), lambda: 2 * w**2, w)
    assert report.error == pytest.approx(1 / 3)
    assert w.tolist() == [1, 2, 3]


def test_a_function_may_return_loss_and_gradients_together():
    def both(w):
        return float((w**2).sum()), 2 * w

    assert rg.check_gradient(both, both, np.arange(3.0)).ok


def test_parameters_in_whole_numbers_or_float32_are_checked_in_float64():
    for dtype in (int, np.float32):
        assert rg.check_gradient(lambda w: np.sum(w**3), 3 * np.arange(4.0) ** 2, np.arange(4, dtype=dtype)).ok


def test_corners_are_left_out_and_reported():
    report = rg.check_gradient(lambda w: np.maximum(w, 0).sum(), np.array([1.0, 0, 0]), np.array([1.0, -1, 0]))
    assert report.ok
    assert report.tensors[0].kinks == 1
    assert "corner" in str(report)


def test_only_some_entries_are_tried_when_asked():
    report = rg.check_gradient(lambda w: np.sum(w**2), lambda w: w, np.arange(1.0, 101), entries=7)
    assert report.tensors[0].entries == 7
    assert "7 of 100 entries" in str(report)
    assert "0.5 times" in report.tensors[0].hint


def test_what_cannot_be_checked_is_refused_with_a_cure():
    w = np.ones(2)
    with pytest.raises(UsageError, match=r"shape \[2\]; return the mean"):
        rg.check_gradient(lambda w: w**2, w, w)
    with pytest.raises(UsageError, match="different losses"):
        rg.check_gradient(lambda w: float(np.random.default_rng().normal() * w[0]), w, w)
    with pytest.raises(UsageError, match=r"expected gradients for a, b, found a"):
        rg.check_gradient(lambda p: p["a"] + p["b"], {"a": 1.0}, {"a": 1.0, "b": 2.0})
    with pytest.raises(UsageError, match="lambda params: loss"):
        rg.check_gradient(lambda p, x, y: 1.0, w, w)
    with pytest.raises(NonFiniteError, match="finite"), np.errstate(all="ignore"):
        rg.check_gradient(lambda w: np.log(w.sum() - 2), w, w)
    with pytest.raises(UsageError, match="no parameters"):
        rg.check_gradient(lambda p: 1.0, {}, {})
