import polars as pl
import pytest

from retrograd.data.cells.dialects import example_notation, find_notations, notation_like
from retrograd.data.cells.notation import Notation


def read(cells, **settings):
    notation = find_notations({"x": pl.Series("x", cells, dtype=pl.String)}, **settings).get("x")
    return None if notation is None else notation.notation.read(pl.Series(cells, dtype=pl.String)).to_list()


@pytest.mark.parametrize(
    ("cells", "further", "number"),
    [
        (["1.4K", "2M"], "3K", 3000),
        (["1.5万元", "5000元"], "3万元", 30000),
        (["1.5万元", "5000元"], "３万元", 30000),
        (["1.5万元", "5000元"], "300元", 300),
        (["１００", "２００"], "100", 100),
    ],
)
def test_one_further_cell_is_read_like_those_of_training(cells, further, number):
    prior = find_notations({"x": pl.Series("x", cells)})["x"].notation
    cell = pl.Series("x", [further])
    assert notation_like(cell, prior).read(cell).to_list() == [number]


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["63,380", "1,165,028", "1,006.5"], [63380, 1165028, 1006.5]),
        (["1.011,44", "955,68", "12"], [1011.44, 955.68, 12]),
        (["1 234,56", "12,5"], [1234.56, 12.5]),
        (["1\u202f234,56", "1\u00a0012,5"], [1234.56, 1012.5]),
        (["1'234.50", "12.-", "CHF 5.50"], [1234.5, 12, 5.5]),
        (["₹1,23,456.00", "₹ 500", "₹12,34,567"], [123456, 500, 1234567]),
        (["R$ 1.234,56", "R$ 12,00", "-R$ 3,10"], [1234.56, 12, -3.1]),
        (["1.234,56 €", "12 €", "-3,5 €"], [1234.56, 12, -3.5]),
        (["kr 1 234,50", "kr 12", "kr 1 500"], [1234.5, 12, 1500]),
        (["18%", "8 %"], [18, 8]),
        (["($2,794)", "$1,706", "$ 10"], [-2794, 1706, 10]),
        (["100.00-", "5.00"], [-100, 5]),
        (["−5.5", "–3"], [-5.5, -3]),
        (["1,234.50 Dr", "12.00 Cr"], [-1234.5, 12]),
        (["12 kg", "3.5 kg", "11"], [12, 3.5, 11]),
        (["36 months", "1 month"], [36, 1]),
        (["3.5 l/100km", "4 l/100km"], [3.5, 4]),
        (["€110.5M", "€500K", "€0"], [110.5e6, 500e3, 0]),
        (["10,000+", "500+"], [10000, 500]),
        (["1.5万", "5000", "20万"], [15000, 5000, 200000]),
        (["1.5万元", "5000元", "2亿元"], [15000, 5000, 2e8]),
        (["10.2万人", "8万人"], [102000, 80000]),
        (["1,5 Mio. €", "500 Tsd. €", "12 €"], [1.5e6, 500e3, 12]),
        (["₹1.5 lakh", "₹2 crore"], [150000, 2e7]),
        (["$2.5 million", "$500,000"], [2.5e6, 500000]),
        (["5.5k€", "2M€", "300€"], [5500, 2e6, 300]),
        (["12k", "15k"], [12, 15]),
        (["１，２３４．５", "２０", "－３"], [1234.5, 20, -3]),
        (["-", "12", "n/a", "3", "#DIV/0!"], [None, 12, None, 3, None]),
        (["0,123", "0,456"], [0.123, 0.456]),
        (["1e5", "2.5E-3", "1,000"], [1e5, 0.0025, 1000]),
    ],
)
def test_numbers_are_read_as_people_write_them(cells, numbers):
    assert read(cells) == numbers


@pytest.mark.parametrize(
    "cells",
    [
        ["12", "1.5", "-3e2"],
        ["+49 301 234 567", "+49 301 234 568"],  # phone numbers
        ["030 123 456", "040 222 333"],
        ["192.168.1.1", "10.0.0.1"],
        ["2024-01-31", "2024-02-01"],
        ["13:45", "12:01"],
        ["52.52, 13.40", "1.2, 3.4"],
        ["10-20", "20-30"],
        ["1st", "2nd", "3rd"],
        ["A12", "B13"],
        ["$12", "€15"],  # two currencies are not one quantity
        ["12 GB", "512 MB"],
        ["12 Monkeys", "Se7en", "Up"],
    ],
)
def test_plain_numbers_and_other_texts_are_left_alone(cells):
    assert read(cells) is None


def test_three_digits_follow_a_thousands_comma_unless_something_says_otherwise():
    cells = ["24,551", "19,222"]
    assert read(cells) == read(cells, decimal=".") == read(cells, thousands=",") == [24551, 19222]
    assert read(cells, decimal=",") == [24.551, 19.222]
    assert "thousands" in find_notations({"x": pl.Series(cells)})["x"].doubt


def test_three_digits_follow_a_decimal_point_unless_something_says_otherwise():
    cells = ["24.551", "19.222"]
    assert read(cells) is None
    assert read(cells, decimal=",") == read(cells, thousands=".") == [24551, 19222]
    assert "decimal mark" in find_notations({"x": pl.Series(cells)}, separator=";")["x"].doubt


def test_small_whole_numbers_without_a_mark_show_that_the_others_are_grouped():
    assert read(["1.200", "954", "3.400"]) == [1200, 954, 3400]  # a shortened decimal would be 1.2
    assert read(["1.200", "954", "1500"]) is None


def test_the_other_columns_of_a_table_resolve_an_ambiguous_column():
    columns = {"open": pl.Series(["1,234", "2,345"]), "clear": pl.Series(["1,5", "2,25"])}
    assert find_notations(columns)["open"].notation == Notation(",")
    assert find_notations({**columns, "clear": pl.Series(["1,234.5", "2.25"])})["open"].notation == Notation(".", ",")


def test_an_example_determines_a_notation_if_it_is_unambiguous():
    assert example_notation("1.234,56") == Notation(",", ".")
    assert example_notation("1'234.5") == Notation(".", "'")
    assert example_notation("1.234") is None
    assert example_notation("%d.%m") is None


def test_money_has_no_thousandths():
    assert read(["€ 1.234", "€ 5.678"]) == [1234, 5678]
    assert read(["¥59,828", "¥10,000"]) == [59828, 10000]


def test_a_unit_may_be_on_either_side_if_it_is_always_the_same():
    notation = find_notations({"p": pl.Series(["$12.00 USD", "$1,300.50 USD", "-$7 USD", "$5"])})["p"].notation
    assert notation.read(pl.Series(["$12.00 USD", "$1,300.50 USD", "-$7 USD", "$5"])).to_list() == [12, 1300.5, -7, 5]
    assert notation.read(pl.Series(["$12.00 CAD"])).to_list() == [None]
    assert not find_notations({"p": pl.Series(["$12 USD", "$13 CAD", "$5 USD"])})
