import json

import numpy as np
import polars as pl
import pytest

from retrograd.base.errors import DataError, LabelError
from retrograd.data.cells.precision import reading_in
from retrograd.data.dataset import from_arrays, from_frame, load
from retrograd.data.preprocessing import Preprocessing
from retrograd.data.report import Report
from retrograd.data.settings import DataSettings
from retrograd.data.split.settings import SplitSettings
from retrograd.training.use.metrics import label_metrics

ALL = SplitSettings(method="none")
X = [0.5, 1.5, 2.5, 3.5]
TRUTHS = [[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]]


def fitted(columns, target, **settings):
    return from_frame(pl.DataFrame({"x": X, **columns}), target, settings=DataSettings(split=ALL, **settings))


@pytest.mark.parametrize(
    ("no", "yes", "shown"),
    [(0, 1, (0, 1)), ("0", "1", (0, 1)), (0.0, 1.0, (0, 1)), ("no", "yes", ("no", "yes")), ("N", "Y", ("N", "Y")),
     (False, True, ("false", "true")), ("nein", "ja", ("nein", "ja"))],
)  # fmt: skip
def test_several_columns_of_truth_values_are_labels(no, yes, shown):
    data = fitted({"red": [no, yes, no, yes], "green": [yes, yes, no, no]}, ("red", "green"))
    assert data.task == "multilabel"
    assert data.train["y"].tolist() == TRUTHS
    assert data.sizes["classes"] == data.sizes["targets"] == 2
    again = Preprocessing.from_json(json.loads(json.dumps(data.preprocessing.to_json())))
    assert again == data.preprocessing
    decoded = again.decode(np.array([[-1.0, 2.0], [1000.0, -1000.0]]))
    assert decoded.labels.tolist() == [[shown[0], shown[1]], [shown[1], shown[0]]]
    assert decoded.probabilities[0] == pytest.approx([1 / (1 + np.e), 1 / (1 + np.e**-2)])
    assert again.classes == ("red", "green")


@pytest.mark.parametrize(
    "cells",
    [
        ["green", "red|green", None, "red"],
        ["green", "red, green", "", "red"],
        ["green", "green; red", None, "red"],
        ['["green"]', '["red", "green"]', "[]", '["red"]'],
        ["['green']", "['red', 'green']", "[]", "['red']"],
    ],
)
def test_cells_that_list_labels_are_labels(cells):
    data = fitted({"tags": cells}, "tags")
    assert data.task == "multilabel"
    assert data.classes == ("green", "red")
    assert np.asarray(data.train["y"])[:, ::-1].tolist() == TRUTHS
    assert fitted({"tags": cells}, "tags", task="multiclass", missing_values=("none",)).task == "multiclass"
    again = Preprocessing.from_json(json.loads(json.dumps(data.preprocessing.to_json())))
    with pytest.raises(LabelError, match="row 1, column 'tags': unseen label 'blue'"):
        again.transform(pl.DataFrame({"x": X[:1], "tags": ["blue"]}), with_target=True)


def test_names_with_commas_are_not_lists():
    assert fitted({"y": ["Lee, Ann", "Day, Bob", "Lee, Ann", "Day, Bob"]}, "y").task == "binary"


def test_one_hot_columns_and_arrays_are_classes():
    hot = np.eye(3)[[0, 2, 1, 0]]
    data = from_arrays(np.array(X), hot, settings=DataSettings(split=ALL))
    assert (data.task, data.classes, data.train["y"].tolist()) == ("multiclass", (0, 1, 2), [0, 2, 1, 0])
    columns = {name: hot[:, i].astype(int) for i, name in enumerate(("a", "b", "c"))}
    data = fitted(columns, ("a", "b", "c"))
    assert (data.task, data.classes, data.train["y"].tolist()) == ("multiclass", ("a", "b", "c"), [0, 2, 1, 0])
    again = Preprocessing.from_json(json.loads(json.dumps(data.preprocessing.to_json())))
    assert again == data.preprocessing
    with pytest.raises(LabelError, match="row 1: expected a single 1 in the columns a, b, c"):
        again.transform(pl.DataFrame({"x": X[:1], "a": [1], "b": [1], "c": [0]}), with_target=True)
    assert fitted(columns, ("a", "b", "c"), task="multilabel").task == "multilabel"
    assert fitted(columns, ("a", "b", "c"), task="regression").task == "regression"


def test_a_single_column_of_0_and_1_stays_two_classes_and_other_numbers_stay_numbers():
    assert fitted({"y": [0, 1, 0, 1]}, "y").task == "binary"
    assert fitted({"y": [-1, 1, 1, -1], "z": [1, 1, -1, -1]}, ("y", "z")).task == "regression"


