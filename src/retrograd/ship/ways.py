"""How rows enter a file, and the rows on which it is compared with the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from retrograd.base.errors import UsageError
from retrograd.data.audio.inputs import AudioInputs
from retrograd.data.cells.precision import reading_in
from retrograd.data.dataset import Dataset
from retrograd.data.images.inputs import ImageInputs
from retrograd.data.preprocessing import Preprocessing
from retrograd.data.report import Report
from retrograd.data.tables.inputs import ArrayInputs, TableInputs
from retrograd.data.tables.scaling import Scaling
from retrograd.data.texts.inputs import SEGMENTS, CorpusInputs, TextInputs
from retrograd.ship.onnx.inputs.door import Columns, Door
from retrograd.ship.onnx.inputs.others import Identifiers, Images, Scaled
from retrograd.ship.onnx.inputs.table import Cells, without_errors
from retrograd.ship.onnx.inputs.windows import Windows
from retrograd.ship.samples import ROWS, held_out, made_up, made_up_table, quietly, some, source_rows
from retrograd.training.use.predict import Model


class Case(NamedTuple):
    """The inputs of a file, what the run's preprocessing makes of the same rows, and a description of them."""

    what: str
    fed: Mapping[str, np.ndarray]
    columns: Mapping[str, np.ndarray]

    def first(self, rows: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return the first rows of both."""
        fed, columns = ({name: np.asarray(a[:rows]) for name, a in part.items()} for part in (self.fed, self.columns))
        return fed, columns


def way(model: Model, dataset: Dataset | None, from_x: bool, text: bool = False) -> tuple[Door, list[Case]]:
    """Return the door of a file, and rows to compare it on: the run's, if its data are there, and generated ones."""
    door = columns_of(model) if from_x else door_of(model, text)
    cases = [*known(model, door, dataset), *invented(model, door)]
    return door, cases


def columns_of(model: Model) -> Columns:
    """Return the door for the network's own columns and the level of each series."""
    shapes = shapes_of(model)
    levels = (name for name in shapes if name.startswith("series_"))
    return Columns(shapes, tuple(dict.fromkeys((*model.network.columns, *levels))))


def shapes_of(model: Model) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return shape and dtype of each batch column."""
    return {name: (tuple(shape), dtype) for name, (shape, dtype) in model.facts["columns"].items()}


def door_of(model: Model, text: bool = False) -> Door:
    """Return the door that includes the preprocessing.

    Raises:  UsageError for sounds, and if preprocessing needs more than the rows: a level per series, a known future
    """
    inputs, notations = model.preprocessing.inputs, model.preprocessing.notations
    if isinstance(inputs, TableInputs):
        return Cells(inputs, notations, text=text)
    if text:
        raise UsageError("the model was not trained on a table", where="cells", cure="remove --cells text")
    if isinstance(inputs, ImageInputs):
        return Images(inputs, "float64" if model.config.training.precision == "float64" else "float32")
    if isinstance(inputs, TextInputs | CorpusInputs):
        return Identifiers(inputs)
    if isinstance(inputs, ArrayInputs):
        if inputs.scaling is None or _is_nothing(inputs.scaling):
            return columns_of(model)
        others = tuple(name for name in model.network.columns if name != "x")
        return Scaled(inputs, Columns(shapes_of(model), others).entrances)
    if isinstance(inputs, AudioInputs):
        what = "the power of a sound in each band"
    elif inputs.levels is None and inputs.known is None:
        return Windows(inputs, notations)
    else:
        what = "the level of each series" if inputs.levels else "a known future"
    cure = "export it to take the network's columns: --from-x (from_x=True)"
    raise UsageError(f"{what} cannot be computed inside a file", where=model.config.name, cure=cure)


def _is_nothing(scaling: Scaling) -> bool:
    return scaling.clip is None and scaling.is_affine and not any(scaling.offset) and set(scaling.scale) == {1.0}


def known(model: Model, door: Door, dataset: Dataset | None) -> Iterator[Case]:
    """Yield rows of the run's data, if these are there."""
    if isinstance(door, Columns):
        columns = held_out(model, dataset)
        if columns is not None:
            yield Case(f"{len(next(iter(columns.values())))} held-out rows", door.feed(columns), columns)
        return
    rows = source_rows(model)
    if rows is not None:
        rows = rows if isinstance(door, Windows) else rows.take(some(len(rows)))
        case = quietly(lambda: _case(model, door, rows, "rows of the data"), model)
        if case is not None:
            yield case


def invented(model: Model, door: Door) -> Iterator[Case]:
    """Yield generated rows."""
    what = "generated rows"
    if isinstance(door, Columns):
        shapes = shapes_of(model)
        columns = made_up(model.network, {e.name: shapes[e.name] for e in door.entrances})
        yield Case(f"{ROWS} {what}", door.feed(columns), columns)
    elif isinstance(door, Cells):
        yield _case(model, door, without_errors(door.inputs).rows_of(made_up_table(door.inputs)), what)
    elif isinstance(door, Windows):
        rows = without_errors(door.inputs.table).rows_of(made_up_table(door.inputs.table))
        fed, columns = door.cells.feed(rows), _columns(model, door.inputs.table, rows)
        places = np.arange(ROWS)[:, None] + np.arange(door.inputs.history)
        fed, columns = ({name: array[places % ROWS] for name, array in each.items()} for each in (fed, columns))
        yield Case(f"{ROWS} generated windows", fed, columns)
    elif isinstance(door, Images):
        rng, entrance = np.random.default_rng(0), door.entrances[0]
        pixels = rng.integers(0, 256, (ROWS, *entrance.lengths)).astype(entrance.dtype)
        yield Case(f"{ROWS} {what}", {entrance.name: pixels}, {"x": door.inputs.scaled(pixels, door.dtype)})
    elif isinstance(door, Identifiers):
        ids = made_up(model.network, {"x": ((door.inputs.length,), "int32")})["x"]
        words, padding = door.inputs.vocabulary, door.inputs.vocabulary.marks.padding
        ids[::2, door.inputs.length // 2 :] = padding
        segments = {} if words.special is None else {SEGMENTS: np.zeros_like(ids)}
        yield Case(f"{ROWS} {what}", {"x": ids}, {"x": ids, "mask": ids != padding, **segments})
    elif isinstance(door, Scaled):
        arrays = made_up(model.network, {e.name: (e.lengths, e.dtype) for e in door.entrances})
        scaling = door.scaling
        arrays["x"] = scaling.undo(arrays["x"].reshape(-1, len(scaling.scale))).reshape(arrays["x"].shape)
        columns = {**{n: a for n, a in arrays.items() if n != "x"}, "x": scaling.to_floats(arrays["x"])}
        yield Case(f"{ROWS} {what}", arrays, columns)


def _case(model: Model, door: Door, rows: Any, what: str) -> Case:
    columns = _columns(model, model.preprocessing.inputs, rows)
    fed = door.feed(rows)
    return Case(f"{len(next(iter(columns.values())))} {what}", fed, columns)


def _columns(model: Model, inputs: Any, rows: Any) -> dict[str, np.ndarray]:
    """Return what the run's preprocessing makes of rows; unreadable cells are missing, as in the file."""
    inputs = without_errors(inputs) if isinstance(inputs, TableInputs) else inputs
    preprocessing: Preprocessing = replace(model.preprocessing, inputs=inputs, target=None)
    with reading_in(model.config.training.precision):
        columns = preprocessing.transform(rows, with_target=False, report=Report())
    return {name: np.asarray(column[:]) for name, column in columns.items()}
