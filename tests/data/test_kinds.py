from datetime import date, datetime

import polars as pl
import pytest

from retrograd.base.errors import DataError
from retrograd.data.cells.kinds import find_kinds, kinds_notes
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table


def kinds_of(settings=None, **columns):
    settings = settings or DataSettings()
    table = Table(pl.DataFrame(columns, strict=False), "d.csv").with_missing(settings.missing_values)
    return find_kinds(table, table.names, settings)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", " 2.5", "-3e2", "NA", ""], "number"),
        (["true", "False", "?", "TRUE"], "boolean"),
        (["yes", "no", "no"], "boolean"),
        (["0", "1", "1"], "number"),
        (["red", "green", "red"], "category"),
        (["北京", "上海"], "category"),
        (["2020-01-31", "2021-12-01", "null"], "date"),
        (["2020-01-31 10:20", "2021-12-01 23:59"], "date"),
        (["2020-01-31T10:20:30.5Z", "2021-12-01T00:00:00+08:00"], "date"),
        (["31.01.2020", "1.2.2021"], "date"),
        (["2020年1月31日", "2021年12月1日"], "date"),
        (["10-20-30", "1-2-3"], "category"),
        ([1.5, float("nan")], "number"),
        ([True, None], "boolean"),
        ([date(2020, 1, 1)], "date"),
        ([datetime(2020, 1, 1, 12)], "date"),
    ],
)
def test_a_kind_is_inferred_from_the_cells(cells, kind):
    assert kinds_of(x=cells)["x"].kind == kind


def test_a_categorical_type_is_a_category_even_if_it_contains_digits():
    series = pl.Series("x", ["1", "2"], dtype=pl.Categorical)
    assert find_kinds(Table(series.to_frame()), ("x",), DataSettings())["x"].kind == "category"


def test_nineteen_numbers_of_twenty_make_a_number_column():
    assert kinds_of(x=["1"] * 19 + ["a"])["x"].kind == "number"
    assert kinds_of(x=["1"] * 18 + ["a"])["x"].kind == "category"


def test_one_other_word_after_many_makes_a_category_of_booleans():
    assert kinds_of(x=["yes", "no"] * 600)["x"].kind == "boolean"
    assert kinds_of(x=[*["yes", "no"] * 600, "perhaps"])["x"].kind == "category"


def test_a_category_that_is_mostly_numbers_is_reported():
    assert "90% of the cells of 'x' are numbers" in kinds_of(x=["1"] * 9 + ["a"])["x"].note


def test_infinity_counts_as_a_number_so_that_it_can_be_refused():
    assert kinds_of(x=["1", "inf", "1e400", "2"])["x"].kind == "number"


def test_ambiguous_days_and_months_are_reported():
    inferred = kinds_of(x=["01/02/2020", "03/04/2020"])["x"]
    assert inferred.form == "%m/%d/%Y"
    assert "%d/%m/%Y as well as" in inferred.note
    assert kinds_of(x=["01/02/2020", "31/03/2020", "30/04/2020"])["x"].form == "%d/%m/%Y"


def test_a_chosen_date_format_is_used():
    settings = DataSettings(kinds={"x": "%d/%m/%Y"})
    assert kinds_of(settings, x=["01/02/2020"])["x"].form == "%d/%m/%Y"


def test_a_chosen_kind_takes_precedence():
    assert kinds_of(DataSettings(kinds={"x": "category"}), x=["1", "2"])["x"].kind == "category"


def test_a_row_counter_is_an_identifier_only_under_such_a_name():
    assert kinds_of(PassengerId=["1", "2", "3"])["PassengerId"].kind == "identifier"
    assert kinds_of(x=["1", "2", "3"])["x"].kind == "number"
    assert kinds_of(paid=["1", "2", "3"])["paid"].kind == "number"


def test_names_that_hardly_repeat_are_an_identifier():
    assert kinds_of(who=[f"person {i}" for i in range(100)])["who"].kind == "identifier"
    assert kinds_of(who=[f"person {i % 40}" for i in range(100)])["who"].kind == "category"


def test_words_that_hardly_repeat_are_a_category_with_a_note():
    durations = [f"{i % 5}h {i}m" for i in range(60)]
    kind = kinds_of(x=durations)["x"]
    assert kind.kind == "category"
    assert (
        kind.note
        == "'x' is read as words, 60 distinct ones in 60 cells, such as '0h 0m', which tell little about new rows"
    )
    assert not kinds_of(x=durations * 5)["x"].note


def test_dates_in_full_width_digits_are_dates():
    assert kinds_of(x=["２０２４年１月３１日", "２０２３年１２月１日"])["x"].kind == "date"


def test_an_empty_column_is_refused():
    with pytest.raises(DataError, match="column 'x' is empty"):
        kinds_of(x=["", "NA", None])


def test_a_kind_for_an_unknown_column_is_refused():
    with pytest.raises(DataError, match="no column 'z'; have: x"):
        kinds_of(DataSettings(kinds={"z": "number"}), x=["1"])


def test_the_notes_show_each_kind():
    notes = kinds_notes(kinds_of(a=["1", "2"], b=["3", "4"], c=["u", "v"]))
    assert notes == ("2 number columns: a, b", "1 category column: c")


def test_leading_zeros_and_very_long_numbers_are_names_and_are_reported():
    codes = kinds_of(zip=["02134", "10001", "02134"])["zip"]
    assert codes.kind == "category"
    assert "leading zeros, such as 02134" in codes.note
    long = kinds_of(card=["5278528673535083671", "5278528673535083672"])["card"]
    assert long.kind == "identifier"
    assert "ignored" in long.note
    assert kinds_of(x=[2**53 + 2, 1])["x"].kind == "identifier"
    assert kinds_of(DataSettings(kinds={"zip": "number"}), zip=["02134", "10001"])["zip"].kind == "number"


def test_words_that_look_like_numbers_or_dates_are_reported_with_the_setting():
    sizes = [f"{i} {'kg' if i % 2 else 'lb'}" for i in range(90)]
    assert "numbers in several units (lb, kg)" in kinds_of(x=sizes)["x"].note
    days = [f"2020-01-{i % 28 + 1:02d} 10:{i % 60:02d}" if i % 4 else f"unknown {i}" for i in range(90)]
    assert "dates (%Y-%m-%d reads them" in kinds_of(x=days)["x"].note


def test_whole_numbers_that_are_all_dates_are_dates():
    assert kinds_of(day=[20240131, 20240201, 20231130])["day"].form == "%Y%m%d"
    assert kinds_of(count=[20240131, 20240201, 20239999])["count"].kind == "number"
