"""Rows in the configuration itself."""

import numpy as np
import pytest

from retrograd.base.errors import ConfigError
from retrograd.base.schema import parse
from retrograd.data.dataset import load
from retrograd.data.settings import DataSettings


def loaded(**settings):
    return load(parse(DataSettings, settings, "data"))


def test_rows_are_read_as_they_are_with_the_target_last():
    data = loaded(rows=[[1, 2, 3, 0], [4, 5, 6, 1], [7, 8, 9, 1]])
    assert data.train["x"].tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert data.train["y"].ravel().tolist() == [0, 1, 1]
    assert data.task == "binary"
    assert data.valid is None  # every row trains


def test_columns_name_a_target_in_any_position():
    data = loaded(rows=[[0.5, 10], [1.5, 20], [2.5, 35]], columns=["price", "size"], target="price")
    assert data.task == "regression"
    assert data.train["x"].ravel().tolist() == [10, 20, 35]
    np.testing.assert_allclose(data.train["y"].ravel(), [0.5, 1.5, 2.5])


def test_words_are_classes_and_categories():
    data = loaded(rows=[["red", 1, "yes"], ["blue", 2, "no"], ["red", 3, "no"], ["blue", 4, "yes"]])
    assert data.classes == ("no", "yes")
    assert data.train["x"].shape == (4, 3)


def test_rows_without_a_target():
    data = loaded(rows=[[1, 0], [0, 1], [1, 1]], task="unsupervised")
    assert data.train["x"].shape == (3, 2)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"rows": [[1, 2], [3]]}, "data.rows.1: expected 2 cells, as in the first row, found 1"),
        ({"rows": [[1, 2]], "columns": ["a"]}, "data.rows.0: expected 1 cells, as in columns, found 2"),
        ({"rows": []}, "data.rows: no rows"),
        ({"rows": [1, 2]}, "data.rows: expected rows, each a list of cells"),
        ({"rows": [[1, float("nan")]]}, "data.rows: expected rows, each a list of cells"),
        ({"rows": [[1, 2]], "builtin": "xor"}, "data.rows: set together with 'xor'"),
        ({"columns": ["a"]}, "data.columns: names without rows"),
        ({"rows": [[1, 2]], "columns": ["a", "a"]}, "data.columns: names a column twice"),
    ],
)
def test_rows_that_do_not_form_a_table_are_reported(settings, words):
    with pytest.raises(ConfigError) as caught:
        parse(DataSettings, settings, "data")
    assert words in str(caught.value)
