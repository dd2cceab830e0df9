"""A table's cells inside the file, treated as in training: numbers, dates, booleans, words, and missing values."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from retrograd.data.cells.notation import Notation
from retrograd.data.cells.values import FALSE_WORDS, TRUE_WORDS
from retrograd.data.report import Report
from retrograd.data.table import Table
from retrograd.data.tables.columns import BooleanColumn, CategoryColumn, DateColumn, FittedColumn, NumberColumn
from retrograd.data.tables.inputs import TableInputs
from retrograd.data.tables.plain import to_plain_like
from retrograd.data.tables.text_column import TextColumn
from retrograd.ship.onnx.graph import TYPES, Graph, Value
from retrograd.ship.onnx.inputs.about import about
from retrograd.ship.onnx.inputs.door import Entrance
from retrograd.ship.onnx.inputs.text_cells import check_text, read_dates, read_numbers

FINE, MISSING, UNSEEN, UNREADABLE = 0, 1, 2, 3  # the codes in `cells`
LARGEST = np.finfo(np.float64).max
ROWS, ML_DOMAIN = "rows", "ai.onnx.ml"
Numeric = NumberColumn | DateColumn | BooleanColumn


@dataclass
class Blocks:
    """Blocks of features, float32 [rows, ...]; `places` are the indices of each column's features in all blocks."""

    names: list[str] = field(default_factory=list)
    places: dict[str, list[int]] = field(default_factory=dict)
    width: int = 0

    def add(self, name: str, features: Mapping[str, list[int]], width: int) -> None:
        """Add a block, with the indices in it of each column's features."""
        self.names.append(name)
        for column, places in features.items():
            self.places.setdefault(column, []).extend(self.width + i for i in places)
        self.width += width


