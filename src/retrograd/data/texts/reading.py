"""Finding texts: files in folders, a column of a table, one long file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from retrograd.base.errors import DataError
from retrograd.base.sentence import data_setting
from retrograd.data.cells.values import words
from retrograd.data.read.files import check_file
from retrograd.data.read.folders import LABEL, files_below, folder_labels
from retrograd.data.read.text import SUFFIXES, open_lines, text_encoding
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table
from retrograd.data.texts.corpus import Corpus, corpus_of
from retrograd.data.texts.settings import TextSettings

TEXT = "text"


def read_text_file(path: Path, settings: DataSettings) -> str:
    """Return the text in a file, with lines ending in line feeds.

    Raises:  DataError naming the line for bytes that are not text
    """
    check_file(path, settings.max_bytes)
    with open_lines(path, text_encoding(path, settings)) as lines:
        return "".join(line.replace("\r\n", "\n") for line in lines)


def read_text_folder(folder: Path, settings: DataSettings) -> Table | Corpus:
    """Return the texts in a folder as a table of texts and labels (the subfolders), or for a language model a Corpus.

    Raises:  DataError for a folder without text files
    """
    paths = list(files_below(folder, SUFFIXES))
    if not paths:
        raise DataError(f"no text files (ending in {', '.join(SUFFIXES)})", where=str(folder))
    texts = [read_text_file(path, settings) for path in paths]
    if settings.text is not None and settings.text.is_running:
        return corpus_of(texts, str(folder))
    labels = folder_labels(paths, folder)
    frame = pl.DataFrame({TEXT: texts})
    return Table(frame if labels is None else frame.with_columns(labels.frame[LABEL]), str(folder))


def text_column(table: Table, settings: TextSettings, others: Sequence[str] = ()) -> str:
    """Return the name of the column of texts.

    Raises:  DataError unless exactly one column qualifies
    """
    if settings.column is not None:
        table.column(settings.column)
        return settings.column
    if TEXT in table.names:
        return TEXT
    names = [name for name in table.names if name not in others and table.frame[name].dtype == pl.String]
    if len(names) != 1:
        cure = "set it with " + data_setting("text.column", "...")
        raise DataError(
            f"{len(names)} columns could contain the texts; have: {', '.join(table.names)}",
            where=table.where,
            cure=cure,
        )
    return names[0]


def texts_in(table: Table, column: str) -> pl.Series:
    """Return the texts in a column; missing ones are null."""
    return words(table.column(column)).values


def corpus_of_table(table: Table, column: str) -> Corpus:
    """Return the texts in a column as a corpus."""
    texts = texts_in(table, column).drop_nulls().to_list()
    if not texts:
        raise DataError(f"column '{column}' contains no texts", where=table.where)
    return corpus_of(texts, table.where)
