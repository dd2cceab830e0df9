"""Dates and times in text, in all common formats: read as days, in the format that suits the whole column."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from retrograd.data.cells.date_forms import MONTH_NUMBERS, ZONES, marks, pattern
from retrograd.data.cells.notation import half_width

PIVOT = 69  # two-digit years below this are in this century, as in POSIX
YEARS = (1800, 2200)  # range of compact dates, which could be numbers as well
SAMPLE = 1000
FEW_REPEATS = 2  # cells per distinct cell from which reading only distinct cells is faster
FEWEST_MONTHS = 12  # minimum number of distinct cells for 199001 to be a month rather than a number
DISTINCT_DAYS = 3  # and for 20240131 to be a day: one number in 27 in these years is a day by chance
NUMERIC = tuple(
    form.replace("-", mark)
    for mark in "-/."
    for form in (("%Y-%m-%d", "%m-%d-%Y", "%d-%m-%Y", "%m-%d-%y", "%d-%m-%y") if mark == "/" else
                 ("%Y-%m-%d", "%d-%m-%Y", "%m-%d-%Y", "%d-%m-%y", "%m-%d-%y"))
)  # fmt: skip
NAMED = ("%d %b %Y", "%b %d %Y", "%Y %b %d", "%d %b %y", "%b %Y", "%Y %b", "%b %y")
CLOCKS = ("%b %d %H:%M:%S %z %Y", "%b %d %H:%M:%S %Y", "%H:%M")
MONTHLY = ("%Y-%m", "%Y/%m", "%m/%Y", "%m-%Y", "%YM%m", "%Y年%m月", "%YQ%q", "%Y-Q%q", "%Y Q%q", "Q%q %Y", "Q%q-%Y",
           "Q%q/%Y", "%Y-W%V-%u", "%Y-W%V", "%YW%V")  # fmt: skip
COMPACT = ("%Y%m%d", "%Y%m%d%H%M%S", "%Y%m%d%H%M", "%Y%m")  # all digits
DIGITS = r"^(1[89]|2[01])\d{4}(\d\d){0,4}$"
FORMS = (*NUMERIC, "%Y年%m月%d日", *NAMED, *CLOCKS, *MONTHLY, "%Y%m%dT%H%M%S", "%Y%m%dT%H%M")


class Dated(NamedTuple):
    """The format of the dates in a column, other formats that fit, and the reason for the choice."""

    form: str
    others: tuple[str, ...] = ()
    why: str = ""


def is_date_form(form: str) -> bool:
    """Return whether a text is a date format."""
    try:
        pattern(form)
    except ValueError:
        return False
    return True


def read_dates(cells: pl.Series, form: str) -> pl.Series:
    """Return text as days since 1970 in UTC (Float64; the time of day is the fraction), null for other text.

    Missing parts default to the first: 1990-01 is 1990-01-01. Without a year, the result is the time since midnight.
    """
    cells = half_width(cells)
    distinct = cells.drop_nulls().unique()
    if len(distinct) * FEW_REPEATS > len(cells):
        return _read(cells, form)
    return cells.replace_strict(distinct, _read(distinct, form), default=None, return_dtype=pl.Float64)


def _read(cells: pl.Series, form: str) -> pl.Series:
    parts = cells.str.extract_groups(pattern(form)).struct.unnest()
    number = functools.partial(_numbers, parts)
    year, short = number("Y"), number("y")
    year = np.where(np.isnan(year), short + np.where(short < PIVOT, 2000, 1900), year)
    no_date = "Y" not in parts.columns and "y" not in parts.columns
    year = np.full(len(cells), 1970.0) if no_date else year
    month, day = number("m", 1), number("d", 1)
    if "b" in parts.columns:
        names = parts["b"].str.to_lowercase().str.strip_suffix(".")
        month = names.replace_strict(MONTH_NUMBERS, default=None, return_dtype=pl.Float64).fill_null(np.nan).to_numpy()
    if "q" in parts.columns:
        month = 3 * number("q") - 2
    days = _days(year, month, day)
    if "j" in parts.columns:
        days = _days(year, np.ones(len(cells)), np.ones(len(cells))) + number("j") - 1
    if "V" in parts.columns:
        days = _week(year, number("V"), number("u", 1))
    moments = days + _time(parts, number) / 86400
    matched = parts.select(pl.any_horizontal(pl.all().is_not_null())).to_series().to_numpy()
    return pl.Series(cells.name, np.where(matched, moments, np.nan)).fill_nan(None)


def find_date(cells: pl.Series, enough: float, known: Collection[str] = ()) -> Dated | None:
    """Return the format in which (nearly) all of these cells (text, none missing) are dates; None if there is none.

    Among formats that read equally many cells, those of the table's other columns (`known`) are preferred, then one in
    which the rows are in order, then the one with the most even steps.
    """
    cells = half_width(cells)
    sample = cells.gather_every(max(1, len(cells) // SAMPLE))
    forms = COMPACT if sample.str.contains(DIGITS).all() else FORMS
    if 2 * sample.str.contains(r"\d").sum() < len(sample):
        return None
    holds = functools.cache(lambda mark: 2 * sample.str.contains(mark, literal=True).sum() >= len(sample))
    possible = [form for form in forms if all(map(holds, marks(form)))]  # patterns are slow to compile
    likely = [form for form in possible if 2 * sample.str.contains(pattern(form)).sum() >= len(sample)]
    read = {form: read_dates(cells, form) for form in likely}
    read = {form: days for form, days in read.items() if _is_sound(cells, days, form)}
    counts = {form: len(days) - days.null_count() for form, days in read.items()}
    most = max(counts.values(), default=0)
    if not most or most < enough * len(cells):
        return None
    best = [form for form in read if counts[form] == most]
    best = [form for form in best if not read[form].equals(read[best[0]]) or form == best[0]]
    return _chosen(best, read, known)


def _chosen(best: Sequence[str], read: dict[str, pl.Series], known: Collection[str]) -> Dated:
    """Return the best format among those that read equally many cells."""
    if len(best) == 1:
        return Dated(best[0])
    same = [form for form in best if form in known]
    if len(same) == 1:
        return Dated(same[0], tuple(form for form in best if form != same[0]), "as in another column")
    steps = {form: read[form].drop_nulls().diff().drop_nulls() for form in best}
    ordered = [form for form in best if len(steps[form]) and ((steps[form] >= 0).all() or (steps[form] <= 0).all())]
    if len(ordered) > 1:
        uneven = {form: _unevenness(steps[form].to_numpy()) for form in ordered}
        ordered = sorted(ordered, key=lambda form: uneven[form])
        ordered = ordered[:1] if uneven[ordered[0]] < uneven[ordered[1]] else ordered
    first = ordered[0] if len(ordered) == 1 else best[0]
    why = "which puts the rows in order" if len(ordered) == 1 else ""
    return Dated(first, tuple(form for form in best if form != first), why)


def _unevenness(steps: np.ndarray) -> float:
    mean = abs(float(steps.mean())) or 1.0
    return float(steps.std(ddof=1)) / mean if len(steps) > 1 else 0.0


def _is_sound(cells: pl.Series, days: pl.Series, form: str) -> bool:
    """Return whether cells are really dates, not numbers or seasons such as 2009-10 that look like dates."""
    if form in COMPACT:
        years = (days / 365.2425 + 1970).floor()
        fewest, fewest_years = (FEWEST_MONTHS, 2) if form == "%Y%m" else (DISTINCT_DAYS, 1)
        plausible = bool(years.is_between(*YEARS).all()) and years.n_unique() >= fewest_years
        return plausible and not days.null_count() and days.n_unique() >= fewest
    if form in ("%Y-%m", "%Y/%m"):
        first, second = (cells.str.extract(r"^(\d{4})\D(\d+)$", i).cast(pl.Int64) for i in (1, 2))
        return not bool(((first + 1) % 100 == second).all())
    return True


def _numbers(parts: pl.DataFrame, name: str, default: float = np.nan) -> np.ndarray:
    """Return the digits of a group as float64 [rows], or the default."""
    if name not in parts.columns:
        return np.full(len(parts), default)
    return parts[name].cast(pl.Float64, strict=False).fill_null(default).to_numpy()


def _days(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Return days since 1970-01-01; NaN for an impossible month or day."""
    valid = (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1) & (year <= 9999)
    months = np.where(valid, (year - 1970) * 12 + month - 1, 0).astype("int64").astype("datetime64[M]")
    first, after = (month_starts.astype("datetime64[D]").astype(np.int64) for month_starts in (months, months + 1))
    return np.where(valid & (day <= after - first), first + day - 1, np.nan)


