"""Fitted targets: class labels as numbers, or scaled quantities, and how outputs are converted back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np
import polars as pl
from pydantic import ConfigDict, Field

from retrograd.base.errors import DataError, DataTypeError, LabelError, ShapeError
from retrograd.base.sentence import data_setting, sentence
from retrograd.data.cells.precision import floats
from retrograd.data.cells.values import label_words, numbers
from retrograd.data.settings import Task
from retrograd.data.table import CellFaults, Table
from retrograd.data.tables.scaling import Scaling, fit_scaling
from retrograd.present.wording import some_of

Label = bool | int | str
NO_LABEL_CURE = sentence(
    "complete these rows, or skip them with {}; {} lists the words that mean missing",
    data_setting("missing", "drop"),
    data_setting("missing_values"),
)


Link = Literal["identity", "logit", "log"]  # how an output relates to the prediction: the same, or a function of it


class Decoded(NamedTuple):
    """Predictions in the user's terms: labels and probabilities [rows, classes], or values [rows, targets].

    For masks, the labels are [rows, height, width]; `boxes` are each image's objects; for completed texts, the labels
    are the texts, and `fillings` are the probabilities of the tokens that were filled in.
    """

    labels: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    values: np.ndarray | None = None
    boxes: list[np.ndarray] | None = None
    fillings: list[np.ndarray] | None = None

    @staticmethod
    def joined(parts: Sequence[Decoded]) -> Decoded:
        """Return the predictions for several chunks of rows as one."""
        if len(parts) == 1:
            return parts[0]
        if parts[0].boxes is not None:
            return Decoded(boxes=[boxes for part in parts for boxes in part.boxes or ()])
        columns = (tuple(part[i] for part in parts) for i in range(3))
        return Decoded(*(None if column[0] is None else np.concatenate(column) for column in columns))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Labels:
    """A column of class labels; class number i is `classes[i]`. With two classes, the second is 1.

    With `one_hot` the classes are columns, and each row has a 1 in one of them.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    classes: Annotated[tuple[Label, ...], Field(min_length=2)]
    binary: bool
    one_hot: tuple[str, ...] = ()
    kind: Literal["labels"] = "labels"

    def __post_init__(self) -> None:
        if len(set(self.classes)) < len(self.classes) or len({type(label) for label in self.classes}) > 1:
            raise ValueError("classes must differ, and be of one type")
        if self.binary and len(self.classes) != 2:
            raise ValueError("binary means two classes")
        if self.one_hot and len(self.one_hot) != len(self.classes):
            raise ValueError("there must be one column for each class")

    @property
    def names(self) -> tuple[str, ...]:
        """The target's columns."""
        return self.one_hot or (self.name,)

    @property
    def units(self) -> int:
        """The output units that the network needs: one logit for two classes, else one for each."""
        return 1 if self.binary else len(self.classes)

    def encode(self, table: Table) -> np.ndarray:
        """Return float32 [rows, 1] of 0 and 1 for two classes, else int32 [rows].

        Raises:  LabelError for a label that training did not know; DataError for a row without one
        """
        if self.one_hot:
            return self._hot(table)
        cells = table.column(self.name)
        different = cells.drop_nulls().unique()  # only a few words to convert
        known = {_word(label): i for i, label in enumerate(self.classes)}
        numbers = self._words(different).replace_strict(known, default=None, return_dtype=pl.Int32)
        if cells.dtype == pl.String:  # as categories it takes a fifth of the memory
            indices = numbers.gather(cells.cast(pl.Enum(different)).to_physical())
        else:
            indices = cells.replace_strict(different, numbers, default=None, return_dtype=pl.Int32)
        if indices.null_count():
            text = self._words(cells)
            refuse_missing(table, text)
            where, line = table.place(int(indices.is_null().arg_true()[0]))
            unseen = text.filter(indices.is_null())[0]
            message = f"{line}, column '{self.name}': unseen label '{unseen}'"
            raise LabelError(message, where=where, cure=f"known: {some_of(list(known))}")
        return indices.to_numpy()[:, None].astype(floats()) if self.binary else indices.to_numpy()

    def _words(self, cells: pl.Series) -> pl.Series:
        text = label_words(cells, type(self.classes[0]) is int)
        return text.str.to_lowercase() if isinstance(self.classes[0], bool) else text

    def _hot(self, table: Table) -> np.ndarray:
        """Return the index of the column with the 1, int32 [rows]."""
        values = quantities(table, self.one_hot)
        is_hot = ((values == 0) | (values == 1)).all(1) & (values.sum(1) == 1)
        if not is_hot.all():
            where, line = table.place(int(is_hot.argmin()))
            message = f"{line}: expected a single 1 in the columns {some_of(self.one_hot)}"
            raise LabelError(
                message,
                where=where,
                cure="choose " + data_setting("task", "multilabel") + " for labels that may occur together",
            )
        places: np.ndarray = values.argmax(1).astype(np.int32)
        return places

    def decode(self, outputs: np.ndarray, link: Link = "logit") -> Decoded:
        """Return labels and probabilities for logits (or probabilities) [rows, units]."""
        outputs = np.asarray(outputs, np.float64)
        outputs = outputs.reshape(len(outputs), 1) if self.binary and outputs.ndim == 1 else outputs
        if outputs.ndim != 2 or outputs.shape[1] != self.units:
            raise ShapeError(f"expected outputs (rows, {self.units}), got {outputs.shape}")
        if self.binary:
            positive = np.exp(-np.logaddexp(0, -outputs)) if link == "logit" else outputs
            probabilities = np.hstack([1 - positive, positive])
        else:
            probabilities = softmax(outputs) if link == "logit" else outputs
        classes = np.array(self.classes, dtype=None if _fits_int64(self.classes) else object)
        return Decoded(labels=classes[probabilities.argmax(axis=1)], probabilities=probabilities)


