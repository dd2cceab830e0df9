from datetime import UTC, datetime

import polars as pl
import pytest

from retrograd.data.cells.date_forms import example
from retrograd.data.cells.dates import FORMS, find_date, is_date_form, read_dates


def moments(cells, form):
    days = read_dates(pl.Series(cells, dtype=pl.String), form).to_list()
    return [
        None if day is None else datetime.fromtimestamp(round(day * 86400, 3), UTC).isoformat()[:19] for day in days
    ]


def dates_in(cells, **settings):
    dated = find_date(pl.Series(cells, dtype=pl.String), 0.95, **settings)
    return None if dated is None else moments(cells, dated.form)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["2024-01-01 00:53:00", "2024-01-02 01:00:00.25"], ["2024-01-01T00:53:00", "2024-01-02T01:00:00"]),
        (["2011-01-01T00:00:00+01:00", "2011-01-01T00:00:00Z", "2011-01-01T00:00:00-0530", "2011-01-01"],
         ["2010-12-31T23:00:00", "2011-01-01T00:00:00", "2011-01-01T05:30:00", "2011-01-01T00:00:00"]),
        (["3/14/2015 1:30:00 PM", "12/1/2015 12:05 am"], ["2015-03-14T13:30:00", "2015-12-01T00:05:00"]),
        (["31/01/2024 13:45", "01/02/2024"], ["2024-01-31T13:45:00", "2024-02-01T00:00:00"]),
        (["14 Mar 2015", "1st of January 2016"], ["2015-03-14T00:00:00", "2016-01-01T00:00:00"]),
        (["Mar 14, 2015", "Sept. 1st, 2015"], ["2015-03-14T00:00:00", "2015-09-01T00:00:00"]),
        (["14MAR2015", "15APR2015"], ["2015-03-14T00:00:00", "2015-04-15T00:00:00"]),
        (["14-Mar-68", "15-Apr-69"], ["2068-03-14T00:00:00", "1969-04-15T00:00:00"]),
        (["31.01.24", "01.02.24"], ["2024-01-31T00:00:00", "2024-02-01T00:00:00"]),
        (["5. Februar 2024", "Di, 12. März 2024"], ["2024-02-05T00:00:00", "2024-03-12T00:00:00"]),
        (["5 février 2024 à 13h45", "1er mars 2024"], ["2024-02-05T13:45:00", "2024-03-01T00:00:00"]),
        (["2024年3月5日 13:45:00", "2024年12月5日"], ["2024-03-05T13:45:00", "2024-12-05T00:00:00"]),
        (["Wed, 25 Mar 2015 01:00:00 +0100", "26 Mar 2015 01:00 EST"], ["2015-03-25T00:00:00", "2015-03-26T06:00:00"]),
        (["Wed Aug 27 13:08:45 +0000 2008", "Thu Aug 28 13:08:45 2008"], ["2008-08-27T13:08:45", "2008-08-28T13:08:45"]),
        (["10/Oct/2000:13:55:36 -0700", "11/Oct/2000:13:55:36 -0700"], ["2000-10-10T20:55:36", "2000-10-11T20:55:36"]),
        (["20240131T134500", "20240201T000000"], ["2024-01-31T13:45:00", "2024-02-01T00:00:00"]),
        (["1990-01", "1991-12"], ["1990-01-01T00:00:00", "1991-12-01T00:00:00"]),
        (["Jan-90", "Dec-91"], ["1990-01-01T00:00:00", "1991-12-01T00:00:00"]),
        (["1990M01", "1990M12"], ["1990-01-01T00:00:00", "1990-12-01T00:00:00"]),
        (["2015Q1", "2015Q4"], ["2015-01-01T00:00:00", "2015-10-01T00:00:00"]),
        (["2015-W12", "2015-W53"], ["2015-03-16T00:00:00", "2015-12-28T00:00:00"]),
        (["20240131", "20240201", "20231130"], ["2024-01-31T00:00:00", "2024-02-01T00:00:00", "2023-11-30T00:00:00"]),
        (["1:30 PM", "12:00 am"], ["1970-01-01T13:30:00", "1970-01-01T00:00:00"]),
    ],
)  # fmt: skip
def test_dates_are_recognised_and_read_as_people_write_them(cells, expected):
    assert dates_in(cells) == expected


@pytest.mark.parametrize(
    "cells",
    [
        ["2009-10", "2010-11", "2011-12"],  # seasons
        ["10-20-30", "1-2-3"],
        ["1.2.3", "1.2.4"],
        ["08/10", "10/10"],
        ["2024-02-30", "2024-02-31"],
        ["2020", "2021", "2022"],
        ["20240131", "20240199", "20240201"],
        ["200101", "200102", "200103"],
        ["555-1234", "555-9876"],
        ["red", "green"],
    ],
)
def test_strings_that_only_resemble_dates_are_not_dates(cells):
    assert dates_in(cells) is None


def test_days_and_months_are_distinguished_by_the_whole_column_then_by_others_then_by_the_order_of_rows():
    daily, monthly = (
        [f"{day:02d}/02/2020" for day in range(1, 13)],
        [f"01/{i % 12 + 1:02d}/{2020 + i // 12}" for i in range(15)],
    )
    assert dates_in([*daily, "13/02/2020"])[0] == "2020-02-01T00:00:00"
    assert find_date(pl.Series(daily), 0.95).form == "%d/%m/%Y"
    assert find_date(pl.Series(monthly), 0.95).form == "%d/%m/%Y"  # even steps: months, not days of January
    open_ = pl.Series(["01/02/2020", "03/01/2020", "02/02/2020"])
    assert find_date(open_, 0.95)[:2] == ("%m/%d/%Y", ("%d/%m/%Y",))
    assert find_date(open_, 0.95, {"%d/%m/%Y"}).form == "%d/%m/%Y"


@pytest.mark.parametrize("form", FORMS)
def test_every_format_reads_its_own_example(form):
    (day,) = read_dates(pl.Series([example(form)]), form)
    assert day is not None


@pytest.mark.parametrize(
    ("form", "cell", "expected"),
    [
        ("%Y-%m", "1990-12", "1990-12-01T00:00:00"),
        ("%d.%m.%Y %H:%M", "31.12.2024 13:45", "2024-12-31T13:45:00"),
        ("%d/%m/%Y %I:%M %p", "31/12/2024 1:45 PM", "2024-12-31T13:45:00"),
        ("%Y-%m-%dT%H:%M:%S%z", "2024-12-31T13:45:00+02:00", "2024-12-31T11:45:00"),
        ("%Y-%m-%d %H:%M:%S.%f", "2024-12-31 13:45:00.5", "2024-12-31T13:45:00"),
        ("%Y-%m-%d %H:%M:%S", "2024-12-31 13:45:00.25", "2024-12-31T13:45:00"),
        ("%m/%y", "12/24", "2024-12-01T00:00:00"),
        ("%Y%j", "2024366", "2024-12-31T00:00:00"),
    ],
)
def test_a_format_may_be_named(form, cell, expected):
    assert moments([cell], form) == [expected]


def test_an_unknown_format_is_refused():
    assert not any(is_date_form(form) for form in ("", "abc", "%", "%Q", "%Y-%Y", "%A"))
