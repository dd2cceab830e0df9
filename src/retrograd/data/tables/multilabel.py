"""Several labels at once: columns that are each 0 or 1 (yes or no), or cells that hold a list such as red|green."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import polars as pl
from pydantic import ConfigDict, Field

from retrograd.base.errors import DataError, LabelError, ShapeError
from retrograd.base.sentence import data_setting
from retrograd.data.cells.precision import floats
from retrograd.data.cells.values import booleans, label_words
from retrograd.data.decimal_points import FIRST
from retrograd.data.table import CellFaults, Table
from retrograd.data.tables.target import Decoded, Label, Link
from retrograd.present.wording import some_of

MARKS = ("|", ";", ",", "/")
JSON = "json"
LISTED = r"^\s*\[.*\]\s*$"  # a JSON list
MOST_LABELS = 1000


@dataclass(frozen=True)
class MultiLabels:
    """Labels that a row may have or not, independently of one another.

    With several columns, `said` contains their words for no and yes. In a list column, the labels of a cell are
    separated by `mark`, or the cell is a JSON list.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    names: Annotated[tuple[str, ...], Field(min_length=1)]
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    said: tuple[tuple[Label, Label], ...] = ()
    mark: str = ""
    kind: Literal["multilabel"] = "multilabel"

    def __post_init__(self) -> None:
        if self.mark and len(self.names) != 1:
            raise ValueError("lists are in one column")
        if not self.mark and not len(self.names) == len(self.said) == len(self.classes):
            raise ValueError("names, classes and their words differ in length")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes must differ")

    @property
    def units(self) -> int:
        """The output units that the network needs: one logit for each label."""
        return len(self.classes)

    def encode(self, table: Table) -> np.ndarray:
        """Return float32 [rows, labels] of 0 and 1.

        Raises:  DataError for a cell that is neither yes nor no; LabelError for a label that training did not know
        """
        return self._listed(table) if self.mark else read_truths(table, self.names)

    def decode(self, outputs: np.ndarray, link: Link = "logit") -> Decoded:
        """Return the probabilities for logits (or probabilities) [rows, labels], with 0 and 1 or the columns' own words
        as labels; for lists, cells [rows].
        """
        outputs = np.asarray(outputs, np.float64)
        outputs = outputs.reshape(len(outputs), 1) if outputs.ndim == 1 and self.units == 1 else outputs
        if outputs.ndim != 2 or outputs.shape[1] != self.units:
            raise ShapeError(f"expected outputs (rows, {self.units}), got {outputs.shape}")
        shares = np.exp(-np.logaddexp(0, -outputs)) if link == "logit" else np.clip(outputs, 0, 1)
        there = shares >= 0.5
        if not self.mark:
            plain = all(pair == (0, 1) for pair in self.said)
            words = np.array(self.said, dtype=None if plain else object)  # [labels, 2]
            return Decoded(np.where(there, words[:, 1], words[:, 0]), shares)
        cells = [[label for label, has in zip(self.classes, row, strict=True) if has] for row in there]
        return Decoded(np.array([self._cell(labels) for labels in cells], dtype=object), shares)

    def _cell(self, labels: list[str]) -> str:
        return json.dumps(labels, ensure_ascii=False) if self.mark == JSON else self.mark.join(labels)

    def _listed(self, table: Table) -> np.ndarray:
        numbers = {label: i for i, label in enumerate(self.classes)}
        y = np.zeros((len(table), self.units), floats())
        for row, labels in enumerate(listed_labels(table.column(self.names[0]), self.mark)):
            for label in labels:
                if label not in numbers:
                    where, line = table.place(row)
                    message = f"{line}, column '{self.names[0]}': unseen label '{label}'"
                    raise LabelError(message, where=where, cure=f"known: {some_of(self.classes)}")
                y[row, numbers[label]] = 1
        return y


