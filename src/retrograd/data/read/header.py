"""Whether the first record of a table names its columns, decided from all examined records."""

from __future__ import annotations

import re
from collections.abc import Sequence

from retrograd.base.errors import DataError
from retrograd.base.sentence import data_setting
from retrograd.data.settings import MISSING_WORDS
from retrograd.data.table import refuse_duplicates

GROUPED = re.compile(r"^[(+-]?\s*[$€£¥]?\s*\d+(?:[.,'’\u00a0\u202f ]\d{3})*(?:[.,]\d*)?\s*[%€$£¥]?\s*\)?$")
DATE = re.compile(r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d{2}[\d:.]*\s*(Z|[AaPp][Mm]|[+-]\d{2}:?\d{2})?)?$")
COUNTED = 3  # minimum number of columns named by consecutive numbers that cannot be a coincidence


def has_header(records: Sequence[Sequence[str]]) -> bool:
    """Return whether the first record names the columns.

    It does if there is a column of numbers below a text, or if it consists of consecutive numbers outside the ranges of
    their columns (years, or the columns of an array). Otherwise, it does not if it contains a number, or words that
    recur in their columns: a name is not a value.
    """
    first, others = records[0], records[1:]
    columns = [[row[i] for row in others if i < len(row)] for i in range(len(first))]
    numeric = [is_number(cell) for cell in first]
    has_name = any(
        not (number or is_missing(cell)) and _is_numeric(column)
        for cell, number, column in zip(first, numeric, columns, strict=True)
    )
    if has_name or _counts(first, columns):
        return True
    return not any(numeric) and not _recurs(first, columns)


def is_missing(cell: str) -> bool:
    """Return whether a cell stands for a missing value."""
    return cell.strip() in MISSING_WORDS


def is_number(cell: str) -> bool:
    """Return whether a cell looks like a quantity or a date in any notation, and so is not a name."""
    cell = cell.strip()
    if is_missing(cell):
        return False
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return bool(GROUPED.match(cell) or DATE.match(cell))
    return True


def column_names(first: Sequence[str], is_header: bool, where: str) -> list[str]:
    """Return the column names: the cells of the header, or numbers."""
    if not is_header:
        return [f"column_{i + 1}" for i in range(len(first))]
    names = [cell.strip() or unnamed(i) for i, cell in enumerate(first)]
    try:
        refuse_duplicates(names, where)
    except DataError as error:
        cure = error.problems[0].cure + "; for a file without a header, set " + data_setting("header", "false")
        raise DataError(error.problems[0].message, where=where, cure=cure) from None
    return names


def unnamed(index: int) -> str:
    """Return the name of a column with an empty cell in the header."""
    return f"unnamed_{index + 1}"


def _is_numeric(column: list[str]) -> bool:
    cells = [cell for cell in column if not is_missing(cell)]
    return bool(cells) and all(map(is_number, cells))


def _counts(first: Sequence[str], columns: list[list[str]]) -> bool:
    """Return whether the numbers in the first record are consecutive, and none is in the range of its column."""
    numbered = [(int(cell), column) for cell, column in zip(first, columns, strict=True) if cell.strip().isdecimal()]
    if len(numbered) < COUNTED or any(is_number(cell) and not cell.strip().isdecimal() for cell in first):
        return False
    values = [number for number, _ in numbered]
    if values != list(range(values[0], values[0] + len(values))):
        return False
    filled = [(number, column) for number, column in numbered if not all(map(is_missing, column))]
    return bool(filled) and all(_outside(number, column) for number, column in filled)


def _outside(number: int, column: list[str]) -> bool:
    try:
        cells = [float(cell) for cell in column if not is_missing(cell)]
    except ValueError:
        return False
    return not min(cells) <= number <= max(cells)


def _recurs(first: Sequence[str], columns: list[list[str]]) -> bool:
    """Return whether most cells of the first record recur in their columns."""
    filled = [(cell, column) for cell, column in zip(first, columns, strict=True) if not is_missing(cell)]
    again = sum(cell in column for cell, column in filled)
    return again > len(filled) / 2
