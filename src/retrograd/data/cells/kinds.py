"""The kind of each column: number, category, boolean, date, free text, or an identifier, which is omitted."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import polars as pl

from retrograd.base.errors import ConfigError, DataError
from retrograd.data.cells.date_forms import example
from retrograd.data.cells.dates import DIGITS, find_date, is_date_form
from retrograd.data.cells.dialects import ENOUGH, example_notation, find_candidate, find_units, readable
from retrograd.data.cells.notation import stands_for_none
from retrograd.data.cells.values import Parsed, booleans, dates, numbers, words
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table
from retrograd.present.wording import some_of

MANY = 0.5  # share of cells like numbers or dates from which a text column gets a note
MOST_WORDS = 64  # a column with more different words, which hardly repeat, names its rows
FEW_WORDS = 20  # different ones; of more, half as many as cells, it is said that they hardly repeat
FEW_A_WORD = 5  # cells to each different word; with more, words that look like numbers are still good categories
ISO_DATE = "%Y-%m-%d"
LARGEST_EXACT = 2**53  # whole numbers beyond are rounded in 64 bits, so that different ones become the same
LONG = r"^[+-]?\d{17,}$"  # digits that are more than that
PADDED = r"^0\d+$"
ROW_NUMBER_NAME = re.compile(r"(?i:(^|[_ .-])(id|index|row|no|nr)$|^unnamed)|[a-z](Id|ID)$")
FEWEST_WORDS = 3  # a cell, on average. AutoGluon's threshold for a text column (`check_if_nlp_feature`) as well
FEWEST_TEXTS = 64  # different ones; as many as a category column keeps words at most
WORD = r"(?:^|\s)\S*\p{L}\S*"  # a letter within a word: neither a number nor a time of day
UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}]"  # scripts written without spaces
CHARACTERS_A_WORD = 2  # of these scripts; the usual length of a Chinese word
SAMPLE = 5_000  # cells, spread evenly; more would not change an average of words


@dataclass(frozen=True)
class ColumnKind:
    """A column's kind, a date's format, and notes on how it was inferred."""

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
        """The requirement for a cell, in words."""
        return {"number": "a finite number", "boolean": "true or false", "date": f"a date like {example(self.form)}"}[
            self.kind
        ]


def find_kinds(table: Table, names: tuple[str, ...], settings: DataSettings) -> dict[str, ColumnKind]:
    """Return the kind of each named column: the configured kind, or that of most of its cells.

    Raises:  DataError for a column without any value, or for `kinds` of a column that does not exist
    """
    for name in settings.kinds:
        table.column(name)
    kinds = {name: _find_kind(table, name, settings) for name in names}
    known = {kind.form for kind in kinds.values() if kind.kind == "date" and not kind.note}
    doubtful = [
        name for name, kind in kinds.items() if kind.kind == "date" and kind.note and name not in settings.kinds
    ]
    return kinds | {name: _date_kind(table.column(name).drop_nulls(), known) or kinds[name] for name in doubtful}


def _find_kind(table: Table, name: str, settings: DataSettings) -> ColumnKind:
    series = table.column(name)
    cells = series.drop_nulls() if series.null_count() else series
    chosen = settings.kinds.get(name)
    if chosen == "identifier":
        return ColumnKind("identifier")
    if cells.is_empty():
        cure = f"leave it out with `exclude: [{name}]`"
        raise DataError(f"column '{name}' is empty: every cell is missing", where=table.where, cure=cure)
    if chosen is None:
        return _inferred(cells)
    if chosen == "date":
        return _date_kind(cells, enough=0.0) or ColumnKind("date", ISO_DATE)
    if example_notation(chosen):
        return ColumnKind("number")
    if "%" not in chosen:
        return ColumnKind(chosen)
    if not is_date_form(chosen):
        raise ConfigError(f"'{chosen}' is no format of a date", where=f"data.kinds.{name}", cure="for example %d/%m/%Y")
    return ColumnKind("date", chosen)


def _inferred(cells: pl.Series) -> ColumnKind:
    if cells.dtype == pl.Boolean:
        return ColumnKind("boolean")
    if cells.dtype in (pl.Date, pl.Datetime):
        return ColumnKind("date", ISO_DATE)
    if cells.dtype in (pl.Categorical, pl.Enum):
        return ColumnKind("category")
    if cells.dtype.is_float():
        return _row_number(numbers(cells).values) or ColumnKind("number")
    parsed = numbers(cells)
    unread = cells.cast(pl.Float64, strict=False).is_null() if cells.dtype == pl.String else parsed.bad
    readable = 1 - float(unread.sum()) / len(unread)
    if cells.dtype.is_numeric() or readable >= ENOUGH:
        return _compact_date(cells) or _row_number(parsed.values) or _code(cells) or ColumnKind("number")
    if not booleans(cells.head(1000)).bad.any() and not booleans(cells.unique()).bad.any():  # only words repeat so much
        return ColumnKind("boolean")
    return _date_kind(cells) or _category(cells, readable)


def _compact_date(cells: pl.Series) -> ColumnKind | None:
    """Return the kind of whole numbers that are all dates such as 20240131."""
    least = cells.min() if cells.dtype.is_integer() else None
    if isinstance(least, int) and least >= 180001:
        cells = cells.cast(pl.String)
    if cells.dtype != pl.String or not cells.head(100).str.contains(DIGITS).all():
        return None
    dated = _date_kind(cells)
    if dated is None:
        return None
    note = f"'{cells.name}' holds dates such as {cells[0]} ({dated.form}), not numbers"
    return ColumnKind("date", dated.form, note)


def _code(cells: pl.Series) -> ColumnKind | None:
    """Return the kind of whole numbers that only identify something: with leading zeros, or too long to be exact."""
    if cells.dtype.is_integer():
        largest = max(abs(value) for value in (cells.min(), cells.max()) if isinstance(value, int))
        long, padded = largest > LARGEST_EXACT, False
    elif cells.dtype == pl.String:
        long = bool(cells.str.contains(LONG).any())
        padded = bool(cells.str.contains(PADDED).any()) and bool(cells.str.contains(r"^\d+$").all())
    else:
        return None
    if long:
        what = f"'{cells.name}' holds whole numbers too long to be exact, such as {cells[0]}"
        return ColumnKind("identifier", note=f"{what}; it is left out")
    if not padded:
        return None
    shown = cells.filter(cells.str.contains(PADDED))[0]
    is_name = cells.n_unique() > max(MOST_WORDS, len(cells) / 2)
    what = f"'{cells.name}' holds codes with leading zeros, such as {shown}"
    return ColumnKind("identifier", note=f"{what}; it is left out") if is_name else ColumnKind("category", note=what)


def _row_number(values: pl.Series) -> ColumnKind | None:
    if not ROW_NUMBER_NAME.search(values.name):
        return None
    steps = values.diff().drop_nulls()
    if len(steps) > 0 and bool((steps == 1).all()):
        return ColumnKind("identifier", note=f"'{values.name}' only counts the rows")
    return None


def _date_kind(cells: pl.Series, known: Collection[str] = (), enough: float = ENOUGH) -> ColumnKind | None:
    if cells.dtype in (pl.Date, pl.Datetime):
        return ColumnKind("date", ISO_DATE)
    texts = cells.cast(pl.String)
    texts = texts.filter(~stands_for_none(texts))
    dated = find_date(texts, enough, known) if len(texts) else None
    if dated is None:
        return None
    why = f" ({dated.why})" if dated.why else ""
    others = (
        f"'{cells.name}' could be {dated.others[0]} as well as {dated.form}, which was taken{why}"
        if dated.others
        else ""
    )
    return ColumnKind("date", dated.form, others)


def _category(cells: pl.Series, readable: float) -> ColumnKind:
    different = cells.n_unique()
    if is_free_text(cells):
        note = f"'{cells.name}' holds free text ({words_a_cell(cells):.0f} words a cell), which is read as tokens"
        return ColumnKind("text", note=note)
    if different > MOST_WORDS and different > len(cells) / 2:
        like = resemblance(cells) or f"such as '{cells[0]}'"
        return ColumnKind("identifier", note=f"'{cells.name}' holds {different} different texts, {like}")
    if readable >= MANY:
        other = cells.filter(cells.cast(pl.Float64, strict=False).is_null())[0]
        note = f"{readable:.0%} of the cells of '{cells.name}' are numbers, too few for a number column"
        return ColumnKind("category", note=f"{note} ('{other}' is none)")
    like = resemblance(cells) if different > len(cells) / FEW_A_WORD else ""
    if not like and different > FEW_WORDS and 2 * different > len(cells):
        like = f"{different} in {len(cells)} cells, such as '{cells[0]}': rows with other words say nothing by them"
    return ColumnKind("category", note=f"'{cells.name}' is taken as words, {like}" if like else "")


def kinds_notes(kinds: Mapping[str, ColumnKind]) -> tuple[str, ...]:
    """Return the inferred kinds in sentences: the columns of each kind, then the doubtful ones."""
    by_kind: dict[str, list[str]] = {}
    for name, column in kinds.items():
        form = f" ({column.form})" if column.form not in ("", ISO_DATE) else ""
        by_kind.setdefault(column.kind, []).append(f"{name}{form}")
    notes = []
    for kind, names in by_kind.items():
        left_out = " (left out)" if kind == "identifier" else ""
        notes.append(f"{len(names)} {kind} column{'s' if len(names) > 1 else ''}{left_out}: {some_of(names)}")
    doubts = [f"{column.note}; `kinds:` chooses another kind" for column in kinds.values() if column.note]
    return (*notes, *doubts)


def is_free_text(cells: pl.Series) -> bool:
    """Return whether most cells of a text column differ and have several words, like reviews and descriptions."""
    different = cells.n_unique()
    if cells.dtype != pl.String or (different <= FEWEST_TEXTS and 2 * different <= len(cells)):
        return False
    return words_a_cell(cells) >= FEWEST_WORDS


def words_a_cell(cells: pl.Series) -> float:
    """Return the mean number of words in the distinct texts of a column."""
    texts = cells.unique(maintain_order=True).gather_every(max(1, cells.n_unique() // SAMPLE))
    spaced = texts.str.count_matches(WORD).cast(pl.Float64)
    unspaced = texts.str.count_matches(UNSPACED).cast(pl.Float64)
    mean = (spaced + unspaced / CHARACTERS_A_WORD).mean()
    return mean if isinstance(mean, float) else 0.0


def resemblance(cells: pl.Series) -> str:
    """Return what at least half of the cells (none missing) look like, as the end of a sentence, or ""."""
    if cells.dtype != pl.String:
        return ""
    units = find_units(cells)
    if len(units) > 1:
        return f"which look like numbers in several units ({some_of(units, 3)}): write them in one"
    candidate = find_candidate(cells)
    if candidate is not None:
        share = readable(cells, candidate.notation(candidate.evidence.decided or "."))
        if share >= MANY:
            return f"{share:.0%} of which look like numbers (`number` reads them; see `invalid:` for the others)"
    dated = find_date(cells, MANY)
    if dated is not None:
        return f"most of which look like dates ({dated.form} reads them; see `invalid:` for the others)"
    return ""
