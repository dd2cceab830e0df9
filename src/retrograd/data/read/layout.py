"""The layout of a delimited text file: titles, comments, separator and header, inferred from its first lines."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from retrograd.base.sentence import data_setting
from retrograd.data.read.header import has_header, is_missing, is_number
from retrograd.data.settings import DataSettings

BLANKS = " "  # as a separator, stands for any run of spaces and tabs
SEPARATORS = ",;\t|"
COMMENT_MARKS = ("#", "%", "//")
EVEN = 0.9  # share of the lines that a separator must split into the same number of cells, as in csv.Sniffer
DECIMAL_COMMA = r"^\s*([+-]?\d*),(\d+(?:[eE][+-]?\d+)?)\s*$"
SEPARATOR_LINE = re.compile(r"\ufeff?sep=(.)\s*$", re.IGNORECASE)  # a first line that tells Excel the separator
RULER = re.compile(r"^[|+:= -]*--[|+:= -]*$")  # between header and rows, as databases print tables
SHOWN = 40
PEEK_ROWS = 200


class CsvReader(Protocol):
    """What `csv.reader` returns, whose own type has no public name."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...


@dataclass(frozen=True)
class Layout:
    """Where the rows begin, and how lines become cells.

    `names` are the column names if a comment gives them; `header` tells whether the first record does.
    """

    separator: str
    comment: str = ""
    skip_lines: int = 0
    header: bool = True
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether every line below the titles is a record: no comments, rulers or runs of blanks."""
        return not self.comment and self.separator not in ("|", BLANKS) and self.separator.isascii()

    def readable(self, lines: Iterable[str]) -> Iterator[str]:
        """Yield the lines, with titles and comments blanked so that line numbers do not change."""
        if self.skip_lines:
            lines = ("\n" if i < self.skip_lines else line for i, line in zip(count(), lines, strict=False))
        if self.comment:
            lines = _without_comments(lines, self.comment)
        if self.separator == "|":
            lines = ("\n" if RULER.match(line) else line for line in lines)
        if self.separator == BLANKS:
            lines = (f"{line.strip()}\n".replace("\t", " ") for line in lines)
        return iter(lines)

    def reader(self, lines: Iterable[str], *, strict: bool = True) -> CsvReader:
        """Return a reader of the records in these lines."""
        return csv.reader(self.readable(lines), delimiter=self.separator, skipinitialspace=True, strict=strict)


def find_layout(sample: list[str], settings: DataSettings, *, whole: bool) -> Layout:
    """Return the layout of a file that begins with these lines; `whole` means that there are no others."""
    stated = SEPARATOR_LINE.match(sample[0]) if sample and settings.skip_lines is None else None
    first = 1 if stated else settings.skip_lines or 0
    comment = _find_comment(sample[first:]) if settings.comment is None else settings.comment
    chosen = settings.separator or (stated[1] if stated else None)
    bare = Layout(",", comment, first)
    separator = chosen or find_separator(list(bare.readable(sample)), settings.decimal or ".")
    layout = Layout(separator, comment, first)
    records, ends = _records(layout, sample, whole)
    titles = 0 if settings.skip_lines is not None or not records else _titles(records)
    notes = []
    if titles:
        first = ends[titles - 1]
        notes.append(_titles_note(records[0], first))
    names = _names_in_comment(sample, comment, separator, records[titles:]) if comment else ()
    header = settings.header
    if header is None:
        header = not names and has_header(records[titles:]) if records else True
    if comment:
        notes.append(
            f"lines that begin with '{comment}' are comments (" + data_setting("comment", '""') + " reads them as rows)"
        )
    return Layout(separator, comment, first, header, () if header else names, tuple(notes))


def record_layout(rows: list[list[str]], settings: DataSettings) -> Layout:
    """Return the layout of rows already split into cells, as from a sheet: titles above the table, and the header."""
    skip = _titles(rows[:PEEK_ROWS]) if settings.skip_lines is None else settings.skip_lines
    notes = (_titles_note(rows[0], skip),) if skip and settings.skip_lines is None and any(rows[0]) else ()
    header = has_header(rows[skip : skip + PEEK_ROWS]) if settings.header is None and rows[skip:] else settings.header
    return Layout("", "", skip, header is not False, (), notes)


def find_separator(lines: list[str], decimal: str) -> str:
    """Return the separator that splits most lines into the same number of cells, with the most numbers among them.

    Blanks count only if some cells are numbers: the words of a text are separated by blanks too.
    """
    lines = [line for line in lines if line.strip()]
    rated = [(rating, mark) for mark in SEPARATORS.replace(decimal, "") if (rating := _rate(lines, mark))]
    blanks = _rate(lines, BLANKS)
    if blanks and blanks[:3] > max((rating[:3] for rating, _ in rated), default=(False, 0.0, 0.0)):
        return BLANKS
    if rated:
        return max(rated, key=lambda pair: pair[0])[1]
    first = lines[0] if lines else ""
    return max(SEPARATORS.replace(decimal, ""), key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))


def fits(lines: list[str], separator: str) -> bool:
    """Return whether a separator splits most of these lines into the same number of cells, more than one."""
    return _rate([line for line in lines if line.strip()], separator) is not None


def _rate(lines: list[str], mark: str) -> tuple[bool, float, float, int] | None:
    """Return how well a separator fits: whether it splits every line alike (including the header, which has neither
    units nor decimal commas), the share of numbers among the cells, whether commas remain decimal marks, and the
    number of cells; None if lines are split unevenly.
    """
    try:
        rows = [row for row in Layout(mark).reader(lines, strict=False) if row]
    except csv.Error:
        return None
    widths = Counter(map(len, rows))
    width, even = max(widths.items(), key=lambda item: (item[1], item[0])) if widths else (0, 0)
    if width < 2 or even < EVEN * len(rows):
        return None
    cells = [cell for row in rows if len(row) == width for cell in row if not is_missing(cell)]
    share = sum(map(is_number, cells)) / max(1, len(cells))
    has_commas = mark != "," and any(re.match(DECIMAL_COMMA, cell) for cell in cells)
    return even == len(rows), share, float(has_commas), width


def _find_comment(lines: list[str]) -> str:
    """Return the mark that begins comments, above or between the rows; an empty string if there are none."""
    filled = [line.strip() for line in lines if line.strip()]
    for mark in COMMENT_MARKS:
        marked = [line.startswith(mark) for line in filled]
        if not any(marked) or sum(marked) > len(filled) / 2:
            continue
        others = [line for line, is_marked in zip(filled, marked, strict=True) if not is_marked]
        separator = find_separator(others, ".")
        width = len(next(iter(Layout(separator).reader(others[-1:], strict=False)), []))
        comments = [line for line, is_marked in zip(filled, marked, strict=True) if is_marked]
        if marked[0] or all(len(_cells(line, separator)) != width for line in comments):
            return "" if marked[0] and sum(marked) == 1 and _is_marked_header(filled, mark, separator) else mark
    return ""


def _is_marked_header(lines: list[str], mark: str, separator: str) -> bool:
    """Return whether the mark is (part of) the first column's name, as in `#,name,value`."""
    names = _cells(lines[0], separator)
    is_cut = separator != BLANKS and len(names) == len(_cells(lines[1], separator)) > 1
    return is_cut and names[0].strip() == mark


