"""The kind of each column: number, category, boolean, date, free text, or identifier, which is ignored."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import polars as pl

from retrograd.base.errors import ConfigError, DataError
from retrograd.base.sentence import data_setting
from retrograd.data.cells.date_forms import example
from retrograd.data.cells.dates import DIGITS, find_date, is_date_form
from retrograd.data.cells.dialects import ENOUGH, example_notation, find_candidate, find_units, readable
from retrograd.data.cells.notation import stands_for_none
from retrograd.data.cells.values import Parsed, booleans, dates, numbers, words
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table
from retrograd.present.wording import some_of

MANY = 0.5  # share of cells like numbers or dates from which a text column gets a note
MOST_WORDS = 64  # a column with more distinct words that hardly repeat identifies its rows
FEW_WORDS = 20  # with more distinct words than this, and than half the cells, a note says that they hardly repeat
FEW_A_WORD = 5  # cells per distinct word; with more, words that look like numbers are good categories
ISO_DATE = "%Y-%m-%d"
LARGEST_EXACT = 2**53  # larger whole numbers are rounded in 64 bits, so that different ones become equal
LONG = r"^[+-]?\d{17,}$"  # whole numbers beyond that
PADDED = r"^0\d+$"
ROW_NUMBER_NAME = re.compile(r"(?i:(^|[_ .-])(id|index|row|no|nr)$|^unnamed)|[a-z](Id|ID)$")
FEWEST_WORDS = 3  # per cell on average, as in AutoGluon's rule for text columns (`check_if_nlp_feature`)
FEWEST_TEXTS = 64  # distinct texts; the maximum number of words in a category column
WORD = r"(?:^|\s)\S*\p{L}\S*"  # a word contains a letter: it is neither a number nor a time of day
UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}]"  # scripts written without spaces
CHARACTERS_A_WORD = 2  # in these scripts; the usual length of a Chinese word
OTHERS = data_setting("invalid") + " for the others)"
SAMPLE = 5_000  # evenly spaced cells; more would not change the average number of words


@dataclass(frozen=True)
class ColumnKind:
    """The kind of a column, the format of a date, and a note on how it was inferred."""

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
        """What a cell must be, as text."""
        return {"number": "a finite number", "boolean": "true or false", "date": f"a date like {example(self.form)}"}[
            self.kind
        ]


def find_kinds(table: Table, names: tuple[str, ...], settings: DataSettings) -> dict[str, ColumnKind]:
    """Return the kind of each named column: the configured one, or that of most of its cells.

    Raises:  DataError for a column without values, or for `kinds` of a column that does not exist
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
    chosen = settings.kinds.get(name)
    if chosen == "identifier":
        table.column(name)
        return ColumnKind("identifier")
    if chosen is None and _is_surely_number(table, name):
        return ColumnKind("number")
    series = table.column(name)
    cells = series.drop_nulls() if series.null_count() else series
    if cells.is_empty():
        cure = "ignore it with " + data_setting("exclude", f"[{name}]")
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
        raise ConfigError(f"'{chosen}' is not a date format", where=f"data.kinds.{name}", cure="for example %d/%m/%Y")
    return ColumnKind("date", chosen)


def _is_surely_number(table: Table, name: str) -> bool:
    """Return whether a column contains fractions, judging without reading it into memory."""
    kind = table.frame.schema.get(name)
    is_float = kind is not None and kind.is_float()
    return is_float and not ROW_NUMBER_NAME.search(name) and table.each([name], lambda cells: cells.count())[0] > 0


def _inferred(cells: pl.Series) -> ColumnKind:
    if cells.dtype == pl.Boolean:
        return ColumnKind("boolean")
    if cells.dtype in (pl.Date, pl.Datetime):
        return ColumnKind("date", ISO_DATE)
    if cells.dtype in (pl.Categorical, pl.Enum):
        return ColumnKind("category")
    if cells.dtype.is_float():
        return _row_number(cells) or ColumnKind("number")
    parsed = numbers(cells)
    unread = cells.cast(pl.Float64, strict=False).is_null() if cells.dtype == pl.String else parsed.bad
    readable = 1 - float(unread.sum()) / len(unread)
    if cells.dtype.is_numeric() or readable >= ENOUGH:
        return _compact_date(cells) or _row_number(cells) or _code(cells) or ColumnKind("number")
    if (
        not booleans(cells.head(1000)).bad.any() and not booleans(cells.unique()).bad.any()
    ):  # the first cells usually decide
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
    note = f"'{cells.name}' contains dates such as {cells[0]} ({dated.form}), not numbers"
    return ColumnKind("date", dated.form, note)


