"""A model as an ONNX file: its inputs, the network, the answers, and metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrograd.network.network import take
from retrograd.ship.onnx.answers import OUTPUT, Answer, write_answers
from retrograd.ship.onnx.graph import BATCH, OPSET, Graph, Value, model_of
from retrograd.ship.onnx.inputs.door import Door
from retrograd.ship.onnx.inputs.table import Cells
from retrograd.ship.onnx.inputs.windows import Windows
from retrograd.ship.onnx.network import Outputs, named, write_members, write_network
from retrograd.training.use.link import link_of
from retrograd.training.use.predict import Model

CELLS = "cells"
LEAST_RUNTIME = "1.20"  # the oldest onnxruntime that was tested
OPSETS = (18, 20)
FORMAT = 1


@dataclass(frozen=True)
class Written:
    """The graph of a file with all that belongs to it; `nodes` are the outputs of the network's nodes, and its columns.

    `names` maps the names of outputs to answers; they differ if an input already has the name.
    """

    graph: Graph
    door: Door
    answers: tuple[Answer, ...]
    columns: Mapping[str, Value]
    nodes: Outputs
    opset: int
    names: Mapping[str, str]

    def answered(self, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs of a file by the names of the answers."""
        return {self.names.get(name, name): array for name, array in outputs.items()}

    def file(self, metadata: Mapping[str, str]) -> Any:
        """Return the ONNX model to ship."""
        return self._model([(a.name, a.dtype, a.shape) for a in self.answers], metadata)

    def open(self, names: Mapping[str, Value]) -> Any:
        """Return the model with inner values as further outputs, by these names."""
        inner = [(name, value.dtype, [BATCH, *value.shape[1:]]) for name, value in names.items()]
        return self._model([(a.name, a.dtype, a.shape) for a in self.answers], {}, names, inner)

    def _model(self, outputs: list[Any], metadata: Mapping[str, str], names: Mapping[str, Value] | None = None,
               inner: list[Any] | None = None) -> Any:  # fmt: skip
        graph = self.graph.copy()
        for answer in self.answers:
            graph.result(answer.value, answer.name)
        for name, value in (names or {}).items():
            graph.result(value, name)
        inputs = [entrance.info for entrance in self.door.entrances]
        return model_of(graph, inputs, [*outputs, *(inner or [])], dict(metadata), self.opset)


def write(model: Model, door: Door, opset: int = OPSET) -> Written:
    """Write a model as ONNX nodes after a door."""
    graph = Graph()
    columns, cells = door.write(graph)  # inputs get their names first
    evaluator, network = model.evaluator, model.network
    main = evaluator.main_output
    read = {name: columns[name] for name in network.columns}
    if model.members > 1:
        nodes = write_members(graph, network, model.variables, model.members, read, main, evaluator.main.loss)
    else:
        nodes = write_network(graph, network, model.variables, read)
    target, link = model.preprocessing.target, link_of(evaluator.main.loss)
    answers = write_answers(graph, target, take(nodes, main), link, columns)
    for reference in other_outputs(model):
        value = take(nodes, reference)
        shape = (BATCH, *value.shape[1:])
        answers.append(Answer(graph.plain(value), f"{OUTPUT}_{reference}", value.dtype, shape))
    if cells is not None:
        answers.append(Answer(cells.name, CELLS, "uint8", (BATCH, *cells.shape[1:])))
    called = [answer._replace(name=graph.free(answer.name)) for answer in answers]
    names = {there.name: answer.name for there, answer in zip(called, answers, strict=True)}
    return Written(graph, door, tuple(called), columns, nodes, opset, names)


def other_outputs(model: Model) -> list[str]:
    """Return the outputs of a single network, other than the main one, that losses read."""
    network, main = model.network, model.evaluator.main_output
    references = dict.fromkeys(objective.inputs[0] for objective in model.objectives)
    return [r for r in references if r != main and r.partition(".")[0] in network.by_name and model.members == 1]


def inner_values(written: Written) -> dict[str, Value]:
    """Return the outputs of all nodes, and the columns, by the names that `open` uses for them."""
    values = {f"column {name}": value for name, value in written.columns.items()}
    for node, output in written.nodes.items():
        for part, value in named(output).items():
            if node not in written.columns:
                values[f"node {node}" if part == "output" else f"node {node}.{part}"] = value
    return values


def metadata_of(model: Model, door: Door, run: str) -> dict[str, str]:
    """Return the metadata of the file; every value is JSON."""
    said = {
        "retrograd_format": FORMAT,
        "run": run,
        "name": model.config.name,
        "checksum": str(model.facts.get("weights", "")),
        "task": model.facts["task"],
        "classes": None if model.classes is None else list(model.classes),
        "targets": None if model.preprocessing.target is None else list(model.preprocessing.target.names),
        **({} if isinstance(door, Cells | Windows) else {"features": list(model.preprocessing.features)}),
        "least_onnxruntime": LEAST_RUNTIME,
        **door.metadata(),
    }
    return {name: json.dumps(value, ensure_ascii=False, default=_plain) for name, value in said.items()}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)