def _week(year: np.ndarray, week: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Return the days of an ISO week: the first week contains January 4, and weeks begin on Monday."""
    fourth = _days(year, np.ones(len(year)), np.full(len(year), 4.0))
    monday = fourth - (fourth + 3) % 7  # 1970-01-01 was a Thursday
    return np.where((week >= 1) & (week <= 53), monday + 7 * (week - 1) + day - 1, np.nan)


def _time(parts: pl.DataFrame, number: functools.partial[np.ndarray]) -> np.ndarray:
    """Return the seconds since midnight in UTC; NaN for an impossible time."""
    hour, minute, second = number("H", 0), number("M", 0), number("S", 0)
    for group, words in (("p", "p"), ("half", "下午|午後|오후")):
        if group in parts.columns:
            half = parts[group].str.to_lowercase()
            has_half = half.is_not_null().to_numpy()
            is_pm = half.str.contains(words).fill_null(False).to_numpy()
            hour = np.where(has_half & (hour <= 12), hour % 12 + 12 * is_pm, hour)
    valid = (hour < 24) | ((hour == 24) & (minute == 0) & (second == 0))
    valid &= (minute < 60) & (second <= 60)
    fraction = np.zeros(len(parts))
    if "f" in parts.columns:
        digits = parts["f"].str.replace("^[.,]?", "0.")
        fraction = digits.cast(pl.Float64, strict=False).fill_null(0.0).to_numpy()
    offset = _offset(parts["z"]) if "z" in parts.columns else np.zeros(len(parts))
    return np.where(valid, hour * 3600 + minute * 60 + second + fraction - offset, np.nan)


def _offset(zones: pl.Series) -> np.ndarray:
    """Return the offset of a zone from UTC in seconds, 0 without a zone; NaN for an unknown one."""
    if zones.null_count() == len(zones):
        return np.zeros(len(zones))
    digits = zones.str.extract_groups(r"([+-])(\d{2}):?(\d{2})?$").struct.unnest()
    sign, hours, minutes = digits.get_columns()
    ahead = (hours.cast(pl.Float64) * 3600 + minutes.cast(pl.Float64).fill_null(0.0) * 60) * (
        sign.replace_strict({"-": -1.0, "+": 1.0}, default=None, return_dtype=pl.Float64)
    )
    by_name = zones.str.to_lowercase().replace_strict(ZONES, default=None, return_dtype=pl.Float64) * 3600
    seconds = ahead.fill_null(by_name)
    return np.where(zones.is_null().to_numpy(), 0.0, seconds.fill_null(np.nan).to_numpy())
