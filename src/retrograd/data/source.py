"""Reading the data described by the settings: a built-in, or files of any known kind."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from retrograd.base.errors import ConfigError, DataError, RetrogradWarning
from retrograd.base.sentence import data_setting, sentence, setting
from retrograd.data.arrays import Arrays, as_arrays
from retrograd.data.audio.reading import read_sound_folder, sounds_of_arrays, sounds_of_table
from retrograd.data.audio.rows import Sounds
from retrograd.data.audio.settings import AudioSettings
from retrograd.data.audio.wav import SUFFIXES as SOUND_SUFFIXES
from retrograd.data.builtin.builtin import TARGET, read_builtin
from retrograd.data.builtin.generated import Rows
from retrograd.data.builtin.inline import inline_table
from retrograd.data.cells.vocabulary import read_tokenizer
from retrograd.data.images.decoding import SUFFIXES as IMAGE_SUFFIXES
from retrograd.data.images.reading import images_of_arrays, images_of_table, read_image_folder
from retrograd.data.images.rows import Images
from retrograd.data.images.settings import ImageSettings
from retrograd.data.path_columns import with_path_column
from retrograd.data.patterns import is_pattern, matching
from retrograd.data.read.compression import SUFFIXES as PACKED
from retrograd.data.read.compression import inner_name
from retrograd.data.read.delimited import SEPARATED
from retrograd.data.read.files import check_file, file_digest
from retrograd.data.read.folders import LABEL, files_below, part_folders
from retrograd.data.read.parts import read_tables, tables_below
from retrograd.data.read.reader import READERS, read_content
from retrograd.data.read.text import SUFFIXES as TEXT_SUFFIXES
from retrograd.data.scanned import spill
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table
from retrograd.data.texts.corpus import Corpus, corpus_of
from retrograd.data.texts.reading import TEXT, corpus_of_table, read_text_file, read_text_folder, text_column
from retrograd.data.texts.settings import TextSettings

KNOWN_SUFFIXES = (*dict.fromkeys((*SEPARATED, *READERS)), *IMAGE_SUFFIXES, *SOUND_SUFFIXES)
FOLDER_SUFFIXES = (*IMAGE_SUFFIXES, *SOUND_SUFFIXES, *TEXT_SUFFIXES)  # in folders without tables


class NoPlainTableError(ConfigError):
    """The data are not a plain table, so their rows cannot stay in files."""


@dataclass(frozen=True)
class Source:
    """Data as read: all rows, separate parts, and settings with the source's own defaults.

    `tokenizer` is the JSON of the tokenizer file, if one is configured; `notes` say what was inferred while reading.
    """

    name: str
    settings: DataSettings
    rows: Rows
    parts: dict[str, Rows]
    digest: str
    tokenizer: str | None = None
    notes: tuple[str, ...] = ()


def _read_further(settings: DataSettings, base_dir: Path, paths: dict[str, Path], parts: dict[str, Rows]) -> None:
    """Read the parts that have their own files, and record their paths."""
    for part, name in (("valid", settings.valid_path), ("test", settings.test_path)):
        if name is not None:
            if (destination := spill()) is not None:
                destination.begin_part()
            paths[part] = base_dir / name
            parts[part] = read_file(paths[part], settings)


def read_source(settings: DataSettings, base_dir: Path) -> Source:
    """Return the data described by the settings; relative paths start at `base_dir`.

    Raises:  ConfigError if they describe none; NoPlainTableError for rows that should stay in files but contain paths
             of images; DataError for data that cannot be read
    """
    if settings.builtin is not None:
        return _builtin_source(settings)
    if settings.rows is not None:
        table, settings = inline_table(settings)
        return frame_source(table.with_missing(settings.missing_values), {}, settings)
    if settings.path is None:
        raise ConfigError(
            "no data",
            where="data",
            cure=sentence("name a built-in ({}) or a file ({})", setting("data", "xor"), setting("data.path", "FILE")),
        )
    paths = {"train": base_dir / settings.path}
    tokenizer = None if settings.text is None else read_tokenizer(settings.text, base_dir)
    settings = with_kind(paths["train"], settings)
    destination = spill()
    parts = read_parts(paths["train"], settings)
    rows = parts.pop("train")
    notes: tuple[str, ...] = ()
    if paths["train"].is_dir():
        parts, notes = _labelled_parts(paths["train"], rows, parts)
    if isinstance(rows, Table):
        settings, path_notes = with_path_column(rows, settings)
        notes = (*notes, *path_notes)
        if destination is not None and (named := settings.images or settings.audio) is not None:
            message = f"'{named.column}' contains paths of images or sounds, so these data are read into memory"
            raise NoPlainTableError(message, where="data.stream", cure="use " + data_setting("stream", "never"))
        rows = special_rows(rows, settings)
    if isinstance(rows, Arrays) and paths["train"].suffix == ".npy" and settings.targets:
        paths["y"] = base_dir / settings.targets[0]
        y = READERS[".npy"].read(paths["y"], settings)
        assert isinstance(y, dict)
        rows = as_arrays(rows.inputs, y["x"], keep_integers=settings.keep_integers, where=str(paths["y"]))
    _read_further(settings, base_dir, paths, parts)
    if destination is not None:
        destination.begin_part()  # checks the last part
        return Source(_name(paths["train"]), settings, rows, parts, destination.digest, tokenizer, notes)
    digests = [
        digest
        for part, path in paths.items()
        for digest in _file_digests(path, rows if part == "train" else parts.get(part), settings.max_bytes)
    ]
    return Source(_name(paths["train"]), settings, rows, parts, joined_digest(digests), tokenizer, notes)


def frame_source(table: Table, parts: dict[str, Table], settings: DataSettings) -> Source:
    """Return the source for data frames."""
    digest = joined_digest([part.digest for part in (table, *parts.values())])
    tokenizer = None if settings.text is None else read_tokenizer(settings.text, Path())
    others: dict[str, Rows] = {name: special_rows(part, settings) for name, part in parts.items()}
    return Source(table.where, settings, special_rows(table, settings), others, digest, tokenizer)


def arrays_source(
    rows: Arrays | Images | Sounds, parts: Mapping[str, Arrays | Images | Sounds], settings: DataSettings
) -> Source:
    """Return the source for arrays."""
    digest = joined_digest([part.digest for part in (rows, *parts.values())])
    return Source(rows.where, settings, rows, dict(parts), digest)


def _builtin_source(settings: DataSettings) -> Source:
    builtin = read_builtin(settings)
    split = settings.split
    if builtin.is_truth_table and split.method == "auto":
        split = replace(split, method="none")
    adapted = replace(settings, scale=settings.scale or builtin.scale, split=split)
    texts = (settings.text and settings.text.answer, settings.audio and settings.audio.transcript)
    if not any(texts):
        adapted = replace(adapted, target=settings.target or TARGET)
    if builtin.task is not None and settings.task == "auto" and not settings.targets:
        adapted = replace(adapted, task=builtin.task)  # type: ignore[arg-type]
    tokenizer = None if settings.text is None else read_tokenizer(settings.text, Path())
    rows = special_rows(builtin.rows, adapted) if isinstance(builtin.rows, Table) else builtin.rows
    return Source(settings.builtin or "", adapted, rows, {}, rows.digest, tokenizer)


def with_kind(path: Path, settings: DataSettings) -> DataSettings:
    """Return the settings with the section for the files in a folder: `images`, `audio` or `text`."""
    if not path.is_dir() or (settings.images or settings.audio or settings.text) is not None:
        return settings
    if any(files_below(path, IMAGE_SUFFIXES)):
        return replace(settings, images=ImageSettings())
    if any(files_below(path, SOUND_SUFFIXES)):
        return replace(settings, audio=AudioSettings())
    if any(tables_below(path)):
        return settings
    if any(files_below(path, TEXT_SUFFIXES)):
        return replace(settings, text=TextSettings())
    raise DataError(
        "the folder contains no tables, images, sounds or text files",
        where=str(path),
        cure=f"expected files ending in {', '.join(('.csv', '.parquet', *FOLDER_SUFFIXES))}",
    )


def read_file(path: Path, settings: DataSettings) -> Rows:
    """Return the rows of one file for prediction or evaluation; the target may be missing.

    Warns:  RetrogradWarning if a folder contains the parts of a data set: its test (or validation) part is read
    """
    parts = read_parts(path, settings)
    part = next((part for part in ("test", "valid") if part in parts), "train") if path.is_dir() else "train"
    if part != "train":
        message = f"{path} contains the parts of a data set; its {part} part is read (for another, name its folder)"
        warnings.warn(message, RetrogradWarning, stacklevel=2)
    return parts[part]


def read_parts(path: Path, settings: DataSettings) -> dict[str, Rows]:
    """Return the rows of a file as `train`, and `valid` and `test` if a folder or .npz file contains these parts.

    Raises:  DataError for a file that is missing, not a regular file, too large, damaged or of an unknown kind
    """
    where = str(path)
    if path.is_dir():
        settings = with_kind(path, settings)
        read, suffixes = _folder_of(settings)
        if read is None:
            return {"train": special_rows(read_tables(tables_below(path), settings, where), settings)}
        places = part_folders(path, suffixes) or {"train": path}
        return {part: read(place) for part, place in places.items()}
    if is_pattern(path):
        return {"train": special_rows(read_tables(matching(path), settings, where), settings)}
    check_file(path, settings.max_bytes)
    suffix = Path(inner_name(path)).suffix
    if suffix in IMAGE_SUFFIXES:
        return {"train": Images((path,), where)}
    if suffix.lower() in SOUND_SUFFIXES:
        return {"train": Sounds((path,), where)}
    if settings.text is not None and suffix in TEXT_SUFFIXES:
        text = read_text_file(path, settings)
        is_corpus = settings.text.is_running
        return {"train": corpus_of([text], where) if is_corpus else Table(pl.DataFrame({TEXT: [text]}), where)}
    content = read_content(path, settings)
    if content is None:
        raise DataError(f"unknown kind of file '{suffix}'", where=where, cure=f"known: {', '.join(KNOWN_SUFFIXES)}")
    if isinstance(content, Table):
        return {"train": special_rows(content, settings)}
    if suffix == ".npy":
        return {"train": as_arrays(content, keep_integers=settings.keep_integers, where=where)}
    return _parts_of_arrays(content, settings, where)


def special_rows(table: Table, settings: DataSettings) -> Table | Images | Sounds | Corpus:
    """Return what a table stands for: the images or sounds at its paths, running text, or its rows."""
    if settings.images is not None:
        return images_of_table(table, settings.images)
    if settings.audio is not None:
        return sounds_of_table(table, settings.audio.column)
    if settings.text is not None and settings.text.is_running:
        return corpus_of_table(table, text_column(table, settings.text))
    return table


def _parts_of_arrays(arrays: dict[str, np.ndarray], settings: DataSettings, where: str) -> dict[str, Rows]:
    """Return the arrays of a .npz file by part: `x_valid` belongs to the validation part if there is an `x`."""
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
    parts = {part: columns for part, columns in parts.items() if columns}
    if settings.images is not None:
        return {part: images_of_arrays(columns, target, where) for part, columns in parts.items()}
    if settings.audio is not None:
        rate = settings.audio.sample_rate
        return {part: sounds_of_arrays(columns, rate, where, target) for part, columns in parts.items()}
    return {
        part: as_arrays(columns, columns.pop(target, None), keep_integers=settings.keep_integers, where=where)
        for part, columns in parts.items()
    }


def _folder_of(settings: DataSettings) -> tuple[Callable[[Path], Rows] | None, tuple[str, ...]]:
    """Return the reader for a folder without tables, and the suffixes of its files."""
    if settings.images is not None:
        return partial(read_image_folder, settings=settings.images), IMAGE_SUFFIXES
    if settings.audio is not None:
        return read_sound_folder, SOUND_SUFFIXES
    return (None if settings.text is None else partial(read_text_folder, settings=settings)), TEXT_SUFFIXES


def _labelled_parts(folder: Path, train: Rows, parts: dict[str, Rows]) -> tuple[dict[str, Rows], tuple[str, ...]]:
    """Return a folder's other parts without those that have no labels although the training part has, and notes."""
    if not parts:
        return parts, ()
    names = {part: Path(rows.where).relative_to(folder) for part, rows in (("train", train), *parts.items())}
    places = [f"{'path' if part == 'train' else f'{part}_path'}: {folder / name}" for part, name in names.items()]
    chosen = setting("data", f"{{{', '.join(places)}}}")
    note = f"the folders {', '.join(map(str, names.values()))} are the parts (" + chosen + ")"
    unlabelled = [part for part, rows in parts.items() if _is_labelled(train) and not _is_labelled(rows)]
    notes = [
        f"{folder / names[part]}: {len(parts[part])} files without class folders, so they are not scored; `retrograd "
        "predict` returns their classes"
        for part in unlabelled
    ]
    return {part: rows for part, rows in parts.items() if part not in unlabelled}, (note, *notes)


