import tracemalloc

import numpy as np
import polars as pl
import pytest

from retrograd.base.errors import DataError
from retrograd.data.cells.notation import Notation
from retrograd.data.dataset import from_frame, load
from retrograd.data.preprocessing import Preprocessing
from retrograd.data.report import Report
from retrograd.data.settings import DataSettings
from retrograd.data.split.settings import SplitSettings
from retrograd.data.table import Table
from retrograd.data.tables.plain import to_plain
from retrograd.data.tables.typed import TypedTable, complete_rows

ALL = SplitSettings(method="none")
PLAIN = pl.DataFrame({"miles": [63380, 165028, 900], "share": [18, 8, 3], "price": [19862.65, -806.48, 10.0]})
WRITTEN = {
    "en": {"miles": ["63,380", "165,028", "900"], "share": ["18%", "8%", "3%"],
           "price": ["$19,862.65", "($806.48)", "$10.00"]},
    "de": {"miles": ["63.380 km", "165.028 km", "900 km"], "share": ["18", "8", "3"],
           "price": ["19.862,65 €", "-806,48 €", "10,00 €"]},
    "fr": {"miles": ["63 380", "165 028", "900"], "share": ["18,0", "8,0", "3,0"],
           "price": ["19 862,65", "−806,48", "10"]},
    "ch": {"miles": ["63'380", "165'028", "900"], "share": ["18", "8", "3"],
           "price": ["CHF 19'862.65", "CHF -806.48", "CHF 10.-"]},
}  # fmt: skip


@pytest.mark.parametrize("language", WRITTEN)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_features_and_target_are_the_same_however_they_are_written(tmp_path, language, separator):
    path = tmp_path / "t.csv"
    frame = pl.DataFrame(WRITTEN[language])
    frame.write_csv(path, separator=separator)
    expected = from_frame(PLAIN, "price", settings=DataSettings(split=ALL))
    data = load(DataSettings(path=str(path), target="price", split=ALL, separator=separator))
    assert data.task == "regression"
    assert np.array_equal(data.train["x"], expected.train["x"])
    assert np.array_equal(data.train["y"], expected.train["y"])
    again = Preprocessing.from_json(data.preprocessing.to_json())
    assert np.array_equal(again.transform(frame, with_target=True)["x"], expected.train["x"])
    assert np.array_equal(again.transform(PLAIN, with_target=True)["x"], expected.train["x"])
    french = pl.DataFrame(WRITTEN["fr"])  # a further file may use another notation
    assert np.array_equal(again.transform(french, with_target=True)["y"], expected.train["y"])


def test_another_currency_is_another_quantity():
    fitted = from_frame(pl.DataFrame(WRITTEN["de"]), "price", settings=DataSettings(split=ALL)).preprocessing
    with pytest.raises(DataError, match=r"column 'price': expected a finite number in €, found '\$19,862.65'"):
        fitted.transform(pl.DataFrame(WRITTEN["en"]), with_target=True)


def test_a_single_further_row_is_read_like_the_training_rows():
    frame = pl.DataFrame({"x": ["1.234,5", "955,68"], "y": [1.5, 2.5]})
    fitted = from_frame(frame, "y", settings=DataSettings(split=ALL, scale="none")).preprocessing
    assert fitted.transform(pl.DataFrame({"x": ["1.234"]}), with_target=False)["x"].tolist() == [[1234]]
    report = Report()
    assert fitted.transform(pl.DataFrame({"x": ["1234.5"]}), with_target=False, report=report)["x"].tolist() == [
        [1234.5]
    ]
    assert report.sentences() == ("column 'x': its decimal mark is '.', but in training it was ','",)


def test_readings_are_reported_with_the_setting():
    notes = from_frame(pl.DataFrame(WRITTEN["en"]), "price", settings=DataSettings(split=ALL)).notes
    (note,) = [note for note in notes if "written as text" in note]
    assert "price ('$19,862.65' is 19862.65)" in note
    assert "`kinds:`" in note
    frame = pl.DataFrame({"x": ["24,551", "19,222"], "y": [1.5, 2.5]})
    assert any("`decimal: ','`" in note for note in from_frame(frame, "y", settings=DataSettings(split=ALL)).notes)


def test_a_kind_and_an_example_say_how_a_column_is_read():
    frame = pl.DataFrame({"x": ["24,551", "19,222", "so"], "y": [1.5, 2.5, 3.5]})

    def x(kind):
        settings = DataSettings(split=ALL, scale="none", kinds={"x": kind}, invalid="missing", missing="median")
        return from_frame(frame, "y", settings=settings).train["x"][:2, 0].tolist()

    assert x("number") == [24551, 19222]
    assert x("1.234,5") == pytest.approx([24.551, 19.222])
    assert x("category") == [0, 1]


def test_a_cell_that_is_not_a_number_is_reported_as_written(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + '"$1,200",1.5\n' * 30 + "dear,2.5\n")
    with pytest.raises(
        DataError, match=r"t\.csv:32: line 32, column 'x': expected a finite number in \$, found 'dear'"
    ):
        load(DataSettings(path=str(path)))


def test_weight_and_split_columns_may_use_the_same_notations():
    frame = pl.DataFrame({"x": [1.0, 2, 3], "w": ["1,5", "2,5", "3,25"], "y": [1.5, 2.5, 3.5]})
    data = from_frame(frame, "y", settings=DataSettings(split=ALL, weight="w"))
    assert data.train["sample_weight"].tolist() == [1.5, 2.5, 3.25]


def test_columns_are_read_one_after_another(monkeypatch):
    read, alive = Notation.read, []
    monkeypatch.setattr(Notation, "read", lambda notation, cells: alive.append(1) or read(notation, cells))

    class Files(Table):
        def with_columns(self, series):
            for _ in series:  # as a table in files does: it writes each column before it reads the next
                assert len(alive) == 1
                alive.clear()
            return self

    table = Files(pl.DataFrame({name: ["$1", "$2"] for name in "abc"}))
    to_plain(table, dict.fromkeys("abc", Notation(unit="$")), "error")


def test_complete_rows_are_found_without_the_masks_of_all_columns_at_once():
    values = pl.DataFrame({f"x{i}": [1.0, None] * 10_000 for i in range(100)})
    table = TypedTable(values, values=values.with_columns(x0=pl.Series([None, 1.0, 1.0, 1.0] * 5_000)))
    tracemalloc.start()
    try:
        rows = complete_rows(table)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(rows) == 5_000
    assert peak < 1_000_000  # the masks of 100 columns take 2,000,000
