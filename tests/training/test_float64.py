"""In float64, data, targets and initial weights keep the digits as written; in float32 nothing changes."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.data.cells.precision import floats, reading_in
from retrograd.data.dataset import load

ROWS = [[0.05, 0.1, 0.3], [0.2, 0.7, 0.1], [0.9, 0.3, 0.7]]
CONFIG = {
    "data": {"rows": ROWS},
    "network": [{"dense": {"units": 1, "weight": [[0.05], [0.1]], "bias": [0.3]}}],
    "loss": "mean_squared_error",
    "optimizer": {"sgd": 0.1},
    "training": {"epochs": 3, "batch_size": "all", "shuffle": False, "precision": "float64"},
}


def descended(steps):
    """Plain descent on the mean squared error, in float64."""
    x, y = np.array(ROWS)[:, :2], np.array(ROWS)[:, 2]
    w, b = np.array([0.05, 0.1]), 0.3
    for _ in range(steps):
        error = x @ w + b - y
        w, b = w - 0.1 * 2 / 3 * x.T @ error, b - 0.1 * 2 / 3 * error.sum()
    return w, b


def test_a_run_in_float64_uses_the_numbers_as_written(tmp_path):
    run = rg.train(CONFIG, root=tmp_path)
    assert run.dataset.train["x"][0, 0] == 0.05
    trained, (w, b) = run.model.variables.params["dense_1"], descended(3)
    np.testing.assert_allclose(trained["weight"][:, 0], w, rtol=1e-14)
    np.testing.assert_allclose(trained["bias"], [b], rtol=1e-14)
    x = np.array(ROWS)[:, :2]
    np.testing.assert_allclose(run.predict(x).ravel(), x @ w + b, rtol=1e-14)
    again = rg.load(run.folder)
    np.testing.assert_allclose(again.predict(x).ravel(), x @ w + b, rtol=1e-14)


def test_a_trace_and_a_check_read_the_same_numbers():
    step = rg.trace(CONFIG).numbers
    w, b = descended(1)
    after = {parameter.path: parameter.after for parameter in step.parameters}
    np.testing.assert_allclose(after["dense_1/weight"][:, 0], w, rtol=1e-14)
    np.testing.assert_allclose(after["dense_1/bias"], [b], rtol=1e-14)
    assert rg.check(CONFIG).verdict in ("exact", "acceptable")


@pytest.mark.parametrize(
    ("precision", "kind"), [("float32", np.float32), ("float64", np.float64), ("bfloat16", np.float32)]
)
def test_columns_have_the_precision_in_which_they_are_read(precision, kind, tmp_path):
    (tmp_path / "table.csv").write_text("a,b,w,y\n0.05,1,1,0.5\n0.1,2,1,0.25\n0.3,,2,0.125\n")
    settings = rg.DataSettings(path=str(tmp_path / "table.csv"), target="y", weight="w")
    with reading_in(precision):
        data = load(settings)
    assert {name: column.dtype.type for name, column in data.train.items()} == dict.fromkeys(data.train, kind)
    assert floats() is np.float32
