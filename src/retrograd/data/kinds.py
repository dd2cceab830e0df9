"""Which kind of column each one is: number, category, boolean, date, free text, or an identifier that is left out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from retrograd.base.errors import ConfigError, DataError
from retrograd.data.dialects import example_notation
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table
from retrograd.data.texts.free_text import is_free_text, words_a_cell
from retrograd.data.values import Parsed, booleans, dates, find_date_format, is_date_format, numbers, words
from retrograd.data.wording import some_of

ENOUGH = 0.95  # share of a text column's cells that make it a column of numbers or dates; the others are errors
MANY = 0.5  # share of numbers from which a text column's note says that there were some
MOST_WORDS = 64  # a column with more different words, which hardly repeat, names its rows
ISO_DATE = "%Y-%m-%d"
ROW_NUMBER_NAME = re.compile(r"(?i:(^|[_ .-])(id|index|row|no|nr)$|^unnamed)|[a-z](Id|ID)$")


@dataclass(frozen=True)
class ColumnKind:
    """A column's kind, a date's format, and what is worth telling about how it was found."""

    kind: str
    form: str = ""
    note: str = ""

    def parse(self, series: pl.Series) -> Parsed:
        """Read a column as this kind."""
        if self.kind == "date":
            return dates(series, self.form)
        return {"number": numbers, "boolean": booleans}.get(self.kind, words)(series)

    @property
    def expected(self) -> str:
        """What a cell must be, in words."""
        return {"number": "a finite number", "boolean": "true or false", "date": f"a date like {self.form}"}[self.kind]


def find_kinds(table: Table, names: tuple[str, ...], settings: DataSettings) -> dict[str, ColumnKind]:
    """Return the kind of each named column: the one that the settings say, or what most of its cells are.

    Raises:  DataError for a column without any value, or for a kind given to a column that does not exist
    """
    for name in settings.kinds:
        table.column(name)
    return {name: _find_kind(table, name, settings) for name in names}


def _find_kind(table: Table, name: str, settings: DataSettings) -> ColumnKind:
    series = table.column(name)
    cells = series.drop_nulls()
    chosen = settings.kinds.get(name)
    if chosen == "identifier":
        return ColumnKind("identifier")
    if cells.is_empty():
        cure = f"leave it out with `exclude: [{name}]`"
        raise DataError(f"column '{name}' is empty: every cell is missing", where=table.where, cure=cure)
    if chosen is None:
        return _inferred(cells)
    if chosen == "date":
        return _date_kind(cells)
    if example_notation(chosen):
        return ColumnKind("number")
    if "%" not in chosen:
        return ColumnKind(chosen)
    if not is_date_format(chosen):
        raise ConfigError(f"'{chosen}' is no format of a date", where=f"data.kinds.{name}", cure="for example %d/%m/%Y")
    return ColumnKind("date", chosen)


def _inferred(cells: pl.Series) -> ColumnKind:
    if cells.dtype == pl.Boolean:
        return ColumnKind("boolean")
    if cells.dtype in (pl.Date, pl.Datetime):
        return ColumnKind("date", ISO_DATE)
    if cells.dtype in (pl.Categorical, pl.Enum):
        return ColumnKind("category")
    parsed = numbers(cells)
    readable = 1 - (cells.cast(pl.Float64, strict=False).is_null() if cells.dtype == pl.String else parsed.bad).mean()
    if cells.dtype.is_numeric() or readable >= ENOUGH:
        return _row_number(parsed.values) or ColumnKind("number")
    if not booleans(cells).bad.any():
        return ColumnKind("boolean")
    date = _date_kind(cells)
    if 1 - dates(cells, date.form).bad.mean() >= ENOUGH:
        return date
    return _category(cells, readable)


def _row_number(values: pl.Series) -> ColumnKind | None:
    steps = values.diff().drop_nulls()
    counts_rows = len(steps) > 0 and bool((steps == 1).all())
    if counts_rows and ROW_NUMBER_NAME.search(values.name):
        return ColumnKind("identifier", note=f"'{values.name}' only counts the rows")
    return None


def _date_kind(cells: pl.Series) -> ColumnKind:
    if cells.dtype != pl.String:
        return ColumnKind("date", ISO_DATE)
    forms = find_date_format(cells) or (ISO_DATE,)
    note = f"'{cells.name}' could be {forms[1]} as well as {forms[0]}, which was taken" if len(forms) > 1 else ""
    return ColumnKind("date", forms[0], note)


def _category(cells: pl.Series, readable: float) -> ColumnKind:
    different = cells.n_unique()
    if is_free_text(cells):
        note = f"'{cells.name}' holds free text ({words_a_cell(cells):.0f} words a cell), which is read as tokens"
        return ColumnKind("text", note=note)
    if different > MOST_WORDS and different > len(cells) / 2:
        return ColumnKind("identifier", note=f"'{cells.name}' holds {different} different texts in {len(cells)} cells")
    note = f"{readable:.0%} of the cells of '{cells.name}' are numbers, too few for a number column"
    return ColumnKind("category", note=note if readable >= MANY else "")


def kinds_notes(kinds: Mapping[str, ColumnKind]) -> tuple[str, ...]:
    """Return what was inferred, in sentences: the columns of each kind, then the doubtful ones."""
    by_kind: dict[str, list[str]] = {}
    for name, found in kinds.items():
        by_kind.setdefault(found.kind, []).append(name)
    notes = []
    for kind, names in by_kind.items():
        left_out = " (left out)" if kind == "identifier" else ""
        notes.append(f"{len(names)} {kind} column{'s' if len(names) > 1 else ''}{left_out}: {some_of(names)}")
    doubts = [f"{found.note}; `kinds:` chooses another kind" for found in kinds.values() if found.note]
    return (*notes, *doubts)