def _names_in_comment(sample: list[str], comment: str, separator: str, records: list[list[str]]) -> tuple[str, ...]:
    """Return the names in the last comment above the rows, if it has one for each cell and none is a number."""
    above: list[str] = []
    for line in sample:
        if line.strip() and not line.strip().startswith(comment):
            break
        above += [line.strip().removeprefix(comment).strip("#% \t")] if line.strip() else []
    if not above or not records or (len(records) > 1 and has_header(records)):
        return ()
    names = [name.strip() for name in _cells(above[-1], separator)]
    is_named = len(names) == len(records[0]) > 1 and not any(is_number(name) or is_missing(name) for name in names)
    return tuple(names) if is_named and len(set(names)) == len(names) else ()


def _cells(line: str, separator: str) -> list[str]:
    return next(iter(Layout(separator).reader([line], strict=False)), [])


def _records(layout: Layout, sample: list[str], whole: bool) -> tuple[list[list[str]], list[int]]:
    """Return the first records and the line at which each ends, without a last one that may be incomplete."""
    records, ends = [], []
    reader = layout.reader(sample, strict=False)
    try:
        for row in reader:
            if row:
                records.append(row)
                ends.append(reader.line_num)
    except csv.Error:  # reported when the file is read
        pass
    keep = len(records) if whole or len(records) < 2 else len(records) - 1
    return records[:keep], ends[:keep]


def _titles(records: list[list[str]]) -> int:
    """Return how many titles precede the header: records that fill at most half as many cells as the rows have."""
    width, rows = Counter(map(len, records)).most_common(1)[0]
    for i, record in enumerate(records):
        filled = sum(bool(cell.strip()) for cell in record)
        is_short = len(record) != width and filled <= width / 2
        follows = next((other for other in records[i + 1 :] if 2 * sum(map(bool, map(str.strip, other))) > width), [])
        more = bool(follows) and not all(map(is_number, follows))
        is_padded = len(record) == width > 2 and 2 * filled <= width and more
        is_padded = is_padded and bool(record[0].strip()) and not record[-1].strip()
        if filled and not is_short and not is_padded:
            return i if rows >= 2 and rows >= EVEN * len(records[i:]) else 0
    return 0


def _titles_note(first: list[str], lines: int) -> str:
    shown = " ".join(cell.strip() for cell in first if cell.strip())
    shown = shown if len(shown) <= SHOWN else f"{shown[: SHOWN - 3]}..."
    what = "the first line" if lines == 1 else f"the first {lines} lines"
    return (
        f"{what} ('{shown}') {'is' if lines == 1 else 'are'} above the table ("
        + data_setting("skip_lines", "0")
        + " reads everything)"
    )


def _without_comments(lines: Iterable[str], mark: str) -> Iterator[str]:
    """Yield the lines, blanking those that begin with the mark outside quotes."""
    in_quotes = False
    for line in lines:
        if not in_quotes and line.lstrip().startswith(mark):
            yield "\n"
            continue
        in_quotes ^= line.count('"') % 2 == 1
        yield line
