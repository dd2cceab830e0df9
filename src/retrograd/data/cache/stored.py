"""Batch columns in files, written block by block and mapped into memory for training."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import polars as pl

from retrograd.data.cache.entry import KIND, MANIFEST, Entry
from retrograd.data.cells.precision import floats
from retrograd.data.preprocessing import Preprocessing, require_weight
from retrograd.data.report import Report
from retrograd.data.row_places import Seen
from retrograd.data.scanned import LINE, ScannedTable
from retrograd.data.settings import DataSettings
from retrograd.data.tables.typed import ScannedTypedTable

BLOCK_ROWS = 1 << 18  # rows transformed at a time
NOT_IN_KEY = ("stream", "cache", "max_bytes")  # settings that do not affect the columns

Columns = dict[str, np.ndarray]


def cache_key(settings: DataSettings, digest: str) -> str:
    """Return the cache key of the columns, which changes with the data and with everything that affects the columns."""
    relevant = {name: value for name, value in asdict(settings).items() if name not in NOT_IN_KEY}
    plain = [_sources(), pl.__version__, np.__version__, floats().__name__, digest, relevant]
    return hashlib.sha256(json.dumps(plain, default=str).encode()).hexdigest()[:32]


@functools.cache
def _sources() -> str:
    """Return a digest of the code that reads and transforms data."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def stored_part(
    folder: Path, part: str, rows: ScannedTypedTable, preprocessing: Preprocessing, report: Report
) -> Columns:
    """Return the batch columns of a part, transformed block by block into files of a folder."""
    target = () if preprocessing.target is None else preprocessing.target.names
    others = (*target, *([preprocessing.weight] if preprocessing.weight is not None else []))
    paths: dict[str, Path] = {}
    part_report = Report()
    with ExitStack() as opened:
        files: dict[str, BinaryIO] = {}
        for start in range(0, len(rows), BLOCK_ROWS):
            block = rows.block(others, start, min(start + BLOCK_ROWS, len(rows)))
            batch = preprocessing.transform(block, with_target=True, report=part_report, is_block=True)
            for name, column in batch.items():
                if name not in files:
                    paths[name] = folder / f"{part}-{len(files)}.npy"
                    files[name] = opened.enter_context(open(paths[name], "wb"))
                    shape = (len(rows), *column.shape[1:])
                    header = {"descr": column.dtype.str, "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(files[name], header)
                files[name].write(np.ascontiguousarray(column).data)
    report.add(part_report, rows.values.columns)
    columns = {name: np.load(path, mmap_mode="r") for name, path in paths.items()}
    if "sample_weight" in columns:
        require_weight(columns["sample_weight"], rows.where)
    return columns


def stored_seen(folder: Path, seen: Mapping[str, Seen]) -> dict[str, Any] | None:
    """Write the original cells of rows, and return the facts needed to find them again."""
    for part, original in seen.items():
        rows = original.rows
        assert isinstance(rows, ScannedTable)
        names = [*original.columns, *([LINE] if LINE in rows.scans else [])]
        (folder / "seen").mkdir()
        count = 0
        for start in range(0, len(rows), BLOCK_ROWS):
            frame = rows.rows(names, start, min(start + BLOCK_ROWS, len(rows)))
            frame.rename(dict(zip(names, map(str, range(len(names))), strict=True))).write_ipc(
                folder / f"seen/{count}.arrow"
            )
            count += 1
        if rows.chosen is not None:
            np.save(folder / "seen/numbers.npy", rows.chosen + 1)
        return {"part": part, "columns": list(original.columns), "lines": LINE in rows.scans, "where": rows.where,
                "rows": len(rows), "files": count}  # fmt: skip
    return None


def read_seen(folder: Path, plain: Mapping[str, Any] | None) -> dict[str, Seen]:
    """Return the rows written by `stored_seen`."""
    if plain is None:
        return {}
    scan = pl.scan_ipc([folder / f"seen/{i}.arrow" for i in range(plain["files"])])
    names = [*plain["columns"], *([LINE] if plain["lines"] else [])]
    schema = scan.collect_schema()
    numbers = folder / "seen/numbers.npy"
    rows = ScannedTable(
        pl.DataFrame(schema={name: schema[str(i)] for i, name in enumerate(plain["columns"])}),
        plain["where"],
        numbers=np.load(numbers, mmap_mode="r") if numbers.exists() else None,
        scans={name: scan.select(str(i)) for i, name in enumerate(names)},
        height=plain["rows"],
    )
    return {plain["part"]: Seen(rows, tuple(plain["columns"]))}


def write_manifest(folder: Path, key: str, parts: Mapping[str, Columns], facts: Mapping[str, Any]) -> None:
    """Write the manifest of a folder: the columns of each part, in the order of their files, and other facts."""
    columns = {
        part: {name: [column.dtype.str, list(column.shape)] for name, column in batch.items()}
        for part, batch in parts.items()
    }
    plain = {"kind": KIND, "key": key, "parts": columns, **facts}
    (folder / MANIFEST).write_text(json.dumps(plain, ensure_ascii=False), encoding="utf-8")


def read_parts(entry: Entry, manifest: Mapping[str, Any]) -> dict[str, Columns] | None:
    """Return the columns of an entry, mapped into memory; None if a file is missing or has another size."""
    parts: dict[str, Columns] = {}
    for part, columns in manifest["parts"].items():
        parts[part] = {}
        for i, (name, (dtype, shape)) in enumerate(columns.items()):
            try:
                column = np.load(entry.folder / f"{part}-{i}.npy", mmap_mode="r")
            except (OSError, ValueError):
                return None
            if column.dtype.str != dtype or list(column.shape) != shape:
                return None
            parts[part][name] = column
    return parts
