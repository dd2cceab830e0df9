"""Spreadsheets (.xlsx, .xls, .ods), with the extra `excel`."""

from __future__ import annotations

import importlib
import zipfile
from pathlib import Path
from typing import Any

import polars as pl

from retrograd.base.errors import ConfigError, DataError
from retrograd.base.sentence import data_setting
from retrograd.data.read.files import check_file, too_large
from retrograd.data.read.reader import reads
from retrograd.data.read.records import table_of_rows
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table
from retrograd.present.wording import some_of

MIDNIGHT = r"^(\d{4}-\d\d-\d\d) 00:00:00$"


@reads(".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", packed=False)
def read_excel(path: Path, settings: DataSettings) -> Table:
    """Return one sheet of a spreadsheet as a Table of text: the configured sheet, else the first one with cells.

    Raises:  DataError for a file that is not a spreadsheet, too large or empty, or if the reader is not installed;
             ConfigError if there is no such sheet
    """
    check_file(path, settings.max_bytes)
    _check_size(path, settings.max_bytes)
    try:
        fastexcel: Any = importlib.import_module("fastexcel")
    except ImportError:
        cure = "install it with `pip install 'retrograd[excel]'`, or save the sheet as CSV"
        raise DataError("reading spreadsheets needs the package fastexcel", where=str(path), cure=cure) from None
    try:
        book = fastexcel.read_excel(path)
        name, frame = _sheet(book, settings.sheet, path)
    except fastexcel.FastExcelError as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"cannot be read as a spreadsheet: {reason}", where=str(path)) from None
    others = [other for other in book.sheet_names if other != name]
    note = (
        (f"sheet '{name}' is read, not {some_of(others, 5)} (" + data_setting("sheet") + " selects another)",)
        if others
        else ()
    )
    frame = frame.with_columns(pl.all().str.replace(MIDNIGHT, "$1").fill_null(""))
    return table_of_rows(path, [list(row) for row in frame.rows()], settings, note)


def _sheet(book: Any, chosen: str | None, path: Path) -> tuple[str, pl.DataFrame]:
    if chosen is not None and chosen not in book.sheet_names:
        raise ConfigError(f"{path} has no sheet '{chosen}'; have: {some_of(book.sheet_names)}", where="data.sheet")
    for name in [chosen] if chosen else book.sheet_names:
        frame = book.load_sheet(name, header_row=None, dtypes="string").to_polars()
        if frame.height:
            return name, frame
    raise DataError("no sheet has cells", where=str(path))


def _check_size(path: Path, max_bytes: int) -> None:
    """Refuse a spreadsheet whose decompressed parts exceed the limit."""
    if not zipfile.is_zipfile(path):  # as .xls
        return
    with zipfile.ZipFile(path) as archive:
        total = sum(member.file_size for member in archive.infolist())
    if total > max_bytes:
        raise too_large(path, f"its parts take {total:,} bytes", max_bytes)
