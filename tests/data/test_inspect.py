"""Odd columns are reported in one line each, and ordinary ones are not."""

import polars as pl

from retrograd.data.tables.inspect import SAMPLE, inspect_columns

ROWS = 30
PRICE = pl.Series("price", [float(i * i % 17) for i in range(ROWS)])
SIZE = pl.Series("size", [float(i * 7 % 11) for i in range(ROWS)])
KIND = pl.Series("kind", ["ab"[i % 2] for i in range(ROWS)])


def findings(features, *targets):
    return {
        (each.name, each.path) for each in inspect_columns({s.name: s for s in features}, {t.name: t for t in targets})
    }


def test_ordinary_columns_are_not_reported():
    other = pl.Series("other", [i % 3 / 2 for i in range(ROWS)])
    fractions = pl.Series("fractions", [i / 7 for i in range(ROWS)])
    assert findings([SIZE, other, fractions], PRICE) == findings([SIZE, other], KIND) == set()


def test_a_copy_of_the_target_is_a_leak_under_any_name():
    assert findings([SIZE, PRICE.alias("cost")], PRICE) == {("target_leak", "column 'cost'")}
    renamed = KIND.replace_strict({"a": 7.0, "b": 3.0}).alias("code")
    assert findings([SIZE, renamed], KIND) == {("target_leak", "column 'code'")}


def test_a_number_that_differs_in_every_row_may_be_an_identifier():
    customer = pl.Series("customer", [float(1000 + i * 77 % 31 * 5) for i in range(ROWS)])
    assert findings([SIZE, customer], PRICE) == {("row_name", "column 'customer'")}


def test_a_column_that_repeats_another_is_reported_once_with_its_original():
    (finding,) = inspect_columns({"size": SIZE, "again": SIZE.alias("again"), "constant": SIZE * 0}, {"price": PRICE})
    assert str(finding).startswith("column 'again': the same as 'size' in every row")


def test_a_column_equal_to_the_target_in_sampled_rows_is_compared_in_all_rows():
    rows = 3 * SAMPLE  # every third is compared first
    answers = pl.Series("answer", [i % 2 for i in range(rows)])
    almost = pl.Series("almost", [float(i % 2) for i in range(rows)])
    wrong = almost.alias("wrong")
    wrong[1] = 1.0 - wrong[1]  # not among those
    assert findings([almost], answers) == {("target_leak", "column 'almost'")}
    assert findings([wrong], answers) == set()
    assert findings([almost, wrong], answers) == {("target_leak", "column 'almost'")}  # nor a copy of one another


def test_whole_numbers_that_repeat_once_in_many_rows_are_not_identifiers():
    rows = 3 * SAMPLE
    names = pl.Series("customer", [float(i * 7919 % rows) for i in range(rows)])
    once = names.alias("customer")
    once[1] = once[2]
    assert findings([names], pl.Series("y", [i % 5 / 7 for i in range(rows)])) == {("row_name", "column 'customer'")}
    assert findings([once], pl.Series("y", [i % 5 / 7 for i in range(rows)])) == set()


def test_the_other_columns_of_a_one_hot_target_are_a_leak():
    hot = {f"is_{name}": [float(k % 3 == i) for k in range(30)] for i, name in enumerate(["cat", "dog", "bird"])}
    parts = [pl.Series(name, values) for name, values in hot.items()]
    flag = pl.Series("flag", [float(k % 2) for k in range(30)])
    answers = parts[2].cast(pl.Int64).cast(pl.String)
    (leak,) = inspect_columns({s.name: s for s in [SIZE, *parts[:2], flag]}, {"is_bird": answers})
    assert (leak.name, leak.path) == ("target_leak", "columns 'is_cat', 'is_dog'")
    assert "`target: [is_cat, is_dog, is_bird]` treats them as classes" in leak.message
    assert not inspect_columns({s.name: s for s in [SIZE, parts[0], flag]}, {"is_bird": parts[2]})
