"""The number notation of each text column in a table, decided by its own cells, then by the other columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import polars as pl

from retrograd.data.cells.notation import (
    BEFORE_UNIT,
    BLANKS,
    CODES,
    FACTORS,
    LETTERS,
    MARKS,
    Notation,
    general,
    half_width,
    stands_for_none,
)

ENOUGH = 0.95  # share of numbers from which a text column is a column of numbers; other cells are errors
SAMPLE = 1000  # evenly spaced cells that show whether a column may contain numbers
FEW_CHANCES = 30  # numbers that hardly all have three decimals by chance: one in ten would drop a 0, and 0.9^30 = 4 %
EXAMPLE = re.compile(rf"^\d[\d.,'’{BLANKS}]*$")
MONEY = rf"[A-Za-z]{{0,3}}[$€£¥₹₽₩₺₪฿₫₴]|{CODES}|(?i:s?fr|kr|rs|rm|rp)|zł|Kč|Ft|元|円|원"

Mark = Literal[".", ","]


@dataclass(frozen=True)
class Evidence:
    """The number of cells that show the meaning of each mark.

    `point` and `comma` count cells where the mark must be the decimal mark (also because the other one groups
    thousands); in `three_point` and `three_comma`, exactly three digits follow, as in 1.234, so it could be either.
    """

    point: int
    comma: int
    three_point: int
    three_comma: int
    small: int  # below 1000, without a mark
    large: int  # 1000 or more, without a mark
    padded: int  # undecided ones that end in 0, unlike shortened decimals

    @property
    def decided(self) -> Mark | None:
        """The decimal mark, if the column shows it."""
        if self.point == self.comma:
            return None
        return "." if self.point > self.comma else ","

    @property
    def groups(self) -> bool:
        """Whether undecided marks must group thousands: whole numbers below 1000 have no mark, and larger ones do.

        With decimals that keep their zeros, no number would be without a mark; with decimals that drop them, some would
        have fewer than three digits.
        """
        undecided = self.three_point + self.three_comma
        return bool(undecided and self.small and not self.large and (self.padded or undecided >= FEW_CHANCES))


@dataclass(frozen=True)
class Found:
    """The notation of a column, an example, and a doubt if its marks are ambiguous."""

    notation: Notation
    example: str
    doubt: str = ""


def example_notation(text: str) -> Notation | None:
    """Return the notation of an example such as 1.234,56; None for other text and for ambiguous examples."""
    if not EXAMPLE.match(text) or not any(mark in text for mark in ".,"):
        return None
    decimal = evidence(pl.Series([text])).decided
    return None if decimal is None else Notation(decimal, _grouping(pl.Series([text]), decimal))


def evidence(numbers: pl.Series) -> Evidence:
    """Count what numbers (text, without sign and unit) show about their marks."""
    text = pl.col("number")
    three = r"^[1-9]\d{0,2}[MARK]\d{3}$"
    point, comma = text.str.contains(three.replace("MARK", ".")), text.str.contains(three.replace("MARK", ","))
    points, commas = text.str.count_matches(".", literal=True), text.str.count_matches(",", literal=True)
    last = text.str.extract(r".*([.,])")
    is_point = ((points == 1) & (commas == 0) & ~point) | ((points == 0) & (commas > 1))
    is_comma = ((commas == 1) & (points == 0) & ~comma) | ((commas == 0) & (points > 1))
    both = (points > 0) & (commas > 0)
    counts = numbers.alias("number").to_frame().select(
        point=(is_point | (both & (last == "."))).sum(),
        comma=(is_comma | (both & (last == ","))).sum(),
        three_point=point.sum(),
        three_comma=comma.sum(),
        small=text.str.contains(r"^\d{1,3}$").sum(),
        large=text.str.contains(r"^[1-9]\d{3,}$").sum(),
        padded=((point | comma) & text.str.ends_with("0")).sum(),
    )  # fmt: skip
    return Evidence(**counts.row(0, named=True))


@dataclass(frozen=True)
class Candidate:
    """A text column with mostly possible numbers: its numbers, their unit, and the evidence about marks."""

    cells: pl.Series
    numbers: pl.Series
    unit: str
    second_unit: str
    factors: bool
    evidence: Evidence

    def notation(self, decimal: Mark) -> Notation:
        """Return the notation with this decimal mark."""
        return Notation(decimal, _grouping(self.numbers, decimal), self.unit, self.factors, self.second_unit)

    @property
    def is_undecided(self) -> bool:
        """Whether marks could be decimal marks or thousands separators."""
        return self.evidence.decided is None and bool(self.evidence.three_point + self.evidence.three_comma)

    def decide(self, prior: Mark | None, thousands: str | None, separator: str | None) -> tuple[Notation, str]:
        """Return the notation and, if the cells are ambiguous, a remark about that.

        `prior` is the decimal mark from the settings, from training, or from the table's other columns.
        """
        decided = self.evidence.decided
        if decided is not None and thousands != decided:
            return self.notation(decided), ""
        mark: Mark = "." if self.evidence.three_point else ","
        other: Mark = "," if mark == "." else "."
        if not self.is_undecided:
            return self.notation(prior or "."), ""
        is_money = bool(self.unit) and re.fullmatch(MONEY, self.unit) is not None  # amounts never have three decimals
        if thousands == mark or (prior is None and (self.evidence.groups or is_money)):
            return self.notation(other), ""
        if prior is not None:
            return self.notation(prior), ""
        if mark == "," and not self.evidence.large:
            return self.notation("."), "the comma separates thousands"
        doubt = (
            "" if mark == "." and separator != ";" else f"the {'point' if mark == '.' else 'comma'} is a decimal mark"
        )
        return self.notation(mark), doubt


def find_candidate(cells: pl.Series) -> Candidate | None:
    """Return a text column as a candidate for numbers; None if most cells are not numbers, or all are plain numbers."""
    cells = cells.drop_nulls()
    sample = half_width(cells.gather_every(max(1, len(cells) // SAMPLE)))
    if not len(sample):
        return None
    parts = general(sample.filter(~stands_for_none(sample)))
    if not len(parts) or parts["number"].null_count() > len(parts) / 2 or _are_calls(parts):
        return None
    is_plain = cells.cast(pl.Float64, strict=False).is_not_null()
    if is_plain.all() and not parts["number"].str.contains(r"^[1-9]\d{0,2}\.\d{3}$").any():
        return None
    unit = _unit(parts)
    if unit is None:
        return None
    numbers = half_width(cells).str.extract(rf"(\d(?:[\d.,'’{BLANKS}]*\d)?|[.,]\d+)").drop_nulls()
    return Candidate(cells, numbers, *unit, evidence(numbers))


def find_units(cells: pl.Series) -> tuple[str, ...]:
    """Return the units in a text column whose cells are mostly numbers, the most frequent first."""
    parts = general(half_width(cells.drop_nulls().head(SAMPLE)))
    if parts["number"].null_count() > len(parts) / 2:
        return ()
    names = Counter[str]()
    for (prefix, factor, unit), count in _units(parts).items():
        names.update({_singular(name): count for name in (prefix, factor + unit) if name})
    return tuple(name for name, count in names.most_common() if count > 1)


def find_notations(
    columns: Mapping[str, pl.Series],
    decimal: Mark | None = None,
    thousands: str | None = None,
    separator: str | None = None,
    certain: Collection[str] = (),
) -> dict[str, Found]:
    """Return the notation of the text columns whose numbers are not plain.

    The cells of a column decide; ambiguous marks follow the settings, then the table's other columns. Without evidence
    there, a comma before three digits separates thousands, and a point is a decimal mark. Columns in `certain` are
    number columns even if many of their cells are not numbers.
    """
    candidates = {name: find_candidate(cells) for name, cells in columns.items()}
    possible = {name: candidate for name, candidate in candidates.items() if candidate is not None}
    votes = Counter(candidate.evidence.decided for candidate in possible.values() if candidate.evidence.decided)
    prior = decimal or ("," if votes[","] > votes["."] else "." if votes["."] else None)
    findings = {}
    for name, candidate in possible.items():
        notation, doubt = candidate.decide(prior, thousands, separator)
        is_plain = candidate.cells.cast(pl.Float64, strict=False).is_not_null()
        gains = (~is_plain & (notation.fits(candidate.cells) | stands_for_none(candidate.cells))).any()
        is_number = name in certain or readable(candidate.cells, notation) >= ENOUGH
        if is_number and (gains or notation != Notation() or doubt):
            findings[name] = Found(notation, _example(candidate.cells, notation), doubt)
    return findings


def readable(cells: pl.Series, notation: Notation) -> float:
    """Return the share of numbers in a notation among the cells that are not missing."""
    fits = notation.fits(cells)
    others = cells.filter(~fits & ~stands_for_none(cells))
    return int(fits.sum()) / max(1, int(fits.sum()) + len(others))


def notation_like(cells: pl.Series, prior: Notation) -> Notation:
    """Return the notation of a column in new rows: its own if its cells show one, else that of training."""
    candidate = find_candidate(cells)
    if candidate is None:
        shows_point = cells.cast(pl.Float64, strict=False).is_not_null() & cells.str.contains(".", literal=True)
        return Notation() if shows_point.any() else prior
    notation, _ = candidate.decide(prior.decimal, None, None)
    if prior.factors or (candidate.unit and prior.unit):  # another currency is another quantity
        notation = replace(notation, unit=prior.unit, second_unit=prior.second_unit, factors=prior.factors)
    return notation


def _example(cells: pl.Series, notation: Notation) -> str:
    """Return the longest cell, which shows most of the notation."""
    sample = cells.gather_every(max(1, len(cells) // SAMPLE))
    fitting = sample.filter(notation.fits(sample))
    return str(fitting[int(fitting.str.len_chars().arg_max() or 0)]) if len(fitting) else str(cells[0])


def _units(parts: pl.DataFrame) -> Counter[tuple[str, str, str]]:
    """Count what surrounds the numbers: a unit before, and a factor and a unit after them; "" if missing."""
    after = pl.col("suffix").fill_null("").str.strip_chars()
    split = after.str.extract_groups(BEFORE_UNIT).struct
    factor, unit = (pl.coalesce(split[first], split[first + 2]) for first in (0, 1))
    is_factor = after.str.to_lowercase().is_in(list(FACTORS))
    surroundings = parts.filter(pl.col("number").is_not_null()).select(
        pl.col("prefix").fill_null(""),
        factor=pl.when(is_factor).then(after).otherwise(factor.fill_null("")),
        unit=pl.when(is_factor).then(pl.lit("")).otherwise(pl.coalesce(unit, after)),
    )
    return Counter(surroundings.iter_rows())


def _unit(parts: pl.DataFrame) -> tuple[str, str, bool] | None:
    """Return the unit of a column ("" without one), a second unit after the number if the first comes before it, and
    whether k, M and B multiply; None for several units.
    """
    counts = _units(parts)
    are_factors = _multiply(counts)
    pairs = Counter[tuple[str, str]]()
    for (prefix, factor, unit), count in counts.items():
        pairs[prefix, unit if are_factors else factor + unit] += count
    total = sum(pairs.values())
    names = {_singular(unit) for pair in pairs for unit in pair if unit}
    both = Counter({pair: count for pair, count in pairs.items() if all(pair)})
    if both:  # as in $12.00 USD
        pair = both.most_common(1)[0][0]
        if sum(count for units, count in pairs.items() if {*units} <= {*pair, ""}) >= ENOUGH * total:
            return pair[0], _singular(pair[1]), are_factors
    if len(names) > 1:
        most = Counter(dict.fromkeys(names, 0))
        for units, count in pairs.items():
            most.update({_singular(unit): count for unit in units if unit})
        name, count = most.most_common(1)[0]
        if count < ENOUGH * total:
            return None
        return name, "", are_factors
    return next(iter(names), ""), "", are_factors


def _multiply(counts: Counter[tuple[str, str, str]]) -> bool:
    """Return whether factors multiply: words and characters do, and letters before a unit, as in k€.

    A letter alone does after a currency, or if there are other factors, or numbers without one; `m` may mean metres.
    """
    alone = {factor for _, factor, unit in counts if factor and not unit}
    if {factor.lower() for factor in alone} - LETTERS.keys() or any(factor and unit for _, factor, unit in counts):
        return True
    if not alone or any(unit for _, _, unit in counts):
        return False
    if any(prefix for prefix, _, _ in counts):
        return True
    sizes = {FACTORS[factor.lower()] for factor in alone}
    return alone != {"m"} and (len(sizes) > 1 or ("", "", "") in counts)


def _singular(unit: str) -> str:
    unit = unit.strip().removesuffix(".")
    return unit[:-1] if len(unit) > 3 and unit.isascii() and unit.endswith("s") else unit


def _grouping(numbers: pl.Series, decimal: Mark) -> Literal["", ",", ".", " ", "'"]:
    """Return the most frequent thousands separator."""
    other = "." if decimal == "," else ","
    counts = {mark: int(numbers.str.contains(rf"\d{MARKS[mark]}\d").sum()) for mark in (other, " ", "'")}
    best = max(counts, key=lambda mark: counts[mark])
    return best if counts[best] else ""  # type: ignore[return-value]


def _are_calls(parts: pl.DataFrame) -> bool:
    """Return whether numbers are probably telephone numbers: grouped by spaces, after a + or a 0."""
    number = pl.col("number")
    grouped = number.str.contains(rf"\d[{BLANKS}]\d")
    calls = grouped & ((pl.col("first") == "+").fill_null(False) | number.str.starts_with("0"))
    return bool(parts.select(calls.any()).item())
