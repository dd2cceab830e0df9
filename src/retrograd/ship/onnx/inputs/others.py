"""Arrays, images and texts, whose little preprocessing is in the file."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.data.arrays import Arrays
from retrograd.data.cells.vocabulary import Vocabulary
from retrograd.data.images.inputs import ImageInputs
from retrograd.data.report import Report
from retrograd.data.tables.inputs import ArrayInputs
from retrograd.data.texts.inputs import SEGMENTS, CorpusInputs, TextInputs
from retrograd.ship.onnx.graph import TYPES, Graph, Value
from retrograd.ship.onnx.inputs.door import EXACT, Entrance

X = "x"


class Scaled:
    """An array of float64 numbers, scaled in the file as in training; further arrays are unchanged."""

    def __init__(self, inputs: ArrayInputs, others: tuple[Entrance, ...]) -> None:
        assert inputs.scaling is not None
        self.inputs, self.scaling, self.others = inputs, inputs.scaling, others
        self.rounded = np.array(self.scaling.floor) > 0 if self.scaling.floor else EXACT

    @property
    def entrances(self) -> tuple[Entrance, ...]:
        """The array `x` and the others."""
        return (Entrance(X, "float64", self.inputs.shape), *self.others)

    def write(self, graph: Graph) -> tuple[dict[str, Value], Value | None]:
        """Add y = (x - offset) / scale, or of the logarithm, in the order of `Scaling.apply`."""
        graph.path = "scaling"
        columns = {e.name: Value(graph.free(e.name), (1, *e.lengths), dtype=e.dtype) for e in self.entrances}
        scaling, x = self.scaling, columns[X].name
        floor = np.array(scaling.floor)
        if floor.any():
            logged = graph.op("Log", graph.op("Max", x, np.where(floor > 0, floor, 1.0)))
            x = graph.op("Where", floor > 0, logged, x)
        x = graph.op("Div", graph.op("Sub", x, np.array(scaling.offset)), np.array(scaling.scale))
        if scaling.clip is not None:
            x = graph.op("Min", graph.op("Max", x, np.float64(-scaling.clip)), np.float64(scaling.clip))
        x = graph.op("Cast", x, to=TYPES["float32"])
        return {**columns, X: Value(x, columns[X].shape)}, None

    def feed(self, rows: Any) -> dict[str, np.ndarray]:
        """Return the arrays."""
        inputs = rows.inputs if isinstance(rows, Arrays) else rows
        others = {e.name: np.asarray(inputs[e.name]).astype(e.dtype) for e in self.others}
        return {X: np.asarray(inputs[X], np.float64), **others}

    def metadata(self) -> dict[str, Any]:
        """Return nothing."""
        return {}


class Images:
    """Pixels as uint8 [rows, height, width, channels] in the network's size, scaled in the file.

    They are scaled in the precision in which the run read them.
    """

    rounded = EXACT

    def __init__(self, inputs: ImageInputs, dtype: str = "float32") -> None:
        self.inputs, self.dtype = inputs, dtype
        form = inputs.form
        self.entrances = (Entrance("image", np.dtype(form.dtype).name, (form.height, form.width, form.channels)),)

    def write(self, graph: Graph) -> tuple[dict[str, Value], Value | None]:
        """Add (pixels - offset) / scale, channel by channel."""
        graph.path = "pixels"
        name, scaling = graph.free("image"), self.inputs.scaling
        x = graph.op("Cast", name, to=TYPES[self.dtype])
        x = graph.op("Sub", x, np.array(scaling.offset, self.dtype)) if any(scaling.offset) else x
        x = graph.op("Div", x, np.array(scaling.scale, self.dtype))
        x = graph.op("Cast", x, to=TYPES["float32"]) if self.dtype != "float32" else x
        return {X: Value(x, (1, *self.entrances[0].lengths))}, None

    def feed(self, rows: Any) -> dict[str, np.ndarray]:
        """Return the pixels of images."""
        images = self.inputs.rows_of(rows)
        return {"image": images.pixels(self.inputs.form, self.inputs.memory).batch(range(len(images)))}

    def metadata(self) -> dict[str, Any]:
        """Return the form of the pixels."""
        form = self.inputs.form
        return {"image": {"height": form.height, "width": form.width, "kind": form.kind, "fit": form.fit}}


class Identifiers:
    """Texts as identifiers [rows, length], padded with 0; the file computes the mask; metadata has the vocabulary."""

    rounded = EXACT

    def __init__(self, inputs: TextInputs | CorpusInputs) -> None:
        self.inputs = inputs
        self.entrances = (Entrance(X, "int32", (inputs.length,)),)

    def write(self, graph: Graph) -> tuple[dict[str, Value], Value | None]:
        """Add the mask of tokens."""
        graph.path = "tokens"
        name, shape = graph.free(X), (1, self.inputs.length)
        marks = self.inputs.vocabulary
        mask = graph.op("Not", graph.op("Equal", name, np.int32(marks.marks.padding)))
        columns = {X: Value(name, shape, dtype="int32"), "mask": Value(mask, shape, dtype="bool")}
        if marks.special is not None:
            columns[SEGMENTS] = Value(graph.op("Mul", name, np.int32(0)), shape, dtype="int32")
        return columns, None

    def feed(self, rows: Any) -> dict[str, np.ndarray]:
        """Return the identifiers of texts."""
        return {X: self.inputs.encode(rows, Report(), False)[X]}

    def metadata(self) -> dict[str, Any]:
        """Return how a text is converted to identifiers."""
        return {"text": vocabulary(self.inputs.vocabulary) | {"length": self.inputs.length}}


def vocabulary(of: Vocabulary) -> dict[str, Any]:
    """Return a vocabulary as plain JSON: token i has the identifier i + first."""
    said = {"unit": of.unit, "lower": of.lower, "tokens": list(of.tokens), "tokenizer": of.tokenizer}
    marks = {name: number for name, number in of.marks._asdict().items() if number is not None}
    return {**said, **marks, "first": of.first}