def _code(cells: pl.Series) -> ColumnKind | None:
    """Return the kind of whole numbers that are only codes: with leading zeros, or too long to be exact."""
    if cells.dtype.is_integer():
        largest = max(abs(value) for value in (cells.min(), cells.max()) if isinstance(value, int))
        long, padded = largest > LARGEST_EXACT, False
    elif cells.dtype == pl.String:
        long = bool(cells.str.contains(LONG).any())
        padded = bool(cells.str.contains(PADDED).any()) and bool(cells.str.contains(r"^\d+$").all())
    else:
        return None
    if long:
        what = f"'{cells.name}' contains whole numbers too long to be exact, such as {cells[0]}"
        return ColumnKind("identifier", note=f"{what}; it is ignored")
    if not padded:
        return None
    code = cells.filter(cells.str.contains(PADDED))[0]
    is_name = cells.n_unique() > max(MOST_WORDS, len(cells) / 2)
    what = f"'{cells.name}' contains codes with leading zeros, such as {code}"
    return ColumnKind("identifier", note=f"{what}; it is ignored") if is_name else ColumnKind("category", note=what)


def _row_number(cells: pl.Series) -> ColumnKind | None:
    if not ROW_NUMBER_NAME.search(cells.name):
        return None
    steps = numbers(cells).values.diff().drop_nulls()
    if len(steps) > 0 and bool((steps == 1).all()):
        return ColumnKind("identifier", note=f"'{cells.name}' only counts the rows")
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
    doubt = (
        f"'{cells.name}' could be {dated.others[0]} as well as {dated.form}, which is used{why}" if dated.others else ""
    )
    return ColumnKind("date", dated.form, doubt)


def _category(cells: pl.Series, readable: float) -> ColumnKind:
    distinct = cells.n_unique()
    if is_free_text(cells):
        note = f"'{cells.name}' contains free text ({words_a_cell(cells):.0f} words per cell), which is read as tokens"
        return ColumnKind("text", note=note)
    if distinct > MOST_WORDS and distinct > len(cells) / 2:
        like = resemblance(cells) or f"such as '{cells[0]}'"
        return ColumnKind("identifier", note=f"'{cells.name}' contains {distinct} distinct texts, " + like)
    if readable >= MANY:
        other = cells.filter(cells.cast(pl.Float64, strict=False).is_null())[0]
        note = f"{readable:.0%} of the cells of '{cells.name}' are numbers, too few for a number column"
        return ColumnKind("category", note=f"{note} ('{other}' is not a number)")
    like = resemblance(cells) if distinct > len(cells) / FEW_A_WORD else ""
    if not like and distinct > FEW_WORDS and 2 * distinct > len(cells):
        like = f"{distinct} distinct ones in {len(cells)} cells, such as '{cells[0]}', which tell little about new rows"
    return ColumnKind("category", note=f"'{cells.name}' is read as words, " + like if like else "")


def kinds_notes(kinds: Mapping[str, ColumnKind]) -> tuple[str, ...]:
    """Return sentences about the inferred kinds: the columns of each kind, then the doubtful ones."""
    by_kind: dict[str, list[str]] = {}
    for name, column in kinds.items():
        form = f" ({column.form})" if column.form not in ("", ISO_DATE) else ""
        by_kind.setdefault(column.kind, []).append(f"{name}{form}")
    notes = []
    for kind, names in by_kind.items():
        ignored = " (ignored)" if kind == "identifier" else ""
        notes.append(f"{len(names)} {kind} column{'s' if len(names) > 1 else ''}{ignored}: {some_of(names)}")
    doubts = [
        column.note + "; " + data_setting("kinds") + " sets another kind" for column in kinds.values() if column.note
    ]
    return (*notes, *doubts)


def is_free_text(cells: pl.Series) -> bool:
    """Return whether most cells of a text column are distinct and have several words, like reviews or descriptions."""
    distinct = cells.n_unique()
    if cells.dtype != pl.String or (distinct <= FEWEST_TEXTS and 2 * distinct <= len(cells)):
        return False
    return words_a_cell(cells) >= FEWEST_WORDS


def words_a_cell(cells: pl.Series) -> float:
    """Return the mean number of words per distinct text of a column."""
    texts = cells.unique(maintain_order=True).gather_every(max(1, cells.n_unique() // SAMPLE))
    spaced = texts.str.count_matches(WORD).cast(pl.Float64)
    unspaced = texts.str.count_matches(UNSPACED).cast(pl.Float64)
    mean = (spaced + unspaced / CHARACTERS_A_WORD).mean()
    return mean if isinstance(mean, float) else 0.0


def resemblance(cells: pl.Series) -> str:
    """Return what at least half of the cells (none missing) look like, as the end of a sentence; "" if nothing."""
    if cells.dtype != pl.String:
        return ""
    units = find_units(cells)
    if len(units) > 1:
        return f"which look like numbers in several units ({some_of(units, 3)}): convert them to one unit"
    candidate = find_candidate(cells)
    if candidate is not None:
        share = readable(cells, candidate.notation(candidate.evidence.decided or "."))
        if share >= MANY:
            return f"{share:.0%} of which look like numbers (`number` reads them; see " + OTHERS
    dated = find_date(cells, MANY)
    if dated is not None:
        return f"most of which look like dates ({dated.form} reads them; see " + OTHERS
    return ""