def fit_columns(table: Table, names: tuple[str, ...]) -> MultiLabels:
    """Return the labels of columns that are each yes or no."""
    read_truths(table, names)
    said = []
    for name in names:
        cells = table.column(name)
        words = dict(zip(booleans(cells).values, label_words(cells, cells.dtype.is_numeric()), strict=True))
        no, yes = words.get(0.0), words.get(1.0)
        is_number = all(word in (None, "0", "1", "0.0", "1.0") for word in (no, yes))
        said.append((0, 1) if is_number else (no or "no", yes or "yes"))
    return MultiLabels(names, names, tuple(said))


def fit_lists(table: Table, name: str, mark: str) -> MultiLabels:
    """Return the labels listed in the cells of a column."""
    labels = sorted({label for labels in listed_labels(table.column(name), mark) for label in labels})
    if len(labels) > MOST_LABELS or not labels:
        cure = "choose " + data_setting("task", "multiclass") + " to treat each cell as one class"
        raise DataError(f"column '{name}' lists {len(labels)} distinct labels", where=table.where, cure=cure)
    return MultiLabels((name,), tuple(labels), mark=mark)


def read_truths(table: Table, names: Sequence[str]) -> np.ndarray:
    """Return columns of 0 and 1, yes and no, true and false as float32 [rows, names]."""
    faults, columns = CellFaults(table), []
    for name in names:
        values = booleans(table.column(name)).values
        faults.add(name, values.is_null().arg_true(), "0 or 1 (yes or no)")
        columns.append(values)
    faults.raise_any("complete or correct these cells, or choose " + data_setting("task", "regression"))
    return np.column_stack([values.to_numpy() for values in columns]).astype(floats())


def are_truths(columns: Sequence[pl.Series]) -> bool:
    """Return whether columns contain only 0 and 1, yes and no, or true and false."""
    return all(not booleans(column.drop_nulls()).bad.any() for column in columns)


def find_mark(cells: pl.Series) -> str:
    """Return the separator of a column of lists, `json` for JSON lists, "" for a column of single labels.

    A column contains lists if its cells consist of fewer distinct labels than there are distinct cells, and most
    labels occur in several of these cells, unlike names with a comma.
    """
    cells = cells.drop_nulls()
    if cells.dtype != pl.String or not len(cells) or not _may_list(cells):
        return ""
    cells = cells.unique()
    if cells.str.contains(LISTED).all():
        return JSON
    for mark in MARKS:
        if not cells.str.contains(mark, literal=True).any():
            continue
        counts = Counter(label for labels in listed_labels(cells, mark) for label in set(labels))
        repeated = sum(count > 1 for count in counts.values())
        if len(counts) < len(cells) and 2 * repeated > len(counts):
            return mark
    return ""


def _may_list(cells: pl.Series) -> bool:
    """Return whether cells contain a mark. Of mostly distinct ones this is asked before they are compared, which would
    take a multiple of their memory; of a few classes, comparing them is faster.
    """
    first = cells.head(FIRST)
    if 2 * first.n_unique() < len(first):
        return True
    return any(cells.str.contains(mark, literal=True).any() for mark in MARKS) or bool(cells.str.contains(LISTED).all())


def listed_labels(cells: pl.Series, mark: str) -> list[list[str]]:
    """Return the labels of each cell; an empty cell has none."""
    texts = cells.cast(pl.String).fill_null("").to_list()
    if mark == JSON:
        return [_parsed(text) for text in texts]
    return [[label.strip() for label in text.split(mark) if label.strip()] for text in texts]


def _parsed(text: str) -> list[str]:
    """Return a JSON list, or one as Python writes it, with single quotes or none."""
    try:
        labels = json.loads(text or "[]")
        return [str(label) for label in labels] if isinstance(labels, list) else [str(labels)]
    except ValueError:
        inner = text.strip().removeprefix("[").removesuffix("]")
        return [label.strip().strip("'\"") for label in inner.split(",") if label.strip()]
