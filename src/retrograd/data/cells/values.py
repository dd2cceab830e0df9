"""Reading cells as numbers, booleans, dates or words; text such as "1.234,5 kg" goes through `notation` first."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from retrograd.data.cells.dates import read_dates
from retrograd.data.cells.notation import stands_for_none
from retrograd.data.decimal_points import FIRST

TRUE_WORDS = ("true", "yes", "y", "t", "wahr", "ja", "vrai", "oui", "sí", "si", "sim", "是")
FALSE_WORDS = ("false", "no", "n", "f", "falsch", "nein", "faux", "non", "não", "否")
MICROSECONDS_PER_DAY = 86_400_000_000


class Parsed(NamedTuple):
    """A column read as one kind: its values (null if missing or unreadable), and which cells are unreadable."""

    values: pl.Series
    bad: pl.Series


def numbers(series: pl.Series) -> Parsed:
    """Read cells as finite numbers (Float64)."""
    series = _plain(series)
    if series.dtype.is_temporal():
        return _unreadable(series, pl.Float64)
    if series.dtype.is_numeric():  # a shortcut for columns without a bad cell, which nearly all are
        values = series.cast(pl.Float64)
        if np.isfinite(values.to_numpy()).sum() + values.null_count() == len(values):
            return Parsed(values, pl.Series(series.name, np.zeros(len(series), bool)))
    return _parsed(series, _finite(series.cast(pl.Float64, strict=False)))


def booleans(series: pl.Series) -> Parsed:
    """Read true, yes, 1 as 1.0 and false, no, 0 as 0.0 (Float64)."""
    series = _plain(series)
    words = series.cast(pl.String).str.to_lowercase().str.strip_suffix(".0")
    table = dict.fromkeys((*TRUE_WORDS, "1"), 1.0) | dict.fromkeys((*FALSE_WORDS, "0"), 0.0)
    return _parsed(series, words.replace_strict(table, default=None, return_dtype=pl.Float64))


def dates(series: pl.Series, form: str) -> Parsed:
    """Read dates as days since 1970 (Float64; the time of day is the fraction); text is read in this format.

    A dash or n/a is a missing value.
    """
    series = _plain(series)
    if series.dtype.is_integer():
        series = series.cast(pl.String)
    if series.dtype == pl.String:
        days = read_dates(series, form)
        return Parsed(days, series.is_not_null() & days.is_null() & ~stands_for_none(series).fill_null(False))
    if series.dtype not in (pl.Date, pl.Datetime):
        return _unreadable(series, pl.Float64)
    return _parsed(series, series.dt.epoch("us").cast(pl.Float64) / MICROSECONDS_PER_DAY)


def words(series: pl.Series) -> Parsed:
    """Read cells as text; 1, 1.0 and "1" are the same word, and so are true and "true"."""
    series = _plain(series)
    text = series.cast(pl.String)
    if series.dtype.is_float():
        whole = series.cast(pl.Int64, strict=False)
        is_whole = whole.cast(pl.Float64) == series.cast(pl.Float64)
        text = whole.cast(pl.String).zip_with(is_whole.fill_null(False), text)
    return _parsed(series, text)


def label_words(series: pl.Series, as_numbers: bool) -> pl.Series:
    """Return labels as text; whole numbers (01, 1, 1.0) in their shortest form, of any length."""
    text = words(series).values
    if not as_numbers:
        return text
    text = text.str.replace(r"^([+-]?\d+)\.0*$", "$1")
    return text.cast(pl.Int64, strict=False).cast(pl.String).fill_null(text)


def is_constant(series: pl.Series) -> bool:
    """Return whether all cells are the same; the first cells usually show that they are not."""
    return len(series) > 0 and series.head(FIRST).n_unique() == 1 == series.n_unique()


def _plain(series: pl.Series) -> pl.Series:
    """Return categories as their text."""
    return series.cast(pl.String) if series.dtype in (pl.Categorical, pl.Enum) else series


def _finite(values: pl.Series) -> pl.Series:
    return values.set(~values.is_finite().fill_null(True), None)


def _parsed(series: pl.Series, values: pl.Series) -> Parsed:
    return Parsed(values.alias(series.name), series.is_not_null() & values.is_null())


def _unreadable(series: pl.Series, dtype: type[pl.DataType]) -> Parsed:
    return _parsed(series, pl.Series(series.name, [None] * len(series), dtype=dtype))
