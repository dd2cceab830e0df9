"""Cells as texts, as in a CSV file, whose numbers and dates are parsed in the file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from retrograd.base.errors import UsageError
from retrograd.data.cells.notation import Notation
from retrograd.data.tables.columns import DateColumn
from retrograd.data.tables.text_column import TextColumn
from retrograd.ship.onnx.graph import TYPES, Graph

# Cast fails for texts that are not numbers or are too large, so cells are checked first
NUMBER = r"[+-]?(\d{1,60}(\.\d{0,60})?|\.\d{1,60})([eE][+-]?\d{1,2})?"
PARTS = {"%Y": r"\d{4}", "%m": "(0?[1-9]|1[0-2])", "%d": r"(0?[1-9]|[12]\d|3[01])"}
FORM = re.compile(r"(%[Ymd])([-./])(%[Ymd])\2(%[Ymd])")
DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
TYPED = "use typed cells: --cells typed (cells='typed')"


def check_text(columns: Sequence[Any], notations: Mapping[str, Notation]) -> None:
    """Raise UsageError for a column whose cells cannot be parsed in a file."""
    for column in columns:
        if isinstance(column, TextColumn):
            raise UsageError("free text cannot be split into tokens inside a file", where=column.name, cure=TYPED)
        if isinstance(column, DateColumn) and not is_plain(column.form):
            message = (
                f"dates like {column.form} cannot be parsed in a file, only year, month and day with one separator"
            )
            raise UsageError(message, where=column.name, cure=TYPED)
        if notations.get(column.name, Notation()) != Notation():
            raise UsageError("only numbers in plain notation can be parsed in a file", where=column.name, cure=TYPED)


def is_plain(form: str) -> bool:
    """Return whether a date format is year, month and day in any order, with the same separator between them."""
    match = FORM.fullmatch(form)
    return match is not None and {match[1], match[3], match[4]} == set(PARTS)


def read_numbers(g: Graph, cells: str, gaps: Sequence[str]) -> str:
    """Return texts as float64: NaN for missing values, infinity for texts that are not numbers."""
    is_number = g.op("RegexFullMatch", cells, pattern=NUMBER)
    return _instead(g, cells, is_number, g.op("Cast", _or(g, is_number, cells, "0"), to=TYPES["float64"]), gaps)


def read_dates(g: Graph, cells: str, form: str, gaps: Sequence[str]) -> str:
    """Return texts [rows, 1] as days since 1970: NaN for missing values, infinity for texts that are not dates.

    See:  Hinnant, days_from_civil: years begin in March, so that the leap day comes last
    """
    match = FORM.fullmatch(form)
    assert match is not None, form
    order, mark = (match[1], match[3], match[4]), match[2]
    pattern = re.escape(mark).join(PARTS[part] for part in order)
    is_date = g.op("RegexFullMatch", cells, pattern=pattern)
    safe = g.reshape(_or(g, is_date, cells, mark.join({"%Y": "1970"}.get(part, "1") for part in order)), -1)
    parts = g.op("Cast", g.ops("StringSplit", 2, safe, delimiter=mark)[0], to=TYPES["int64"])
    year, month, day = (g.op("Gather", parts, np.array([order.index(part)]), axis=1) for part in ("%Y", "%m", "%d"))

    def div(a: str, b: int) -> str:
        return g.op("Div", a, np.int64(b))

    def times(a: str, b: int) -> str:
        return g.op("Mul", a, np.int64(b))

    def plus(a: str, b: Any) -> str:
        return g.op("Add", a, np.int64(b) if isinstance(b, int) else b)

    early = g.op("Less", month, np.int64(3))
    y = g.op("Sub", year, g.op("Cast", early, to=TYPES["int64"]))
    m = plus(month, g.op("Where", early, np.int64(9), np.int64(-3)))
    of_year = plus(div(plus(times(m, 153), 2), 5), plus(day, -1))
    leaps = g.op("Sub", plus(div(y, 4), div(y, 400)), div(y, 100))
    days = plus(plus(plus(times(y, 365), leaps), of_year), -719468)
    last = g.op("Gather", np.array(DAYS), plus(month, -1))
    rest = [g.op("Equal", g.op("Mod", year, np.int64(n)), np.int64(0)) for n in (4, 100, 400)]
    leap = g.op("Or", g.op("And", rest[0], g.op("Not", rest[1])), rest[2])
    february = g.op("And", leap, g.op("Equal", month, np.int64(2)))
    is_day = g.op("LessOrEqual", day, plus(last, g.op("Cast", february, to=TYPES["int64"])))
    return _instead(g, cells, g.op("And", is_date, is_day), g.op("Cast", days, to=TYPES["float64"]), gaps)


def _or(g: Graph, condition: str, cells: str, other: str) -> str:
    return g.op("Where", condition, cells, np.array(other, object))


def _instead(g: Graph, cells: str, is_one: str, values: str, gaps: Sequence[str]) -> str:
    """Return values where they are valid, NaN where the cell is missing, else infinity."""
    gap = g.op("LabelEncoder", cells, domain="ai.onnx.ml", keys_strings=[*gaps], values_int64s=[1] * len(gaps),
               default_int64=0)  # fmt: skip
    none = g.op("Where", g.op("Equal", gap, np.int64(1)), np.float64("nan"), np.float64("inf"))
    return g.op("Where", is_one, values, none)
