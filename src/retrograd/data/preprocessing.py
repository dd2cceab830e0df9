"""Preprocessing: from a user's data to batch columns and from a network's outputs back; plain JSON in a model."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from retrograd.base.errors import DataError, ModelFileError, RetrogradWarning
from retrograd.data.arrays import Arrays, as_arrays
from retrograd.data.cells.notation import Notation
from retrograd.data.images.boxes import Boxes
from retrograd.data.images.inputs import ImageInputs
from retrograd.data.images.masks import Masks
from retrograd.data.images.settings import ImageSettings
from retrograd.data.report import Report
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table, from_any_frame
from retrograd.data.tables.inputs import ArrayInputs, TableInputs
from retrograd.data.tables.labelled import labelled_rows
from retrograd.data.tables.multilabel import MultiLabels
from retrograd.data.tables.plain import to_plain_like
from retrograd.data.tables.target import Decoded, Labels, Quantities, quantities
from retrograd.data.tables.weights import checked_weights
from retrograd.data.texts.inputs import CorpusInputs, TextInputs
from retrograd.data.texts.settings import TextSettings
from retrograd.data.texts.targets import Answer, NextToken
from retrograd.data.windows.inputs import WindowInputs
from retrograd.present.wording import some_of

FORMAT = 1
Inputs = TableInputs | ArrayInputs | ImageInputs | TextInputs | CorpusInputs | WindowInputs
Target = Labels | MultiLabels | Quantities | Masks | Boxes | NextToken | Answer


@dataclass(frozen=True)
class Preprocessing:
    """Fitted inputs, target and weight column; no row outside the training part has shaped their numbers."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    inputs: Annotated[Inputs, Field(discriminator="kind")]
    target: Annotated[Target, Field(discriminator="kind")] | None
    weight: str | None = None
    notations: dict[str, Notation] = field(default_factory=dict)  # of columns whose numbers are not plainly written
    format: Literal[1] = 1

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features of `x`; empty where x is not flat."""
        return self.inputs.features

    @property
    def classes(self) -> tuple[bool | int | str, ...] | None:
        """The class labels, in the order of their numbers or columns; None for other tasks."""
        return self.target.classes if isinstance(self.target, (Labels, MultiLabels)) else None

    def transform(self, data: Any, *, with_target: bool, report: Report | None = None) -> dict[str, np.ndarray]:
        """Return batch columns for rows as they were read, a data frame or arrays (x, or a mapping with x) like those
        of training; for texts also a list of them.

        With `with_target` also `y` and, where there are weights, `sample_weight`; without it both may be absent.
        `report` counts missing values and unseen words.

        Raises:  DataError for columns or cells that do not fit; LabelError for a label that training did not know
        """
        if report is None:
            report = Report()
            batch = self.transform(data, with_target=with_target, report=report)
            if report.ignored:
                warnings.warn(f"{report.sentences()[0]}", RetrogradWarning, stacklevel=2)
            return batch
        if isinstance(self.inputs, TableInputs):
            table = data if isinstance(data, Table) else self._as_table(data, self.inputs)
            table = self._plain_numbers(table.with_missing(self.inputs.missing_values), self.inputs, report)
            targets = self.target.names if self.target is not None and with_target else ()
            table.require([*(column.name for column in self.inputs.columns), *targets])
            table = self._labelled(table, report) if with_target else table
            batch = self.inputs.encode(table, report)
            return {**batch, **self._table_target(table)} if with_target else batch
        if not isinstance(self.inputs, ArrayInputs):
            rows = self.rows_of(data)
            if isinstance(self.inputs, WindowInputs):
                rows = self._plain_numbers(rows, self.inputs.table, report)
            batch = self.inputs.encode(rows, report, with_target)
            return {**batch, **self._special_target(self.inputs, rows)} if with_target else batch
        arrays = data if isinstance(data, Arrays) else self._as_arrays(data)
        batch = self.inputs.encode(arrays)
        return {**batch, **self._array_target(arrays)} if with_target else batch

    def rows_of(self, data: Any) -> Any:
        """Return data as the rows that `transform` takes: for images Images, for windows a table in order."""
        if isinstance(self.inputs, (TableInputs, ArrayInputs)):
            return data
        return self.inputs.rows_of(data, () if self.target is None else self.target.names)

    def settings(self, settings: DataSettings) -> DataSettings:
        """Return the settings with which files are read that hold rows like those of training."""
        inputs, target = self.inputs, self.target
        images, text = None, None
        if isinstance(inputs, ImageInputs):
            images = ImageSettings(column=inputs.column, grid=target.cells if isinstance(target, Boxes) else None)
        elif isinstance(inputs, (TextInputs, CorpusInputs)):
            text = TextSettings(column=inputs.column, next=isinstance(inputs, CorpusInputs))
        return replace(settings, images=images, text=text)

    def decode(self, outputs: np.ndarray, *, from_logits: bool = True) -> Decoded:
        """Return a network's outputs as labels and probabilities, or as values in their own unit.

        For classes the outputs are logits [rows, units] (one unit for two classes), or with `from_logits=False`
        probabilities.
        """
        if self.target is None:
            return Decoded(values=np.asarray(outputs))
        return self.target.decode(np.asarray(outputs), from_logits)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; `from_json` gives an equal object, with the same transform to the last bit."""
        return _adapter().dump_python(self, mode="json")

    @staticmethod
    def from_json(plain: Any) -> Preprocessing:
        """Return the preprocessing that was written; whatever is not exactly that is a ModelFileError."""
        found = plain.get("format") if isinstance(plain, Mapping) else None
        if isinstance(found, int) and found > FORMAT:
            cure = "use a newer version of retrograd"
            raise ModelFileError(f"preprocessing has format {found}, this version reads up to {FORMAT}", cure=cure)
        try:
            return _adapter().validate_json(json.dumps(plain), strict=True)  # strict Python would want tuples for lists
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(step) for step in first["loc"])
            raise ModelFileError(f"preprocessing is damaged: {first['msg']}", where=place) from None
        except (TypeError, ValueError, RecursionError):
            raise ModelFileError("preprocessing is damaged: not plain JSON") from None

    def _as_table(self, data: Any, inputs: TableInputs) -> Table:
        """Return a data frame as it is, and an array (or x and y) as a table with the columns of training in order."""
        names = tuple(column.name for column in inputs.columns)
        given = dict(data) if isinstance(data, Mapping) else {"x": data}
        if hasattr(data, "columns") or (isinstance(data, Mapping) and ("x" not in data or {*names} <= {*data})):
            return from_any_frame(data)
        if not hasattr(given["x"], "__len__"):
            return from_any_frame(data)
        columns = _named(np.asarray(given["x"]), names, "x")
        if self.target is not None and "y" in given:
            y = np.asarray(given["y"])
            columns |= _named(y.reshape(len(y), -1), self.target.names, "y")
        return from_any_frame(pl.DataFrame(columns))

    def _as_arrays(self, data: Any) -> Arrays:
        if isinstance(data, Table) or hasattr(data, "columns"):
            raise DataError("the model was trained on arrays, not on a table", cure="give the array x")
        given = dict(data) if isinstance(data, Mapping) else {"x": data}
        y = given.pop("y", None)
        return as_arrays(given, y, keep_integers=self.inputs.kind == "arrays" and self.inputs.scaling is None)

    def _plain_numbers(self, table: Table, inputs: TableInputs, report: Report) -> Table:
        """Return a table with numbers where its number columns hold text such as 1.394,03 € or 18%."""
        names = [column.name for column in inputs.columns if column.kind == "number"]
        names += [name for name in self.notations if name not in names]
        return to_plain_like(table, names, self.notations, inputs.invalid, report)

    def _labelled(self, table: Table, report: Report) -> Table:
        """Return the rows that have their targets; an empty list of labels is one."""
        if self.target is None or (isinstance(self.target, MultiLabels) and self.target.mark):
            return table
        kept = labelled_rows(table, self.target.names)
        report.unlabelled += len(table) - len(kept)
        return kept

    @property
    def _plain(self) -> Labels | MultiLabels | Quantities:
        assert isinstance(self.target, (Labels, MultiLabels, Quantities))
        return self.target

    def _table_target(self, table: Table) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        if self.target is not None:
            found["y"] = self._plain.encode(table)
        if self.weight is not None and self.weight in table.names:
            weights = quantities(table, (self.weight,))
            found["sample_weight"] = checked_weights(weights, table.where)
        return found

    def _special_target(self, inputs: Any, rows: Any) -> dict[str, Any]:
        """Return the target's columns for rows that are neither a plain table nor arrays."""
        if isinstance(self.target, (Labels, MultiLabels, Quantities)):
            return {"y": self.target.encode(inputs.target_table(rows))}
        return {} if self.target is None else self.target.columns(rows)

    def _array_target(self, arrays: Arrays) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        if self.target is not None:
            if arrays.target is None:
                raise DataError("no array 'y'", where=arrays.where, cure="give the targets as well")
            found["y"] = self._plain.encode(arrays.target)
        if arrays.weight is not None:
            found["sample_weight"] = checked_weights(arrays.weight, arrays.where)
        return found


def _named(values: np.ndarray, names: tuple[str, ...], what: str) -> dict[str, np.ndarray]:
    if values.ndim != 2 or values.shape[1] != len(names):
        expected = f"expected {what} of shape (rows, {len(names)}), one column each for {some_of(names)}"
        raise DataError(f"{expected}; got {values.shape}")
    return dict(zip(names, values.T, strict=True))


@functools.cache
def _adapter() -> TypeAdapter[Preprocessing]:
    return TypeAdapter(Preprocessing)