def _is_labelled(rows: Rows) -> bool:
    if isinstance(rows, Images):
        return rows.table is not None or rows.masks is not None
    if isinstance(rows, Sounds):
        return rows.table is not None
    return isinstance(rows, Corpus) or (isinstance(rows, Table) and LABEL in rows.names)


def _name(path: Path) -> str:
    """Return the name of the data: that of the file, or of the folder of a pattern."""
    path = path.resolve()
    path = path.parent if is_pattern(path) else path
    return path.stem if path.suffix.lower() not in PACKED else Path(path.stem).stem


def _file_digests(path: Path, rows: Rows | None, max_bytes: int) -> list[str]:
    """Return the digests of a file and of the images that it names, or of a folder's files and their names."""
    if path.is_dir():
        tables = tables_below(path) if isinstance(rows, Table) and (rows.origin or rows.where != str(path)) else []
        return folder_digests(path, tables or files_below(path, FOLDER_SUFFIXES), max_bytes)
    files = matching(path) if is_pattern(path) else [path]
    if isinstance(rows, Images) and isinstance(rows.sources, tuple) and rows.sources != (path,):
        files += [*rows.sources, *(rows.masks if isinstance(rows.masks, tuple) else ())]
    if isinstance(rows, Sounds) and rows.sources != (path,):
        files += [source for source in rows.sources if isinstance(source, Path)]
    return [file_digest(path_of_file, max_bytes) for path_of_file in files]


def folder_digests(folder: Path, files: Iterable[Path], max_bytes: int) -> list[str]:
    """Return the names and digests of the files in a folder."""
    return [text for file in files for text in (str(file.relative_to(folder)), file_digest(file, max_bytes))]


def joined_digest(digests: list[str]) -> str:
    """Return the digest of data with several components."""
    return digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()
