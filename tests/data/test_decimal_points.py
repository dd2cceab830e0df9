"""Wide tables: columns of ordinary numbers are read together, and nothing else is."""

import polars as pl
import pytest

from retrograd.data.dataset import load
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table
from retrograd.data.tables.plain import with_ordinary_numbers


@pytest.mark.parametrize("cells", [["1", "-20", "0"], ["1.5", "-2.25", None], ["3504.", "1.5e-3", "12"]])
def test_ordinary_numbers_become_numbers(cells):
    table = with_ordinary_numbers(Table(pl.DataFrame({"a": cells})), ["a"])
    assert table.frame["a"].to_list() == [None if cell is None else float(cell) for cell in cells]


@pytest.mark.parametrize(
    "cells",
    [
        ["01", "02"],
        ["20240131", "20240201"],
        ["1.394", "24.551"],
        ["1,5", "2,5"],
        ["12345678901234567890"],
        ["5 €"],
        ["1", "x"],
        ["-"],
    ],
    ids=["padded", "dates", "thousands", "commas", "long", "unit", "word", "dash"],
)
def test_codes_dates_and_numbers_in_other_notations_stay_text(cells):
    assert with_ordinary_numbers(Table(pl.DataFrame({"a": cells})), ["a"]).frame["a"].to_list() == cells


def test_the_cost_of_a_wide_table_is_that_of_its_cells(tmp_path, monkeypatch):
    """An expression costs a millisecond: with many of them per column, wide tables would take minutes."""
    calls = []
    collect = pl.LazyFrame.collect
    monkeypatch.setattr(
        pl.LazyFrame, "collect", lambda self, *rest, **more: calls.append(1) or collect(self, *rest, **more)
    )
    counts = []
    for width in (20, 60):
        path = tmp_path / f"w{width}.csv"
        rows = [
            ",".join([f"{(i * i + i * j) % 11 + 0.25 * j}" for j in range(width)] + [str(i % 2)]) for i in range(30)
        ]
        path.write_text("\n".join([",".join([*(f"c{j}" for j in range(width)), "y"]), *rows]) + "\n")
        calls.clear()
        load(DataSettings(path=str(path), target="y"))
        counts.append(len(calls))
    assert counts[1] - counts[0] < 40
