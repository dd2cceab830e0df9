"""The notation of numbers in a column: decimal mark, thousands separator, unit, and marks for missing numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import polars as pl
from pydantic import ConfigDict

BLANKS = " \u00a0\u2007\u2009\u202f"  # including the no-break and thin spaces that spreadsheets write
MARKS = {",": ",", ".": r"\.", " ": f"[{BLANKS}]", "'": "['’]"}
MINUS = "−–－-"  # the hyphen comes last, as required in a character class
LETTERS = {"k": 1e3, "m": 1e6, "b": 1e9}  # these may also be units
WORDS = {
    "mn": 1e6, "mio": 1e6, "mio.": 1e6, "mln": 1e6, "million": 1e6, "millions": 1e6, "bn": 1e9, "mrd": 1e9,
    "mrd.": 1e9, "mld": 1e9, "billion": 1e9, "billions": 1e9, "thousand": 1e3, "tsd": 1e3, "tsd.": 1e3,
    "lakh": 1e5, "lakhs": 1e5, "crore": 1e7, "crores": 1e7,
}  # fmt: skip
CHARACTERS = {"百万": 1e6, "千万": 1e7, "万": 1e4, "萬": 1e4, "亿": 1e8, "億": 1e8, "만": 1e4, "억": 1e8}
FACTORS = LETTERS | WORDS | CHARACTERS
FULL_WIDTH = {**{chr(ord(c) + 0xFEE0): c for c in "0123456789.,:/%+-"}, "。": ".", "\u3000": " "}
CODES = (
    "AED|ARS|AUD|BGN|BRL|CAD|CHF|CLP|CNY|COP|CZK|DKK|EGP|EUR|GBP|HKD|HUF|IDR|ILS|INR|JPY|KES|KRW|MXN|MYR|NGN|NOK|NZD|"
    "PEN|PHP|PKR|PLN|RMB|RON|RUB|SAR|SEK|SGD|THB|TRY|TWD|UAH|USD|VND|ZAR"
)
CURRENCY = rf"(?:[A-Z]{{0,3}}\p{{Sc}}|(?i:{CODES}|s?fr|kr|rs|rm|rp)\b\.?|zł|Kč|Ft|元|円|원)"
FACTOR = "|".join(map(re.escape, sorted(FACTORS, key=len, reverse=True)))
BEFORE_UNIT = rf"^(?i:({FACTOR}))\s?({CURRENCY})$|^({'|'.join(CHARACTERS)})(\S+)$"  # a factor and the unit after it
UNIT = r"[\p{L}\p{Sc}%％‰°'\"′″²³+*][^\s\d()][^\s()]{0,9}|[\p{L}\p{Sc}%％‰°'\"′″²³+*][0-9²³]?"
UNIT = rf"(?:{UNIT})(?:[{BLANKS}](?:\p{{L}}{{1,12}}\.?|\p{{Sc}}))?"
NONE = r"^(?:[-–—−]+|\.{1,3}|#(?:DIV/0!|VALUE!|REF!|NAME\?|NUM!|NULL!)|(?i:n\.?\s?[/.]?\s?[ad]\.?|k\.\s?a\.))$"
SIDE = r"(?i:\s*(?:dr|cr)\.?)"  # debit and credit: minus and plus in bank statements


@dataclass(frozen=True)
class Notation:
    """The notation of numbers in the cells of a column.

    `grouping` is the thousands separator, if any; `unit` is the text before or after each number, and `second_unit` the
    text after it if there is also a unit before it; with `factors`, k, M and B after a number mean thousands, millions
    and billions, 万 ten thousand.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    decimal: Literal[".", ","] = "."
    grouping: Literal["", ",", ".", " ", "'"] = ""
    unit: str = ""
    factors: bool = False
    second_unit: str = ""

    @property
    def number(self) -> str:
        """The pattern of the digits without sign and unit."""
        decimal = MARKS[self.decimal]
        whole = r"\d+"
        if self.grouping:
            mark = MARKS[self.grouping]  # groups of three; in India three, then groups of two
            whole = rf"(?:[1-9]\d{{0,2}}(?:{mark}\d{{3}})+|[1-9]\d?(?:{mark}\d{{2}})+{mark}\d{{3}}|\d+)"
        fraction = rf"(?:{decimal}(?:[-–—]{{1,2}}|\d*))?"  # a price may end in "12.-"
        return rf"(?:{whole}{fraction}|{decimal}\d+)(?:[eE][+-]?\d+)?"

    @property
    def pattern(self) -> str:
        """The pattern of a whole cell: signs or brackets, a currency or unit, and the number."""
        names = "|".join(f"{re.escape(name)}s?" for name in (self.unit, self.second_unit) if name)
        unit = rf"(?:(?i:{names})\.?\s*)?" if names else ""
        factor = rf"(?P<factor>(?i:{FACTOR}))?\s*"
        return (
            rf"^(?P<open>\()?\s*(?P<first>[+{MINUS}])?\s*{unit}(?P<second>[+{MINUS}])?\s*(?P<number>{self.number})\s*"
            rf"{factor if self.factors else ''}{unit}(?P<last>[{MINUS}]|{SIDE})?\s*(?P<close>\))?$"
        )

    def fits(self, cells: pl.Series) -> pl.Series:
        """Return whether each cell (text) is a number in this notation."""
        return half_width(cells).str.contains(self.pattern)

    def read(self, cells: pl.Series) -> pl.Series:
        """Return the numbers in text cells (Float64); null for other text and other notations."""
        parts = half_width(cells).str.extract_groups(self.pattern).struct.unnest()
        text = pl.col("number").str.replace_all(f"[-–—{BLANKS}'’]+$", "")
        if self.grouping:
            text = text.str.replace_all(MARKS[self.grouping], "")
        if self.decimal == ",":
            text = text.str.replace(",", ".", literal=True)
        number = text.cast(pl.Float64, strict=False)
        if self.factors:
            factor = pl.col("factor").str.to_lowercase().replace_strict(FACTORS, default=1.0, return_dtype=pl.Float64)
            number = number * factor
        signs = [pl.col(part).is_in(list(MINUS)) for part in ("first", "second", "last")]
        debit = pl.col("last").str.to_lowercase().str.contains("dr")
        negative = pl.any_horizontal(pl.col("open").is_not_null(), *signs, debit).fill_null(False)
        balanced = pl.col("open").is_null() == pl.col("close").is_null()
        return parts.select(pl.when(balanced).then(pl.when(negative).then(-number).otherwise(number))).to_series()


def half_width(cells: pl.Series) -> pl.Series:
    """Return text with full-width digits and marks replaced by ordinary ones."""
    if not cells.str.contains("[０-９]").any():
        return cells
    return cells.str.replace_many(list(FULL_WIDTH), list(FULL_WIDTH.values()))


def stands_for_none(cells: pl.Series) -> pl.Series:
    """Return whether each cell is a dash, n/a or a spreadsheet error: a missing value in a column of numbers."""
    return cells.str.contains(NONE)


def general(cells: pl.Series) -> pl.DataFrame:
    """Return prefix, number and suffix of cells that are numbers in any notation; null for other cells."""
    number = rf"(?:\d(?:[\d.,'’{BLANKS}]*\d)?|[.,]\d+)(?:[.,][-–—]{{0,2}})?(?:[eE][+-]?\d+)?"
    pattern = (
        rf"^\(?\s*(?P<first>[+{MINUS}])?\s*(?P<prefix>{CURRENCY})?\s*[+{MINUS}]?\s*(?P<number>{number})\s*"
        rf"(?P<suffix>{UNIT})??(?:[{MINUS}]|{SIDE})?\s*\)?$"
    )
    return cells.str.extract_groups(pattern).struct.unnest()