class Cells:
    """Typed cells: numbers and dates (days since 1970) as float64, with NaN for missing values; booleans and words as
    texts, with "" for missing values. A table of only numbers is one input, `rows`; otherwise, each column is an input
    with its name. With `text`, all cells are texts as in a CSV file, in one input `rows`.
    """

    def __init__(self, inputs: TableInputs, notations: Mapping[str, Notation], lengths: tuple[int, ...] = (),
                 text: bool = False) -> None:  # fmt: skip
        self.inputs, self.notations, self.lengths, self.text = inputs, notations, lengths, text
        self.columns = inputs.columns
        numbers = [column for column in self.columns if isinstance(column, NumberColumn)]
        self.numeric = [*numbers, *(c for c in self.columns if isinstance(c, DateColumn | BooleanColumn))]
        self.numbers = len(numbers)  # which come first
        self.alike = self.numbers == len(self.columns)
        self.rounded = np.array([rounded for column in self.columns for rounded in _rounded(column)], bool)
        if text:
            check_text(self.columns, notations)

    @property
    def entrances(self) -> tuple[Entrance, ...]:
        """The inputs; `lengths` are the axes between rows and cells."""
        if self.alike or self.text:
            return (Entrance(ROWS, "str" if self.text else "float64", (*self.lengths, len(self.columns))),)
        return tuple(self._entrance(column) for column in self.columns)

    def _entrance(self, column: FittedColumn) -> Entrance:
        if isinstance(column, TextColumn):
            return Entrance(column.tokens, "int32", (*self.lengths, column.length))
        words = isinstance(column, (CategoryColumn, BooleanColumn))
        return Entrance(column.name, "str" if words else "float64", self.lengths)

    def _cells_of(self, g: Graph, columns: Sequence[FittedColumn], names: Mapping[str, str]) -> str:
        """Return the raw cells of some columns, [rows, columns]."""
        if not (self.alike or self.text):
            parts = [g.reshape(names[self._entrance(column).name], -1, 1) for column in columns]
            return parts[0] if len(parts) == 1 else g.op("Concat", *parts, axis=1)
        rows = g.reshape(names[ROWS], -1, len(self.columns)) if self.lengths else names[ROWS]
        places = [next(i for i, each in enumerate(self.columns) if each is column) for column in columns]
        return rows if places == [*range(len(self.columns))] else g.op("Gather", rows, np.array(places), axis=1)

    # ---------------------------------------------------------------------------------------------------- the nodes

    def write(self, graph: Graph) -> tuple[dict[str, Value], Value | None]:
        """Add the nodes: numbers in one matrix, each column of words separately, then all features in order."""
        graph.path = "cells"
        names = {entrance.name: graph.free(entrance.name) for entrance in self.entrances}
        blocks, columns = Blocks(), dict[str, Value]()
        codes: dict[str, str] = {}  # column -> uint8 [rows, 1], or [rows, numbers] for all numbers
        if self.numeric:
            codes |= self._write_numbers(graph, names, blocks)
        for column in self.columns:
            if isinstance(column, CategoryColumn):
                identifier = self._identifier(graph, column, self._cells_of(graph, [column], names))
                codes[column.name] = self._code_of_words(graph, identifier)
                columns |= self._write_words(graph, column, identifier, blocks)
            elif isinstance(column, TextColumn):
                columns |= self._tokens(graph, column, names[column.tokens])
        if self.inputs.features:
            columns["x"] = self._in_order(graph, blocks)
        return columns, self._codes(graph, codes)

    def _write_numbers(self, g: Graph, names: Mapping[str, str], blocks: Blocks) -> dict[str, str]:
        """Add the features of numbers, dates and booleans; return the codes in `cells` of each such column."""
        values, present, read = self._numbers(g, names)
        blocks.add(values, {column.name: [i] for i, column in enumerate(self.numeric)}, len(self.numeric))
        for dates in self.numeric:
            if isinstance(dates, DateColumn) and dates.cycles:
                count = 2 * len(dates.cycles)
                blocks.add(self._waves(g, dates, present), {dates.name: [*range(count)]}, count)
        if any(column.flag for column in self.numeric):
            flags = g.op("Cast", g.op("Not", present[1]), to=TYPES["float32"])
            flagged = {column.name: [i] for i, column in enumerate(self.numeric) if column.flag}
            blocks.add(flags, flagged, len(self.numeric))
        return dict.fromkeys((column.name for column in self.numeric), read)

    def _write_words(self, g: Graph, column: CategoryColumn, identifier: str, blocks: Blocks) -> dict[str, Value]:
        """Add the features of a column of words; if it is embedded, return its column of identifiers."""
        ids: dict[str, Value] = {}
        if column.embed:
            known = g.op("Cast", g.op("Max", identifier, np.int64(0)), to=TYPES["int32"])
            ids[column.name] = self._laid(g, g.reshape(known, -1), (), "int32")
        else:
            count = len(column.words)
            hot = g.op("Cast", g.op("Equal", identifier, np.arange(1, count + 1)[None]), to=TYPES["float32"])
            blocks.add(hot, {column.name: [*range(count)]}, count)
        if column.flag:
            gap = g.op("Cast", g.op("Equal", identifier, np.int64(-1)), to=TYPES["float32"])
            blocks.add(gap, {column.name: [0]}, 1)
        return ids

    def _numbers(self, g: Graph, names: Mapping[str, str]) -> tuple[str, tuple[str, str], str]:
        """Return the scaled numbers, (the filled ones, which ones are present), and their codes in `cells`."""
        parts = []
        if self.numbers:
            block = self._cells_of(g, self.numeric[: self.numbers], names)
            parts.append(read_numbers(g, block, self._gaps) if self.text else block)
        parts += [self._as_numbers(g, each, self._cells_of(g, [each], names)) for each in self.numeric[self.numbers :]]
        raw = parts[0] if len(parts) == 1 else g.op("Concat", *parts, axis=1)
        present = g.op("LessOrEqual", g.op("Abs", raw), LARGEST)
        fill = _one(np.array([_fill(column) for column in self.numeric]))
        filled = g.op("Where", present, raw, fill)
        gap = g.op("IsNaN", raw)
        read = g.op("Where", present, np.uint8(FINE), g.op("Where", gap, np.uint8(MISSING), np.uint8(UNREADABLE)))
        return g.op("Cast", self._scaled(g, filled), to=TYPES["float32"]), (filled, present), read

    def _as_numbers(self, g: Graph, column: Numeric, name: str) -> str:
        """Return a column as float64; for booleans 1 or 0, NaN if missing and infinity if unreadable."""
        if isinstance(column, DateColumn):
            return read_dates(g, name, column.form, self._gaps) if self.text else name
        table = dict.fromkeys(spellings(TRUE_WORDS, "1"), 1.0) | dict.fromkeys(spellings(FALSE_WORDS, "0"), 0.0)
        table |= dict.fromkeys(self._gaps, float("nan"))
        numbers = g.op("LabelEncoder", name, domain=ML_DOMAIN, keys_strings=[*table],
                       values_floats=[*table.values()], default_float=float("inf"))  # fmt: skip
        return g.op("Cast", numbers, to=TYPES["float64"])

    def _scaled(self, g: Graph, x: str) -> str:
        """Return (x - offset) / scale in the order of `Scaling.apply`, with each step on all columns at once."""
        scalings = [getattr(column, "scaling", None) for column in self.numeric]
        floor = np.array([each.floor[0] if each and each.floor else 0.0 for each in scalings])
        if floor.any():
            logged = g.op("Log", g.op("Max", x, np.where(floor > 0, floor, 1.0)))
            x = g.op("Where", floor > 0, logged, x)
        offset = _one(np.array([each.offset[0] if each else 0.0 for each in scalings]))
        scale = _one(np.array([each.scale[0] if each else 1.0 for each in scalings]))
        x = g.op("Sub", x, offset) if offset.any() else x
        x = g.op("Div", x, scale) if (scale != 1).any() else x
        clip = np.array([each.clip if each and each.clip is not None else np.inf for each in scalings])
        if np.isfinite(clip).any():
            x = g.op("Min", g.op("Max", x, -clip), clip)
        return x

    def _waves(self, g: Graph, column: DateColumn, numbers: tuple[str, str]) -> str:
        """Return sine and cosine of a date's position in its cycles; older runtimes have no float64 cosine."""
        place = next(i for i, each in enumerate(self.numeric) if each is column)
        days = g.op("Mul", g.op("Gather", numbers[0], np.array([place]), axis=1), np.float64(2 * np.pi))
        angles = [g.op("Div", days, np.float64(length)) for length in column.cycles.values()]
        waves = [g.op("Sin", a) for angle in angles for a in (angle, g.op("Add", angle, np.float64(np.pi / 2)))]
        return g.op("Cast", g.op("Concat", *waves, axis=1), to=TYPES["float32"])

    def _identifier(self, g: Graph, column: CategoryColumn, name: str) -> str:
        """Return each word's identifier [rows, 1], 0 for an unseen word, -1 for a missing one."""
        table = {f"{word}.0": i for i, word in enumerate(column.words, 1) if word.isdecimal()}  # as floats are written
        table |= {word: i for i, word in enumerate(column.words, 1)}
        table = dict.fromkeys(self._gaps, -1) | table
        return g.op("LabelEncoder", name, domain=ML_DOMAIN, keys_strings=[*table], values_int64s=[*table.values()],
                    default_int64=0)  # fmt: skip

    def _code_of_words(self, g: Graph, identifier: str) -> str:
        seen, gap = g.op("Greater", identifier, np.int64(0)), g.op("Less", identifier, np.int64(0))
        return g.op("Where", seen, np.uint8(FINE), g.op("Where", gap, np.uint8(MISSING), np.uint8(UNSEEN)))

    @property
    def _gaps(self) -> tuple[str, ...]:
        """The words that mean a missing value."""
        return tuple(dict.fromkeys(("", *self.inputs.missing_values)))

    def _tokens(self, g: Graph, column: TextColumn, name: str) -> dict[str, Value]:
        """Return the raw identifiers of a text column, and the mask of tokens."""
        shape = (1, *self.lengths, column.length)
        mask = g.op("Not", g.op("Equal", name, np.int32(0)))
        return {column.tokens: Value(name, shape, dtype="int32"), column.mask: Value(mask, shape, dtype="bool")}

    def _in_order(self, g: Graph, blocks: Blocks) -> Value:
        """Return the features in the order of the columns, float32 [rows, ..., features]."""
        x = blocks.names[0] if len(blocks.names) == 1 else g.op("Concat", *blocks.names, axis=1)
        order = [i for column in self.columns for i in blocks.places.get(column.name, ())]
        x = x if order == [*range(blocks.width)] else g.op("Gather", x, np.array(order), axis=1)
        return self._laid(g, x, (len(order),), "float32")

    def _laid(self, g: Graph, x: str, rest: tuple[int, ...], dtype: str) -> Value:
        """Return rows [rows · lengths, ...] as [rows, lengths, ...]."""
        name = g.reshape(x, -1, *self.lengths, *rest) if self.lengths else x
        return Value(name, (1, *self.lengths, *rest), dtype=dtype)

    def _codes(self, g: Graph, codes: Mapping[str, str]) -> Value | None:
        """Return the code of each cell, uint8 [rows, ..., columns]; always 0 for texts."""
        if not codes:
            return None
        parts, read = [], next(iter(codes.values()))
        if self.alike:
            joined = read
        else:
            for column in self.columns:
                if column.name not in codes:
                    parts.append(g.op("Mul", g.op("Gather", read, np.array([0]), axis=1), np.uint8(0)))
                elif isinstance(column, CategoryColumn):
                    parts.append(codes[column.name])
                else:
                    place = next(i for i, each in enumerate(self.numeric) if each is column)
                    parts.append(g.op("Gather", codes[column.name], np.array([place]), axis=1))
            joined = parts[0] if len(parts) == 1 else g.op("Concat", *parts, axis=1)
        return self._laid(g, joined, (len(self.columns),), "uint8")

    # ------------------------------------------------------------------------------------------------- what goes in

    def feed(self, rows: Any) -> dict[str, np.ndarray]:
        """Return the inputs for a table's rows."""
        table = self.read(rows)
        if self.text:
            return {ROWS: np.column_stack([self._written(column, table) for column in self.columns])}
        if self.alike:
            return {ROWS: np.column_stack([self._cells(column, table) for column in self.columns])}
        return {self._entrance(column).name: self._cells(column, table) for column in self.columns}

    def read(self, rows: Any) -> Table:
        """Return rows as `transform` reads them: with plain numbers, and nulls for missing values."""
        table = self.inputs.rows_of(rows).with_missing(self.inputs.missing_values)
        names = [column.name for column in self.columns if column.kind == "number"]
        return to_plain_like(table, names, self.notations, "missing", Report())

    def _written(self, column: Any, table: Table) -> np.ndarray:
        """Return a column's cells as in a CSV file."""
        series = table.column(column.name)
        if isinstance(column, DateColumn) and series.dtype.is_temporal():
            return _texts(series.dt.strftime(column.form))
        return _texts(column.column_kind.parse(series).values if isinstance(column, CategoryColumn) else series)

    def _cells(self, column: Any, table: Table) -> np.ndarray:
        series = table.column(column.name)
        if isinstance(column, BooleanColumn):
            return _texts(series)
        values, bad = column.column_kind.parse(series)
        if isinstance(column, TextColumn):
            ids: np.ndarray = column.batch_columns(values, Report())[column.tokens]
            return ids
        if isinstance(column, CategoryColumn):
            return _texts(values)
        numbers: np.ndarray = values.cast(pl.Float64).fill_null(float("nan")).to_numpy().copy()
        numbers[bad.to_numpy()] = np.inf
        return numbers

    def metadata(self) -> dict[str, Any]:
        """Return a description of each column, in the order of `cells`."""
        return {
            "columns": [about(column) for column in self.columns],
            "missing_words": list(self._gaps),
            "cells": {"0": "fine", "1": "missing", "2": "unseen", "3": "unreadable"},
        }


