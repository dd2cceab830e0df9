"""Reading what the settings name: a built-in, or files of any kind that is known."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from retrograd.base.errors import ConfigError, DataError, RetrogradWarning
from retrograd.data.arrays import Arrays, as_arrays
from retrograd.data.builtin.builtin import TARGET, read_builtin
from retrograd.data.builtin.inline_table import inline_table
from retrograd.data.digests import file_digests, joined_digest, rows_digest
from retrograd.data.images.decoding import SUFFIXES as IMAGE_SUFFIXES
from retrograd.data.images.paths import with_image_column
from retrograd.data.images.reading import files_below, images_of_arrays, images_of_table, read_image_folder
from retrograd.data.images.rows import Images
from retrograd.data.images.settings import ImageSettings
from retrograd.data.part_folders import labelled_parts, part_folders
from retrograd.data.read.arff import read_arff
from retrograd.data.read.compression import SUFFIXES as PACKED
from retrograd.data.read.compression import inner_name
from retrograd.data.read.delimited import first_lines, read_delimited
from retrograd.data.read.encoding import is_plain
from retrograd.data.read.excel import SUFFIXES as EXCEL_SUFFIXES
from retrograd.data.read.excel import read_excel
from retrograd.data.read.files import check_file, check_room, chunks, too_large
from retrograd.data.read.json_files import read_json
from retrograd.data.read.jsonl import read_jsonl
from retrograd.data.read.layout import fits
from retrograd.data.read.numpy_files import read_npy, read_npz
from retrograd.data.read.parquet import read_arrow, read_parquet
from retrograd.data.read.parts import is_pattern, joined_tables, matching
from retrograd.data.read.sqlite import SUFFIXES as SQLITE_SUFFIXES
from retrograd.data.read.sqlite import read_sqlite
from retrograd.data.read.text import open_lines, text_encoding
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table, table_digest
from retrograd.data.texts.corpus import Corpus, corpus_of
from retrograd.data.texts.reading import SUFFIXES as TEXT_SUFFIXES
from retrograd.data.texts.reading import TEXT, corpus_of_table, read_text_file, read_text_folder, text_column
from retrograd.data.texts.settings import TextSettings
from retrograd.data.texts.vocabulary import read_tokenizer

Rows = Table | Arrays | Images | Corpus

TABLE_READERS: dict[str, Callable[[Path, DataSettings], Table]] = {
    ".csv": read_delimited,
    ".tsv": lambda path, settings: read_delimited(path, replace(settings, separator=settings.separator or "\t")),
    ".txt": read_delimited,
    ".data": read_delimited,
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".parquet": read_parquet,
    ".json": read_json,
    ".arff": read_arff,
    **dict.fromkeys((".feather", ".arrow", ".ipc"), read_arrow),
    **dict.fromkeys(EXCEL_SUFFIXES, read_excel),
    **dict.fromkeys(SQLITE_SUFFIXES, read_sqlite),
}
WHOLE = (*EXCEL_SUFFIXES, *SQLITE_SUFFIXES)  # read from the file itself, so not from a compressed one
SEPARATED = (".csv", ".tsv", ".txt", ".data")
KNOWN_SUFFIXES = (*TABLE_READERS, ".npy", ".npz", *IMAGE_SUFFIXES)


@dataclass(frozen=True)
class Source:
    """Data as they were read: all rows, parts that came separately, and settings with the source's own defaults.

    `tokenizer` is the JSON of the tokenizer file, if one is named.
    """

    name: str
    settings: DataSettings
    rows: Rows
    parts: dict[str, Rows]
    digest: str
    tokenizer: str | None = None
    notes: tuple[str, ...] = ()  # what was guessed while reading


def read_source(settings: DataSettings, base_dir: Path) -> Source:
    """Return the data that the settings name; relative paths start at `base_dir`.

    Raises:  ConfigError when they name none; DataError for what cannot be read
    """
    if settings.builtin is not None:
        return _builtin_source(settings)
    if settings.rows is not None:
        table, settings = inline_table(settings)
        return frame_source(table.with_missing(settings.missing_values), {}, settings)
    if settings.path is None:
        raise ConfigError(
            "no data", where="data", cure="name a built-in (`data: xor`) or a file (`data: {path: FILE}`)"
        )
    paths = {"train": base_dir / settings.path}
    tokenizer = None if settings.text is None else read_tokenizer(settings.text, base_dir)
    settings = with_kind(paths["train"], settings)
    parts = read_parts(paths["train"], settings)
    rows = parts.pop("train")
    notes: tuple[str, ...] = ()
    if paths["train"].is_dir():
        parts, notes = labelled_parts(paths["train"], rows, parts)
    if isinstance(rows, Table):
        settings, told = with_image_column(rows, settings)
        notes = (*notes, *told)
        rows = special_rows(rows, settings)
    if isinstance(rows, Arrays) and paths["train"].suffix == ".npy" and settings.targets:
        paths["y"] = base_dir / settings.targets[0]
        rows = _with_target(rows, paths["y"], settings)
    for part, name in (("valid", settings.valid_path), ("test", settings.test_path)):
        if name is not None:
            paths[part] = base_dir / name
            parts[part] = read_file(paths[part], settings)
    digests = [file_digests(path, rows if part == "train" else parts.get(part), settings.max_bytes)
               for part, path in paths.items()]  # fmt: skip
    return Source(
        _name(paths["train"]),
        settings,
        rows,
        parts,
        joined_digest([digest for own in digests for digest in own]),
        tokenizer,
        notes,
    )


def _name(path: Path) -> str:
    """Return what data are called: a file by its name, a pattern by its folder."""
    path = path.resolve()
    path = path.parent if is_pattern(path) else path
    return path.stem if path.suffix.lower() not in PACKED else Path(path.stem).stem


def with_kind(path: Path, settings: DataSettings) -> DataSettings:
    """Return the settings with the section that a folder's files ask for: `images` or `text`."""
    if not path.is_dir() or settings.images is not None or settings.text is not None:
        return settings
    if any(files_below(path, IMAGE_SUFFIXES)):
        return replace(settings, images=ImageSettings())
    if any(_tables_below(path)):
        return settings
    if any(files_below(path, TEXT_SUFFIXES)):
        return replace(settings, text=TextSettings())
    raise DataError(
        "not a regular file, and a folder without tables, images or text files",
        where=str(path),
        cure=f"expected files ending in {', '.join(('.csv', '.parquet', *IMAGE_SUFFIXES, *TEXT_SUFFIXES))}",
    )