def test_rows_without_a_target_are_left_out_and_rows_need_nothing_else():
    data = fitted({"w": [None, 1.0, 2.0, 3.0], "y": ["a", "b", None, "a"]}, "y")
    assert data.train["y"].shape == (3, 1)
    assert "1 of 4 rows are skipped: they have no value in the target y" in data.notes
    report = Report()
    frame = pl.DataFrame({"x": X, "w": X, "y": ["a", None, "b", None]})
    assert len(data.preprocessing.transform(frame, with_target=True, report=report)["x"]) == 2
    assert "2 rows without a target omitted" in report.sentences()
    several = fitted({"u": [0.5, None, 1.5, 2.5], "v": [0.1, 0.2, None, 0.4]}, ("u", "v"))
    assert len(several.train["y"]) == 2
    assert any("not all of the values in the target u, v" in note for note in several.notes)
    arrays = from_arrays(np.array(X), np.array([1.5, np.nan, 2.5, 3.25]), settings=DataSettings(split=ALL))
    assert arrays.train["x"].ravel().tolist() == [0.5, 2.5, 3.5]


def test_labels_that_differ_only_by_capitals_or_blanks_are_reported():
    notes = fitted({"y": ["Yes please", "yes please", "no", "no"]}, "y").notes
    assert any("only in case or spaces" in note and "'Yes please' and 'yes please'" in note for note in notes)


def test_a_target_of_many_different_texts_says_what_it_looks_like():
    frame = pl.DataFrame({"x": range(60), "y": [f"{i} kg" if i % 2 else f"{i} lb" for i in range(60)]})
    with pytest.raises(DataError, match=r"60 distinct texts in 60 rows.*several units \(lb, kg\)"):
        from_frame(frame, "y")


def test_metrics_of_labels_equal_values_computed_by_hand():
    truth = np.array([[1, 0], [0, 1], [1, 1], [0, 0]])
    shares = np.array([[0.9, 0.4], [0.2, 0.6], [0.4, 0.7], [0.1, 0.8]])
    scores = label_metrics(truth, shares, True, ("a", "b"))
    assert scores["accuracy"] == 6 / 8
    assert scores["all_right"] == 2 / 4
    assert scores["f1 of a"] == pytest.approx(2 / 3)
    assert scores["roc_auc of a"] == 1
    assert scores["roc_auc of b"] == pytest.approx(0.5)
    assert scores["log_loss of a"] == pytest.approx(-np.log([0.9, 0.8, 0.4, 0.9]).mean())
    assert label_metrics(truth, shares * np.nan, True, ("a", "b")) == {}


@pytest.mark.parametrize("kind", [pl.String, pl.Categorical])
def test_a_list_column_contains_labels(tmp_path, kind):
    tags = pl.Series("tags", [["green"], ["red", "green"], [], ["red"]], dtype=pl.List(kind))
    pl.DataFrame({"x": X, "tags": tags}).write_parquet(tmp_path / "d.parquet")
    data = load(DataSettings(path="d.parquet", target="tags", split=ALL), tmp_path)
    assert (data.task, data.classes) == ("multilabel", ("green", "red"))
    assert np.asarray(data.train["y"])[:, ::-1].tolist() == TRUTHS
    assert fitted({"tags": tags}, "tags").classes == ("green", "red")


def test_lists_of_numbers_are_labels_only_as_the_target(tmp_path):
    pl.DataFrame({"x": X, "tags": [[3], [4, 3], [], [4]]}).write_parquet(tmp_path / "d.parquet")
    assert load(DataSettings(path="d.parquet", target="tags", split=ALL), tmp_path).classes == ("3", "4")
    with pytest.raises(DataError, match="column 'tags' contains List"):
        load(DataSettings(path="d.parquet", target="x"), tmp_path)


@pytest.mark.parametrize(("scale", "words"), [(None, "'y' contains numbers too large to scale; divide"), ("none", "too large for a 32-bit")])  # fmt: skip
def test_a_target_that_is_too_large_is_named(scale, words):
    with pytest.raises(DataError, match=words):
        fitted({"z": X, "y": [1e200, 2e200, 3e200, 0.0]}, ("z", "y"), scale_target=scale)


def test_labels_are_read_in_the_precision_of_the_run():
    with reading_in("float64"):
        assert fitted({"a": [0, 1, 1, 0], "b": [1, 1, 0, 0]}, ("a", "b")).train["y"].dtype == np.float64
        assert fitted({"y": [0, 1, 1, 0]}, "y").train["y"].dtype == np.float64