def without_errors(inputs: TableInputs) -> TableInputs:
    """Return inputs that treat unreadable cells as missing and fill all missing values, as a file does."""
    return replace(inputs, invalid="missing", missing="mean" if inputs.missing == "error" else inputs.missing)


def _rounded(column: FittedColumn) -> list[bool]:
    """Return which features of a column are logarithms, sines or cosines."""
    values = [False] * len(column.value_features)
    if isinstance(column, NumberColumn | DateColumn):
        values = [not column.scaling.is_affine or feature != column.name for feature in column.value_features]
    return [*values, False] if column.flag else values


def spellings(words: tuple[str, ...], number: str) -> list[str]:
    """Return words in every combination of lower and upper case, and a number with and without `.0`."""
    found = [number, f"{number}.0"]
    for word in words:
        found += ["".join(letters) for letters in itertools.product(*({c.lower(), c.upper()} for c in word))]
    return sorted({*found, *(f"{each}.0" for each in found)})


def _texts(series: pl.Series) -> np.ndarray:
    """Return cells as texts, "" for missing values."""
    return np.array(["" if cell is None else cell for cell in series.cast(pl.String)], object)


def _fill(column: Numeric) -> float:
    """Return the value for missing cells of a column, rounded to 32 bits to save space if that gives the same x."""
    near = float(np.float32(column.fill))
    if not isinstance(column, NumberColumn):
        return column.fill
    read = column.scaling.apply(np.array([[near], [column.fill]])).astype(np.float32)
    return near if read[0] == read[1] else column.fill


def _one(numbers: np.ndarray) -> np.ndarray:
    """Return one number for all columns if they are equal, else all numbers."""
    return numbers[:1] if (numbers == numbers[0]).all() else numbers
