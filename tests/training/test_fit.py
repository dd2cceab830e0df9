"""What `fit` accepts, and what a run returns: in the forms in which people have their data."""

import numpy as np
import polars as pl
import pytest

import retrograd as rg
from retrograd.training.fit import dataset_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)
PRICE = (1000 * X[:, 0] + 3000).astype(np.float64)
FRAME = pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]})
COLUMNS = {"a": X[:, 0].tolist(), "b": X[:, 1], "c": tuple(X[:, 2].tolist())}
NETWORK = [rg.Dense("targets")]


class PandasSeries:
    """The used part of a pandas series: name, iloc, to_numpy; the index starts at 5."""

    def __init__(self, values, name=None):
        self.values, self.name, self.index = np.asarray(values), name, np.arange(5, 5 + len(values))

    def __len__(self):
        return len(self.values)

    iloc = property(lambda self: self.values)

    def to_numpy(self):
        return self.values


def dataset(x, y=None, target=None, valid=None):
    return dataset_of(x, y, target, valid, rg.DataSettings(split=rg.SplitSettings(method="none")))


@pytest.mark.parametrize("x", [X, FRAME, COLUMNS], ids=["array", "frame", "columns"])
@pytest.mark.parametrize(
    "y",
    [PRICE, PRICE[:, None], PRICE.tolist(), pl.Series("price", PRICE), PandasSeries(PRICE), PandasSeries(PRICE, "p")],
    ids=["array", "column", "list", "polars", "pandas", "named"],
)
def test_x_and_y_are_accepted_in_any_usual_form_row_by_row(x, y):
    data = dataset(x, y)
    assert data.task == "regression"
    expected = PRICE if x is X else (PRICE - PRICE.mean()) / PRICE.std()
    np.testing.assert_allclose(data.train["y"][:, 0], expected, rtol=1e-5, atol=1e-6)
    if x is not X:
        assert np.array_equal(data.train["x"], dataset(FRAME, PRICE).train["x"])


def test_named_columns_may_include_the_target():
    data = dataset({**COLUMNS, "kind": ["u", "v"] * 20}, target="kind")
    assert (data.task, data.classes, data.features) == ("binary", ("u", "v"), ("a", "b", "c"))
    assert (
        dataset({"x": X, "y": PRICE[:40], "kind": ["u", "v"] * 20} | {"x": X[:, 0]}, target="kind").rows["train"] == 40
    )


def test_a_frame_of_targets_is_several_targets():
    data = dataset(FRAME, pl.DataFrame({"p": PRICE, "q": -PRICE}), valid=(FRAME, np.stack([PRICE, PRICE], 1)))
    assert data.preprocessing.target.names == ("p", "q")


@pytest.mark.parametrize(
    ("x", "y"),
    [(FRAME, pl.Series([np.nan, *PRICE[1:]])), (X, PandasSeries([np.nan, *PRICE[1:]]))],
    ids=["polars", "pandas"],
)
def test_a_row_without_a_target_is_left_out_and_reported(x, y, tmp_path):
    run = rg.fit(x, y, network=[rg.Dense(1)], epochs=1, root=tmp_path)
    assert sum(run.dataset.rows.values()) == 39
    assert any("skipped" in note for note in run.dataset.notes), run.dataset.notes


@pytest.mark.parametrize(
    ("x", "y", "match"),
    [
        (FRAME, PRICE[:5], "x has 40 rows, y has 5"),
        (FRAME, pl.Series("a", PRICE), "target 'a' has the same name as a column"),
        ({"a": [1, 2], "b": [1]}, None, "a has 2, b has 1"),
        ({"a": [[1], [2]], "b": [1, 2]}, None, "column 'a': expected one value per row"),
    ],
)  # fmt: skip
def test_mismatched_data_are_reported(x, y, match):
    with pytest.raises(rg.DataError, match=match):
        dataset(x, y)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def run(root):
    return rg.fit(FRAME, pl.Series("price", PRICE), network=NETWORK, epochs=2, root=root, name="line")


def test_one_target_gives_a_vector_and_several_a_column_each(run, tmp_path):
    assert run.predict(FRAME).shape == run.predict(COLUMNS).shape == run.predict(X).shape == (40,)
    two = rg.fit(X, np.stack([PRICE, -PRICE], 1), network=NETWORK, epochs=1, root=tmp_path)
    assert two.predict(X).shape == (40, 2)
    scores, error = two.scores["test"], np.abs(two.predict(two.dataset.test["x"]) - two.dataset.test["y"]).mean(0)
    assert [scores[f"mean_absolute_error of {name}"] for name in ("y1", "y2")] == pytest.approx(error, rel=1e-5)
    assert scores["r2"] == pytest.approx((scores["r2 of y1"] + scores["r2 of y2"]) / 2)


def test_evaluating_takes_targets_along_with_the_rows(run):
    whole = run.evaluate(FRAME.with_columns(price=PRICE))
    assert (
        run.evaluate(FRAME, PRICE) == run.evaluate(X, PRICE) == run.evaluate(FRAME, pl.Series("other", PRICE)) == whole
    )


def test_missing_columns_are_named_and_extra_ones_ignored(run):
    with pytest.raises(rg.DataError, match=r"missing columns 'b', 'c', 'price'; have: a"):
        run.evaluate(FRAME.select("a"))
    with pytest.warns(rg.RetrogradWarning, match="columns 'd', 'e' ignored: training did not have them"):
        assert np.array_equal(run.predict(FRAME.with_columns(d=1, e=2)), run.predict(FRAME))
    assert np.array_equal(run.predict(FRAME.select("c", "b", "a")), run.predict(FRAME))


def test_a_run_is_printed_on_one_line(run):
    text = repr(run)
    assert text.startswith("<Run line: regression, test loss ")
    assert f"epochs after 2 epochs, best epoch 2; {run.folder}>" in text
    assert len(text) < 250
    assert repr(run.model) == "<Model line: regression, 1 nodes>"


def test_a_model_is_loaded_by_whatever_a_person_would_type(run, root):
    for name, where in (("last", root), ("line", root), (run.folder.name, root), (run.folder, "nowhere")):
        assert np.isfinite(rg.load(name, runs=where).predict(FRAME)).all()
    with pytest.raises(rg.UsageError, match=r"no run 'nope'.*last"):
        rg.load("nope", runs=root)