def _tables_below(folder: Path) -> list[Path]:
    """Return the parts of a table that a folder holds: files of one kind, beside nothing but texts about them."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith((".", "_")))
    suffixes = (*TABLE_READERS, *(f"{suffix}{packing}" for suffix in TABLE_READERS for packing in PACKED))
    others = [file for file in files if not file.name.lower().endswith((*TEXT_SUFFIXES, ".json", ".pdf"))]
    found = others or [file for file in files if file.suffix.lower() == ".json"]
    kinds = {"".join(file.suffixes[-2:]) if file.suffix.lower() in PACKED else file.suffix.lower() for file in found}
    return found if len(kinds) == 1 and found[0].name.lower().endswith(suffixes) else []


def read_file(path: Path, settings: DataSettings) -> Rows:
    """Return the rows of one file, as prediction and evaluation need them; the target may be absent.

    Warns:  RetrogradWarning of a folder that holds the parts of a data set, whose test (or validation) part is read
    """
    parts = read_parts(path, settings)
    part = next((part for part in ("test", "valid") if part in parts), "train") if path.is_dir() else "train"
    if part != "train":
        message = f"{path} holds the parts of a data set: its {part} part is read; name a folder in it for another"
        warnings.warn(message, RetrogradWarning, stacklevel=2)
    return parts[part]


def form_of_its_own(path: Path, settings: DataSettings) -> DataSettings:
    """Return the settings for a further file, without an encoding or separator that plainly is not that file's."""
    if not os.path.isfile(path) or Path(inner_name(path)).suffix not in SEPARATED:
        return settings
    if settings.encoding is not None and is_plain(lambda: chunks(path, settings.max_bytes)):
        settings = replace(settings, encoding=None)
    if settings.separator is not None:
        with open_lines(path, text_encoding(path, settings)) as lines:
            sample = first_lines(lines)
        if sample and not fits(sample, settings.separator):
            settings = replace(settings, separator=None, decimal=None)
    return settings


def read_parts(path: Path, settings: DataSettings) -> dict[str, Rows]:
    """Return the rows of a file as `train`, and those of `valid` and `test` where a .npz file holds them.

    Raises:  DataError for a file that is missing, no regular file, too large, damaged or of an unknown kind
    """
    if path.is_dir():
        settings = with_kind(path, settings)
        if settings.images is None and settings.text is None:
            return {"train": special_rows(_read_tables(_tables_below(path), settings, str(path)), settings)}
        suffixes = TEXT_SUFFIXES if settings.images is None else IMAGE_SUFFIXES
        places = part_folders(path, suffixes) or {"train": path}
        return {part: _read_folder(place, settings) for part, place in places.items()}
    if is_pattern(path):
        return {"train": special_rows(_read_tables(matching(path), settings, str(path)), settings)}
    check_file(path, settings.max_bytes)
    suffix = Path(inner_name(path)).suffix
    if suffix in IMAGE_SUFFIXES:
        return {"train": Images((path,), str(path))}
    if settings.text is not None and suffix in TEXT_SUFFIXES:
        return {"train": _as_rows([read_text_file(path, settings)], settings, str(path))}
    check_room(path)
    try:
        if suffix in TABLE_READERS:
            return {"train": special_rows(_read_table(path, suffix, settings), settings)}
        if suffix == ".npy":
            array = read_npy(path, settings)
            return {"train": as_arrays(array, keep_integers=settings.keep_integers, where=str(path))}
        if suffix == ".npz":
            return _npz_parts(read_npz(path, settings), settings, str(path))
    except MemoryError:
        cure = "use a smaller file; data.max_bytes (--max-bytes) refuses large ones before they are read"
        raise DataError("too large for the memory there is", where=str(path), cure=cure) from None
    raise DataError(f"unknown kind of file '{suffix}'", where=str(path), cure=f"known: {', '.join(KNOWN_SUFFIXES)}")


