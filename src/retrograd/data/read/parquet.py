"""Column files: Parquet, and Arrow's own (Feather)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from retrograd.base.errors import DataError
from retrograd.data.read.files import check_file, require_memory, seekable, too_large
from retrograd.data.read.reader import reads
from retrograd.data.scanned import ScannedTable, spill
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table, checked

CELL_BYTES = 8


@reads(".parquet")
def read_parquet(path: Path, settings: DataSettings) -> Table:
    """Return a Parquet file as a Table, with its own column types.

    Raises:  DataError for any other file, or when its header announces more cells than fit in `max_bytes`
    """
    return _read("Parquet", lambda source: pl.scan_parquet(source, glob=False), path, settings)


@reads(".feather", ".arrow", ".ipc")
def read_arrow(path: Path, settings: DataSettings) -> Table:
    """Return a Feather or Arrow file as a Table, with its own column types.

    Raises:  DataError for any other file, or when it contains more cells than fit in `max_bytes`
    """
    return _read("Feather (Arrow)", pl.scan_ipc, path, settings)


def _read(kind: str, scan: Callable[[Any], pl.LazyFrame], path: Path, settings: DataSettings) -> Table:
    check_file(path, settings.max_bytes)
    into = spill()
    try:
        frame = scan(seekable(path, settings.max_bytes))
        announced = frame.select(pl.len()).collect().item()
        schema = frame.collect_schema()
        needed = announced * max(1, len(schema)) * CELL_BYTES
        if needed > settings.max_bytes:
            raise too_large(path, f"{announced:,} rows take {needed:,} bytes", settings.max_bytes)
        lists = [name for name in settings.targets if isinstance(schema.get(name), pl.List)]
        frame = frame.with_columns(pl.col(lists).cast(pl.List(pl.String)))  # labels of any type
        if into is None:
            require_memory(needed, path)
            return checked(Table(frame.collect(), str(path)))
        empty, scans = frame.head(0).collect(), {name: frame.select(name) for name in schema}
        return checked(ScannedTable(empty, str(path), scans=scans, height=announced, folder=into.folder / "derived"))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"cannot be read as {kind}: {reason}", where=str(path)) from None
