"""Parquet files."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from retrograd.base.errors import DataError
from retrograd.data.files import check_file, too_large
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table, checked

CELL_BYTES = 8


def read_parquet(path: Path, settings: DataSettings) -> Table:
    """Return a Parquet file as a Table, with its own column types.

    Raises:  DataError when it is none, or when its header announces more cells than `max_bytes` has room for
    """
    check_file(path, settings.max_bytes)
    try:
        announced = pl.scan_parquet(path, glob=False).select(pl.len()).collect().item()
        needed = announced * max(1, len(pl.read_parquet_schema(path))) * CELL_BYTES
        if needed > settings.max_bytes:
            raise too_large(path, f"{announced:,} rows take {needed:,} bytes", settings.max_bytes)
        return checked(Table(pl.read_parquet(path, glob=False), str(path)))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"cannot be read as Parquet: {reason}", where=str(path)) from None