@dataclass(frozen=True)
class Quantities:
    """Columns of numbers to predict, scaled."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    names: Annotated[tuple[str, ...], Field(min_length=1)]
    scaling: Scaling
    kind: Literal["quantities"] = "quantities"

    def __post_init__(self) -> None:
        if len(self.names) != len(self.scaling.scale):
            raise ValueError("names and scaling differ in length")

    @property
    def units(self) -> int:
        """The output units that the network needs: one for each column."""
        return len(self.names)

    def encode(self, table: Table) -> np.ndarray:
        """Return the scaled numbers, float32 [rows, targets]; a cell that is not a finite number is a DataError."""
        values = self.scaling.apply(quantities(table, self.names))
        with np.errstate(over="ignore"):  # checked below
            y = values.astype(floats())
        if not np.isfinite(y).all():
            row, column = (int(index[0]) for index in np.nonzero(~np.isfinite(y)))
            where, words = table.place(row)
            message = f"{words}, the target '{self.names[column]}': too large for a 32-bit number"
            raise DataError(
                message,
                where=where,
                cure="choose " + data_setting("scale_target", "standard") + ", or divide it by a power of ten",
            )
        return y

    def decode(self, outputs: np.ndarray, link: Link = "logit") -> Decoded:
        """Return the numbers in the target's unit for outputs [rows, targets], or for their logarithms; one target may
        have several outputs.
        """
        outputs = np.asarray(outputs)
        outputs = outputs.reshape(len(outputs), 1) if outputs.ndim == 1 and self.units == 1 else outputs
        if outputs.ndim != 2 or (self.units > 1 and outputs.shape[1] != self.units):
            raise ShapeError(f"expected outputs (rows, {self.units}), got {outputs.shape}")
        return Decoded(values=self.scaling.undo(exponential(outputs) if link == "log" else outputs))


def exponential(logarithms: np.ndarray) -> np.ndarray:
    """Return e to the power of numbers, in float64; infinity beyond 709."""
    with np.errstate(over="ignore"):
        powers: np.ndarray = np.exp(np.asarray(logarithms, np.float64))
    return powers


def fit_labels(table: Table, name: str, is_number: bool, task: Task) -> Labels:
    """Return the classes of a column, sorted (numbers by size). All rows count, so that a class that the split puts
    outside the training part keeps its number.

    Raises:  DataError for fewer than two classes; DataTypeError for fractions, which are no labels
    """
    series = table.column(name)
    if series.null_count():
        refuse_missing(table, label_words(series, is_number))
    different = label_words(series.unique(), is_number).unique().to_list()
    if is_number and not all(_is_whole(word) for word in different):
        names = data_setting("kinds", f"{{{name}: category}}")
        cure = sentence("choose {}, or {} to treat them as names", data_setting("task", "regression"), names)
        raise DataTypeError(f"the class labels in '{name}' are fractions", where=table.where, cure=cure)
    if len(different) < 2:
        another = sentence("another column with {} or {}", data_setting("target"), data_setting("task", "regression"))
        cure = f"found only '{different[0]}'; choose " + another
        raise DataError(f"column '{name}' needs at least 2 classes", where=table.where, cure=cure)
    classes: list[Label] = sorted(different)
    if is_number:
        classes = sorted(int(word) for word in different)
    elif series.dtype == pl.Boolean:
        classes = [False, True]
    return Labels(name, tuple(classes), task == "binary")


def fit_quantities(table: Table, names: tuple[str, ...], scale: str) -> Quantities:
    """Return target columns scaled by the training rows.

    Raises:  DataError naming the column whose numbers are too large
    """
    values = quantities(table, names)
    try:
        return Quantities(names, fit_scaling(values, scale))
    except DataError as error:
        largest = names[int(np.abs(values).max(axis=0).argmax())]
        message = f"the target '{largest}' contains " + error.problems[0].message
        raise DataError(message, where=table.where, cure=error.problems[0].cure) from None


def quantities(table: Table, names: tuple[str, ...]) -> np.ndarray:
    """Return target columns as float64 [rows, names]; each cell must be a finite number."""
    columns = {name: numbers(table.column(name)).values for name in names}
    faults = CellFaults(table)
    for name, values in columns.items():
        faults.add(name, values.is_null().arg_true(), "a finite number")
    faults.raise_any(NO_LABEL_CURE)
    return np.column_stack([values.to_numpy() for values in columns.values()])


def refuse_missing(table: Table, text: pl.Series) -> None:
    """Raise DataError if rows have no label."""
    faults = CellFaults(table)
    faults.add(text.name, text.is_null().arg_true(), "a label")
    faults.raise_any(NO_LABEL_CURE)


def _is_whole(word: str) -> bool:
    return word.lstrip("+-").isdecimal()


def _word(label: Label) -> str:
    return str(label).lower() if isinstance(label, bool) else str(label)


def _fits_int64(classes: tuple[Label, ...]) -> bool:
    return not isinstance(classes[0], int) or all(-(2**63) <= int(label) < 2**63 for label in classes)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return shares that sum to 1 over the last axis."""
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    shares: np.ndarray = exponentials / exponentials.sum(-1, keepdims=True)
    return shares