def _read_table(path: Path, suffix: str, settings: DataSettings) -> Table:
    if suffix in WHOLE and path.suffix.lower() in PACKED:
        raise DataError(f"a compressed {suffix} file is not read", where=str(path), cure="unpack it first")
    return TABLE_READERS[suffix](path, settings).with_missing(settings.missing_values)


def _read_tables(paths: list[Path], settings: DataSettings, where: str) -> Table:
    """Return the table that several files hold together."""
    total = sum(path.stat().st_size for path in paths)
    if total > settings.max_bytes:
        raise too_large(where, f"{len(paths)} files of {total:,} bytes", settings.max_bytes)
    tables = []
    for path in paths:
        rows = read_file(path, replace(settings, images=None, text=None))
        if not isinstance(rows, Table):
            raise DataError(
                "no table, so no part of one", where=str(path), cure="leave it out of the folder or pattern"
            )
        tables.append(rows)
    return joined_tables(tables, where)


def special_rows(table: Table, settings: DataSettings) -> Rows:
    """Return what a table stands for: the images whose paths it holds, running text, or its own rows."""
    if settings.images is not None:
        return images_of_table(table, settings.images)
    if settings.text is not None and settings.text.next:
        return corpus_of_table(table, text_column(table, settings.text))
    return table


def frame_source(table: Table, parts: dict[str, Table], settings: DataSettings) -> Source:
    """Return a source of data frames."""
    digest = joined_digest([table_digest(each) for each in (table, *parts.values())])
    tokenizer = None if settings.text is None else read_tokenizer(settings.text, Path())
    others = {name: special_rows(part, settings) for name, part in parts.items()}
    return Source(table.where, settings, special_rows(table, settings), others, digest, tokenizer)


def arrays_source(rows: Arrays | Images, parts: Mapping[str, Arrays | Images], settings: DataSettings) -> Source:
    """Return a source of arrays."""
    digest = joined_digest([rows_digest(each) for each in (rows, *parts.values())])
    return Source(rows.where, settings, rows, dict(parts), digest)


def _builtin_source(settings: DataSettings) -> Source:
    found = read_builtin(settings)
    split = settings.split
    if found.is_truth_table and split.method == "auto":
        split = replace(split, method="none")
    own = replace(settings, scale=settings.scale or found.scale, split=split)
    if settings.text is None or settings.text.answer is None:
        own = replace(own, target=settings.target or TARGET)
    if found.task is not None and settings.task == "auto" and not settings.targets:
        own = replace(own, task=found.task)  # type: ignore[arg-type]
    tokenizer = None if settings.text is None else read_tokenizer(settings.text, Path())
    rows = special_rows(found.rows, own) if isinstance(found.rows, Table) else found.rows
    return Source(settings.builtin or "", own, rows, {}, rows_digest(rows), tokenizer)


def _with_target(rows: Arrays, path: Path, settings: DataSettings) -> Arrays:
    """Return the rows of a .npy file with the target that stands in another one."""
    y = read_npy(path, settings)
    return as_arrays(rows.inputs, y, keep_integers=settings.keep_integers, where=str(path))


def _npz_parts(arrays: dict[str, np.ndarray], settings: DataSettings, where: str) -> dict[str, Rows]:
    """Sort the arrays of a .npz file: `x_valid` belongs to the validation part when there is an `x`."""
    parts: dict[str, dict[str, np.ndarray]] = {"train": {}, "valid": {}, "test": {}}
    for name, array in arrays.items():
        base, _, part = name.rpartition("_")
        if base in arrays and part in ("valid", "test"):
            parts[part][base] = array
        else:
            parts["train"][name] = array
    target = settings.targets[0] if settings.targets else "y"
    if settings.targets and target not in parts["train"]:
        raise DataError(f"no array '{target}'; have: {', '.join(arrays)}", where=where)
    if settings.images is not None:
        return {part: images_of_arrays(found, target, where) for part, found in parts.items() if found}
    return {
        part: as_arrays(found, found.pop(target, None), keep_integers=settings.keep_integers, where=where)
        for part, found in parts.items()
        if found
    }


def _read_folder(path: Path, settings: DataSettings) -> Rows:
    if settings.images is not None:
        return read_image_folder(path, settings.images)
    return read_text_folder(path, settings)


def _as_rows(texts: list[str], settings: DataSettings, where: str) -> Rows:
    """Return texts as running text, or each as a row."""
    if settings.text is not None and settings.text.next:
        return corpus_of(texts, where)
    return Table(pl.DataFrame({TEXT: texts}), where)
