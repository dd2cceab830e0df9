"""The training step of a run as ONNX nodes: forward pass, explicit backward pass, and SGD with momentum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from retrograd.base.errors import ConfigError
from retrograd.network.layer import Spec
from retrograd.network.losses.loss import Loss
from retrograd.network.network import TRANSPOSED, own_params, take
from retrograd.network.scope import Node
from retrograd.propagation.objective import Objective
from retrograd.ship.edge.target import Truth
from retrograd.ship.onnx import backward, forms
from retrograd.ship.onnx.answers import LABEL, OUTPUT, PROBABILITIES, VALUES, Answer, write_answers
from retrograd.ship.onnx.backward.losses import write_loss
from retrograd.ship.onnx.backward.registry import Seen, Taken, to_onnx_backward
from retrograd.ship.onnx.graph import Graph, Value, model_of
from retrograd.ship.onnx.inputs.door import Door, Entrance
from retrograd.ship.onnx.registry import to_onnx
from retrograd.ship.onnx.written import CELLS
from retrograd.training.use.link import link_of
from retrograd.training.use.predict import Model
from retrograd.update.selection import without_frozen

assert forms.__all__
assert backward.__all__  # importing these registers them
Part = Literal["head", "all"]
RATE, MOMENTUM = 0.01, 0.9  # defaults of the inputs
VELOCITY, NEW = "/velocity", "/new"


@dataclass(frozen=True)
class Step:
    """The graph of a training step; `weights` are the trained ones by path, with the names of their gradients."""

    graph: Graph
    door: Door
    answers: tuple[Answer, ...]
    weights: Mapping[str, np.ndarray]
    truth: Truth
    target: Entrance
    names: Mapping[str, str]  # of learning_rate, momentum and loss in the graph
    opset: int

    def file(self, metadata: Mapping[str, str]) -> Any:
        """Return the ONNX model, with inputs for rows and target, and optional learning rate, momentum and weights."""
        graph, names = self.graph.copy(), self.names
        for answer in self.answers:
            graph.result(answer.value, answer.name)
        scalars = [(names["learning_rate"], "float32", ()), (names["momentum"], "float32", ())]
        moved = [(path + suffix, "float32", array.shape)
                 for path, array in self.weights.items() for suffix in ("", VELOCITY)]  # fmt: skip
        inputs = [*(entrance.info for entrance in (*self.door.entrances, self.target)), *scalars, *moved]
        outputs = [(a.name, a.dtype, a.shape) for a in self.answers] + [(names["loss"], "float32", ())]
        outputs += [(name + NEW, dtype, shape) for name, dtype, shape in moved]
        return model_of(graph, inputs, outputs, dict(metadata), self.opset, "step")


def write_step(model: Model, door: Door, part: Part, opset: int) -> Step:
    """Write the training step of a model's head, or of all that the run trained.

    Raises:  ConfigError for an ensemble, several losses, or a layer without a backward form
    """
    objective = _objective(model)
    graph, truth = Graph(), Truth(model)
    for answer in (LABEL, PROBABILITIES, VALUES, OUTPUT, CELLS):
        graph.free(answer)
    columns, cells = door.write(graph)
    target = truth.entrance(graph.free("target"))
    names = {name: graph.free(name) for name in ("learning_rate", "momentum", "loss")}
    weights = trained_weights(model, objective, part)
    for name, value in ((names["learning_rate"], RATE), (names["momentum"], MOMENTUM)):
        graph.constants[name] = np.array(value, np.float32)
    for path, array in weights.items():
        graph.constants[path], graph.constants[path + VELOCITY] = array, np.zeros_like(array)
        for suffix in ("", VELOCITY, NEW, VELOCITY + NEW):
            graph.free(path + suffix)
    passed = _Pass(graph, model, weights, {name: columns[name] for name in model.network.columns})
    y = take(passed.outputs, objective.inputs[0])
    answers = write_answers(graph, model.preprocessing.target, y, link_of(objective.loss), columns)
    if cells is not None:
        answers.append(Answer(cells.name, CELLS, "uint8", ("batch", *cells.shape[1:])))
    assert isinstance(objective.loss, Loss)
    fitting = truth.write(graph, target.name, y, objective.loss)
    loss, delta = write_loss(graph, objective.loss, y, fitting, objective.weight)
    graph.result(loss, names["loss"])
    grads = passed.backward(objective.inputs[0], delta)
    _write_update(graph, grads, names)
    return Step(graph, door, tuple(answers), weights, truth, target, names, opset)


def _objective(model: Model) -> Objective:
    """Return the only objective; raise ConfigError for models without a training step."""
    where, cure = model.config.name, "remove --train-step"
    if model.members > 1:
        raise ConfigError("an ensemble has no single training step", where=where, cure=cure)
    if len(model.objectives) > 1:
        message = f"the run has {len(model.objectives)} losses, but a training step has one"
        raise ConfigError(message, where=where, cure=cure)
    (objective,) = model.objectives
    columns = model.facts["columns"]
    masks = [name for name in objective.inputs[2:] if name in columns and columns[name][1] == "bool"]
    if masks or objective.inputs[1] != "y" or objective.inputs[0].partition(".")[0] not in model.network.by_name:
        raise ConfigError("its loss compares more than an output with the targets", where=where, cure=cure)
    return objective


def trained_weights(model: Model, objective: Objective, part: Part) -> dict[str, np.ndarray]:
    """Return the parameters that a step changes, by path; the head is the last layer with a weight matrix and the
    layers after it.

    Raises:  ConfigError if all of them are frozen
    """
    network, params = model.network, model.variables.params
    used = _ancestors(model, objective.inputs[0])
    left = {node: own for node, own in without_frozen(network, model.config.freeze, params).items() if node in used}
    order = [node.name for node in network if node.name in left]
    matrices = [name for name in order if any(np.ndim(array) > 1 for array in left[name].values())]
    if part == "head" and matrices:
        order = order[order.index(matrices[-1]) :]
    if not order:
        raise ConfigError("all its parameters are frozen", where=model.config.name, cure="remove --train-step")
    return {f"{node}/{name}": np.asarray(array, np.float32) for node in order for name, array in left[node].items()}


def _ancestors(model: Model, reference: str) -> set[str]:
    """Return the nodes that an output is computed from."""
    reached = {reference.partition(".")[0]}
    for node in reversed(model.network.nodes):
        if node.name in reached:
            reached |= {name.partition(".")[0] for name in node.inputs}
    return reached


class _Pass:
    """The forward pass of a network, and the backward pass through the layers that lead to trained weights."""

    def __init__(self, graph: Graph, model: Model, weights: Mapping[str, np.ndarray], columns: Mapping[str, Value]
                 ) -> None:  # fmt: skip
        self.graph, self.weights = graph, weights
        network, variables = model.network, model.variables
        specs = network.specs({name: Spec((1, *c.shape[1:]), np.dtype(c.dtype)) for name, c in columns.items()})
        self.outputs: dict[str, Any] = dict(columns)
        self.taken: list[tuple[Node, Seen, dict[str, str]]] = []
        self.learning: set[str] = set()  # nodes whose output depends on a trained weight
        for node in network:
            inputs = tuple(take(self.outputs, reference) for reference in node.inputs)
            own = {**own_params(variables.params, node), **variables.state.get(node.name, {})}
            arrays = {name: np.asarray(array, np.float32) for name, array in own.items()}
            paths = {name: f"{node.name}/{name}" for name in own} | dict(node.share)
            trained = {name: path for name, path in paths.items() if path.removesuffix(TRANSPOSED) in weights}
            wanted = tuple(reference.partition(".")[0] in self.learning for reference in node.inputs)
            if not trained and not any(wanted):
                y = to_onnx.write(graph, node.name, node.layer, arrays, list(inputs), specs[node.name])
                self.outputs[node.name] = y
                continue
            self.learning.add(node.name)
            names = self._named(node, arrays, trained)
            taken: Taken = to_onnx_backward.forward(graph, node.name, node.layer, names, arrays, inputs,
                                                    specs[node.name])  # fmt: skip
            self.outputs[node.name] = taken.y
            seen = Seen(node.layer, names, inputs, taken.y, taken.tape, None, wanted, frozenset(trained))
            self.taken.append((node, seen, trained))

    def _named(self, node: Node, arrays: Mapping[str, np.ndarray], trained: Mapping[str, str]) -> dict[str, str]:
        """Return the names of a layer's weights in the graph; untrained ones become constants."""
        self.graph.path = node.name
        names = {}
        for name, array in arrays.items():
            path = trained.get(name)
            if path is None:
                names[name] = self.graph.constant(array, name)
            elif path.endswith(TRANSPOSED):
                names[name] = self.graph.op("Transpose", path.removesuffix(TRANSPOSED), perm=[1, 0])
            else:
                names[name] = path
        return names

    def backward(self, reference: str, delta: Value) -> dict[str, str]:
        """Propagate back from the delta of an output; return the gradients of the trained weights by path."""
        deltas: dict[str, Any] = {}
        self._add(deltas, reference, delta)
        grads: dict[str, str] = {}
        for node, seen, trained in reversed(self.taken):
            dy = deltas.get(node.name)
            if dy is None:
                continue
            back = to_onnx_backward.backward(self.graph, node.name, seen._replace(dy=dy))
            for input_reference, dx in zip(node.inputs, back.inputs, strict=True):
                if dx is not None:
                    self._add(deltas, input_reference, dx)
            for name, grad in back.grads.items():
                path = trained[name]
                if path.endswith(TRANSPOSED):
                    path, grad = path.removesuffix(TRANSPOSED), self.graph.op("Transpose", grad, perm=[1, 0])
                grads[path] = self.graph.op("Add", grads[path], grad) if path in grads else grad
        return grads

    def _add(self, deltas: dict[str, Any], reference: str, delta: Value) -> None:
        """Add a delta to earlier ones: the deltas of an output that several nodes read are summed."""
        name, _, part = reference.partition(".")
        here = deltas.setdefault(name, {}) if part else deltas
        key = part or name
        if key in here:
            before = here[key]
            other = self.graph.channels_first(delta) if before.first else self.graph.plain(delta)
            delta = replace(before, name=self.graph.op("Add", before.name, other))
        here[key] = delta


def _write_update(graph: Graph, grads: Mapping[str, str], names: Mapping[str, str]) -> None:
    """v = momentum v + g; w = w - learning_rate v."""
    for path, grad in grads.items():
        graph.path = f"{path}/update"
        velocity = graph.op("Add", graph.op("Mul", path + VELOCITY, names["momentum"]), grad)
        moved = graph.op("Sub", path, graph.op("Mul", velocity, names["learning_rate"]))
        graph.result(velocity, path + VELOCITY + NEW)
        graph.result(moved, path + NEW)
