"""Columns of pandas in all their types, with missing values; pandas itself is no dependency."""

import pytest

from retrograd.data.dataset import from_frame
from retrograd.data.table import from_any_frame

pd = pytest.importorskip("pandas")

COLUMNS = {
    "Int64": [1, None, 3],
    "Float64": [1.5, None, 2.5],
    "boolean": [True, None, False],
    "string": ["a", None, "b"],
    "category": ["a", None, "b"],
    "object": ["a", None, "b"],
}


@pytest.mark.parametrize("dtype", COLUMNS)
def test_a_column_keeps_its_values_and_its_gaps(dtype):
    frame = pd.DataFrame({"c": pd.Series(COLUMNS[dtype], dtype=dtype)})
    assert from_any_frame(frame).frame["c"].to_list() == COLUMNS[dtype]


@pytest.mark.parametrize("dtype", ["int64[pyarrow]", "double[pyarrow]", "string[pyarrow]", "bool[pyarrow]"])
def test_a_column_of_arrow_keeps_its_values_and_its_gaps(dtype):
    pytest.importorskip("pyarrow")
    cells = {"i": [1, None, 3], "d": [1.5, None, 2.5], "s": ["a", None, "b"], "b": [True, None, False]}[dtype[0]]
    frame = pd.DataFrame({"c": pd.Series(cells, dtype=dtype)})
    assert from_any_frame(frame).frame["c"].to_list() == cells


def test_nullable_columns_make_a_data_set():
    frame = pd.DataFrame({name: pd.Series(cells * 10, dtype=name) for name, cells in COLUMNS.items()})
    frame["when"] = pd.Series(pd.to_datetime(["2024-01-01", None, "2024-01-03"] * 10))
    dataset = from_frame(frame.assign(y=range(30)), "y")
    assert len(dataset.train["x"]) == 22
