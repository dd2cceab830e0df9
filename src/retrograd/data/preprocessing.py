"""Preprocessing: from the user's data to batch columns, and back from a network's outputs; stored in models as JSON."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from retrograd.base.errors import DataError, ModelFileError, RetrogradWarning, ShapeError
from retrograd.data.arrays import Arrays
from retrograd.data.audio.inputs import AudioInputs
from retrograd.data.audio.settings import AudioSettings
from retrograd.data.cells.notation import Notation
from retrograd.data.cells.precision import floats
from retrograd.data.images.boxes import Boxes
from retrograd.data.images.inputs import ImageInputs
from retrograd.data.images.masks import Masks
from retrograd.data.images.settings import ImageSettings
from retrograd.data.report import Report
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table
from retrograd.data.tables.goal import labelled_rows
from retrograd.data.tables.inputs import ArrayInputs, TableInputs
from retrograd.data.tables.multilabel import MultiLabels
from retrograd.data.tables.plain import to_plain_like
from retrograd.data.tables.target import Decoded, Labels, Link, Quantities, quantities
from retrograd.data.tables.typed import TypedTable
from retrograd.data.texts.inputs import CorpusInputs, TextInputs
from retrograd.data.texts.settings import TextSettings
from retrograd.data.texts.targets import Answer, MaskedToken, NextToken, Transcript
from retrograd.data.windows.inputs import WindowInputs

FORMAT = 1
Inputs = TableInputs | ArrayInputs | ImageInputs | AudioInputs | TextInputs | CorpusInputs | WindowInputs
Target = Labels | MultiLabels | Quantities | Masks | Boxes | NextToken | MaskedToken | Answer | Transcript


@dataclass(frozen=True)
class Preprocessing:
    """Fitted inputs, target and weight column; their numbers depend only on the training part."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    inputs: Annotated[Inputs, Field(discriminator="kind")]
    target: Annotated[Target, Field(discriminator="kind")] | None
    weight: str | None = None
    notations: dict[str, Notation] = field(default_factory=dict)  # of columns whose numbers are not plain
    format: Literal[1] = 1

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features of `x`; empty if x is not flat."""
        return self.inputs.features

    @property
    def classes(self) -> tuple[bool | int | str, ...] | None:
        """The class labels, in the order of their numbers or columns; None for other tasks."""
        return self.target.classes if isinstance(self.target, (Labels, MultiLabels)) else None

    def transform(
        self, data: Any, *, with_target: bool, report: Report | None = None, is_block: bool = False
    ) -> dict[str, np.ndarray]:
        """Return batch columns for rows as read, a data frame or arrays (x, or a mapping with x) like those of
        training; for texts, also a list of texts.

        With `with_target`, there is also `y` and, if there are weights, `sample_weight`; without it, the data need not
        contain them. `report` counts missing values and unseen words. The weights of a block of a larger part
        (`is_block`) may all be 0.

        Raises:  DataError for columns or cells that do not fit; LabelError for a label unknown to training
        """
        if report is None:
            report = Report()
            batch = self.transform(data, with_target=with_target, report=report)
            if report.ignored:
                warnings.warn(f"{report.sentences()[0]}", RetrogradWarning, stacklevel=2)
            return batch
        if not with_target and isinstance(self.inputs, TableInputs):
            x = self.inputs.encode_array(data)
            if x is not None:
                return {"x": x}
        rows = self.rows_of(data)
        if isinstance(rows, Table) and not isinstance(rows, TypedTable):
            rows = self._readable(rows, with_target, report)
        batch = self.inputs.encode(rows, report, with_target)
        targets = self._targets(rows) if with_target else {}
        if with_target and isinstance(self.target, Transcript):
            self.target.check_steps(targets["y"], batch["mask"].sum(1), self.inputs.target_table(rows))
        if "sample_weight" in targets and not is_block:
            require_weight(targets["sample_weight"], rows.where)
        return {**batch, **targets}

    def rows_of(self, data: Any) -> Any:
        """Return data as rows for `transform`: Images for images, Sounds for audio, a table in order for windows."""
        return self.inputs.rows_of(data, () if self.target is None else self.target.names)

    def settings(self, settings: DataSettings) -> DataSettings:
        """Return settings for reading files with rows like those of training."""
        inputs, target = self.inputs, self.target
        images, audio, text = None, None, None
        if isinstance(inputs, ImageInputs):
            images = ImageSettings(column=inputs.column, grid=target.cells if isinstance(target, Boxes) else None)
        elif isinstance(inputs, AudioInputs):
            audio = AudioSettings(column=inputs.column, sample_rate=inputs.form.rate)
        elif isinstance(inputs, (TextInputs, CorpusInputs)):
            masked = inputs.masked if isinstance(inputs, CorpusInputs) else None
            is_next = isinstance(inputs, CorpusInputs) and masked is None
            text = TextSettings(column=inputs.column, next=is_next, masked=masked)
        return replace(settings, images=images, audio=audio, text=text)

    def decode(self, outputs: np.ndarray, *, link: Link = "logit") -> Decoded:
        """Return a network's outputs as labels and probabilities, or as values in the target's unit.

        For classes, the outputs are logits [rows, units] (one unit for two classes), or probabilities with
        `link="identity"`; for quantities, values, or their logarithms with `link="log"`.
        """
        if self.target is None:
            return Decoded(values=np.asarray(outputs))
        return self.target.decode(np.asarray(outputs), link)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; `from_json` restores an equal object, whose transform is the same bit for bit."""
        plain: dict[str, Any] = _adapter().dump_python(self, mode="json")
        return plain

    @staticmethod
    def from_json(plain: Any) -> Preprocessing:
        """Return the preprocessing from its JSON.

        Raises:  ModelFileError for anything else
        """
        number = plain.get("format") if isinstance(plain, Mapping) else None
        if isinstance(number, int) and number > FORMAT:
            cure = "use a newer version of retrograd"
            message = f"preprocessing has format {number}, but this version only reads up to {FORMAT}"
            raise ModelFileError(message, cure=cure)
        try:
            return _adapter().validate_json(json.dumps(plain), strict=True)  # strict Python mode would reject lists
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(step) for step in first["loc"])
            raise ModelFileError(f"preprocessing is damaged: {first['msg']}", where=place) from None
        except (TypeError, ValueError, RecursionError):
            raise ModelFileError("preprocessing is damaged: not plain JSON") from None

    def _readable(self, table: Table, with_target: bool, report: Report) -> Table:
        """Return a table with numbers in place of text such as 1.394,03 € or 18%, without the rows that have no target;
        an empty list of labels counts as a target.
        """
        inputs = self.inputs.table if isinstance(self.inputs, WindowInputs) else self.inputs
        if not isinstance(inputs, TableInputs):
            return table
        names = [column.name for column in inputs.columns if column.kind == "number"]
        names += [name for name in self.notations if name not in names]
        table = table.with_missing(inputs.missing_values)
        table = to_plain_like(table, names, self.notations, inputs.invalid, report)
        if inputs is not self.inputs:
            return table
        targets = self.target.names if self.target is not None and with_target else ()
        table.require([*(column.name for column in inputs.columns), *targets])
        if not targets or (isinstance(self.target, MultiLabels) and self.target.mark):
            return table
        labelled = labelled_rows(table, targets)
        report.unlabelled += len(table) - len(labelled)
        return labelled

    def _targets(self, rows: Any) -> dict[str, Any]:
        """Return the target's columns, and the weights if there are any."""
        columns: dict[str, Any] = {}
        if isinstance(self.target, (Labels, MultiLabels, Quantities)):
            columns["y"] = self.target.encode(self.inputs.target_table(rows))
        elif isinstance(self.target, Transcript):
            columns |= self.target.columns(self.inputs.target_table(rows))
        elif self.target is not None:
            columns |= self.target.columns(rows)
        weights = rows.weight if isinstance(rows, Arrays) else None
        if self.weight is not None and self.weight in rows.names:
            weights = quantities(rows, (self.weight,))
        return columns if weights is None else {**columns, "sample_weight": checked_weights(weights, rows)}


@functools.cache
def _adapter() -> TypeAdapter[Preprocessing]:
    return TypeAdapter(Preprocessing)


def checked_weights(weights: np.ndarray, rows: Table | Arrays) -> np.ndarray:
    """Return row weights as float32 [rows].

    Raises:  ShapeError for another shape; DataError for a negative weight
    """
    if weights.ndim == 2 and weights.shape[1] == 1:
        weights = weights[:, 0]
    if weights.ndim != 1:
        raise ShapeError(f"sample_weight: expected (rows,), got {weights.shape}", where=rows.where)
    if (weights < 0).any():
        row = int(np.argmax(weights < 0))
        where, words = rows.place(row)
        raise DataError(f"sample_weight: {words} has the negative weight {weights[row]:g}", where=where)
    return weights.astype(floats())


def require_weight(weights: np.ndarray, where: str) -> None:
    """Raise DataError if every weight of a part is 0."""
    if not weights.any():
        raise DataError("sample_weight: every weight is 0, so nothing would be learned", where=where)
