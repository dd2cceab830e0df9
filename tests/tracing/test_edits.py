"""Numbers of a step that are edited: what follows is what the edited configuration gives."""

import copy

import numpy as np
import pytest

import retrograd as rg
from retrograd.base.errors import UsageError
from retrograd.tracing.source import open_source
from retrograd.tracing.trace import Desk, Request

WEIGHTS = {"hidden": [[0.5, -0.4], [0.3, 0.9]], "out": [[0.7], [-0.6]]}
X, Y = np.array([[0.2, 0.8], [1.0, -0.5]]), np.array([[1.0], [0.0]])
EXACT = 1e-12  # float64, the same operations


def config(weights):
    return {
        "network": [
            {"dense": {"units": 2, "activation": "tanh", "weight": weights["hidden"]}, "name": "hidden"},
            {"dense": {"units": 1, "weight": weights["out"]}, "name": "out"},
        ],
        "loss": "mean_squared_error",
        "optimizer": {"sgd": 0.1},
        "training": {"epochs": 1},
    }


def desk():
    batch = {"x": X, "y": Y}
    return Desk(open_source(config(WEIGHTS), batch=batch), Request(batch=batch))


def same(edited, whole):
    assert edited.loss == pytest.approx(whole.loss, abs=EXACT)
    assert edited.loss_after == pytest.approx(whole.loss_after, abs=EXACT)
    for one, other in zip(edited.parameters, whole.parameters, strict=True):
        np.testing.assert_allclose(one.before, other.before, atol=EXACT)
        np.testing.assert_allclose(one.gradient, other.gradient, atol=EXACT)
        np.testing.assert_allclose(one.after, other.after, atol=EXACT)
    for one, other in zip(edited.nodes, whole.nodes, strict=True):
        np.testing.assert_allclose(one.output, other.output, atol=EXACT)
        np.testing.assert_allclose(one.delta, other.delta, atol=EXACT)


def test_an_edited_step_is_that_of_the_edited_configuration_and_rows():
    there = desk()
    before = there.trace().numbers
    edited = there.trace({"hidden/weight[0,1]": 1.25, "x[1,0]": -2.0, "y[0,0]": 0.25}).numbers
    weights, x, y = copy.deepcopy(WEIGHTS), X.copy(), Y.copy()
    weights["hidden"][0][1], x[1, 0], y[0, 0] = 1.25, -2.0, 0.25
    whole = rg.trace(config(weights), batch={"x": x, "y": y}).numbers
    assert edited.loss != before.loss
    same(edited, whole)
    same(there.trace().numbers, before)  # nothing of the edits stays


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ({"hiden/weight[0,0]": 1.0}, r"there is no 'hiden/weight'.*hidden/weight"),
        ({"hidden/weight[0]": 1.0}, r"hidden/weight\[0\]: the shape is \[2, 2\]"),
        ({"hidden/weight[0,2]": 1.0}, r"the shape is \[2, 2\]"),
        ({"x[0,0]": float("nan")}, "expected a finite number"),
    ],
)
def test_a_wrong_place_or_number_is_refused(edits, message):
    with pytest.raises(UsageError, match=message):
        desk().trace(edits)
