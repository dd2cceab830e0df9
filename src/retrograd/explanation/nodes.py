"""The arithmetic of every node of a network: shapes, parameters, work, memory, receptive field, initial scale."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from retrograd.base.schema import dump
from retrograd.explanation.field import Field, field_behind, first_field
from retrograd.explanation.scale import predicted, rms
from retrograd.explanation.work import multiply_adds
from retrograd.native.library import kernels
from retrograd.network.layer import Context, Layer, Spec
from retrograd.network.network import Variables, own_params, take
from retrograd.network.scope import Node
from retrograd.present.text import cut
from retrograd.present.wording import in_yaml
from retrograd.propagation.one_layer import adjoint, run_layer
from retrograd.training.prepare import Prepared, nbytes


@dataclass(frozen=True)
class NodeFacts:
    """One node. Work is in multiply-adds per example, memory in bytes per batch; scales are root mean squares."""

    path: str
    kind: str
    entry: int | None  # index in the configuration's `network`, from 0
    settings: str
    inputs: tuple[str, ...]
    shape: str
    parameters: int
    arithmetic: str
    shared: tuple[str, ...]
    forward_work: int
    backward_work: int
    parameter_bytes: int
    tape_bytes: int
    optimizer_bytes: int
    receptive_field: str
    forward: str
    backward: tuple[str, ...]
    derivation: str
    frozen: bool
    frozen_parameters: tuple[str, ...]  # of a node that is not entirely frozen
    trained: int  # parameters
    predicted_scale: float | None
    measured_scale: float | None


class Inspector:
    """Examines the nodes of a prepared run, given its initial variables and the outputs for one batch."""

    def __init__(self, prepared: Prepared, variables: Variables, batch: Mapping[str, Any], outputs: Any) -> None:
        self.prepared, self.variables, self.outputs = prepared, variables, {**batch, **outputs}
        self.rows = len(next(iter(batch.values())))
        stepper = prepared.stepper()
        self.trained = stepper.trained(variables.params)
        self.moments = jax.eval_shape(stepper.chain.init, self.trained)
        self.fields: dict[str, Field | None] = {name: first_field(np.shape(column)) for name, column in batch.items()}
        self.scales: dict[str, float | None] = {name: rms(column) for name, column in batch.items()}

    def node(self, node: Node) -> NodeFacts:
        """Return the facts about one node; the nodes before it must have been examined."""
        network, layer = self.prepared.network, node.layer
        params = self.variables.params.get(node.name, {})
        y = self.outputs[node.name]
        tape, forward, backward = self._work(node)
        self.fields[node.name] = self._field(node, y)
        scale, measured = self._scale(node), rms(y)
        self.scales[node.name] = measured if scale is None else scale
        equations = layer.formulas()
        return NodeFacts(
            path=node.name,
            kind=layer.kind,
            entry=network.entry_index(node.name),
            settings=unusual_settings(layer),
            inputs=node.inputs,
            shape=shape_of(y),
            parameters=sum(value.size for value in params.values()),
            arithmetic=arithmetic(params),
            shared=tuple(f"{name} = {path}" for name, path in node.share),
            forward_work=forward,
            backward_work=backward,
            parameter_bytes=nbytes(params),
            tape_bytes=tape,
            optimizer_bytes=bytes_for(self.moments, node.name),
            receptive_field=field_words(self.fields[node.name]),
            forward=equations.forward if equations else "",
            backward=tuple(equations.backward) if equations else (),
            derivation=layer.derivation,
            frozen=node.frozen,
            frozen_parameters=() if node.frozen else tuple(params.keys() - self.trained.get(node.name, {}).keys()),
            trained=sum(value.size for value in self.trained.get(node.name, {}).values()),
            predicted_scale=scale,
            measured_scale=measured,
        )

    def _work(self, node: Node) -> tuple[int, int, int]:
        """Return the bytes of the tape, and the multiply-adds of forward and backward for one example."""
        params = own_params(self.variables.params, node)
        state = self.variables.state.get(node.name, {})
        ctx = Context(True, jax.random.key(0), node.name)
        inputs = tuple(jax.tree.map(_spec, take(self.outputs, reference)) for reference in node.inputs)

        def run(params: Any, inputs: Any) -> Any:
            step = run_layer(node.layer, params, state, ctx, inputs)
            return step.y, step.tape

        def both(params: Any, inputs: Any, dy: Any) -> Any:
            step = run_layer(node.layer, params, state, ctx, inputs)
            return step.y, adjoint(node.layer, params, step.tape, dy)

        with kernels(False):  # the work inside native kernels is not visible
            y, tape = jax.eval_shape(run, params, inputs)
            forward = multiply_adds(lambda p, i: node.layer.forward(p, state, ctx, *i).y, params, inputs)
            together = multiply_adds(both, params, inputs, y)
        return nbytes(tape), forward // self.rows, max(0, together - forward) // self.rows

    def _field(self, node: Node, y: Any) -> Field | None:
        x = take(self.outputs, node.inputs[0])
        if isinstance(y, dict) or isinstance(x, dict):
            return None
        inputs = [self.fields.get(reference.partition(".")[0]) for reference in node.inputs]
        return field_behind(node.layer, inputs, x.shape, y.shape)

    def _scale(self, node: Node) -> float | None:
        inputs = [self.scales.get(reference.partition(".")[0]) for reference in node.inputs]
        if any(scale is None for scale in inputs):
            return None
        params = own_params(self.variables.params, node)
        return predicted(node.layer, params, [scale for scale in inputs if scale is not None])


def arithmetic(params: Mapping[str, Any]) -> str:
    """Return the number of parameters as a sum, largest term first: `64*32 + 32 = 2,080`."""
    parts = ["*".join(str(n) for n in value.shape) or "1" for value in sorted(params.values(), key=lambda v: -v.size)]
    total = f"{sum(value.size for value in params.values()):,}"
    text = " + ".join(parts)
    return text if text.replace(",", "") == total.replace(",", "") else f"{text} = {total}"


def unusual_settings(layer: Layer) -> str:
    """Return the settings of a layer that differ from their defaults, on one line."""
    return ", ".join(f"{name} {_short(value)}" for name, value in dump(layer, filled=False).items())


def shape_of(y: Any) -> str:
    """Return the shape of an output as `batch x 8 x 3`; several outputs are preceded by their names."""
    if isinstance(y, dict):
        return ", ".join(f"{part} {shape_of(value)}" for part, value in y.items())
    return " x ".join(["batch", *map(str, y.shape[1:])])


def bytes_for(moments: Any, node: str) -> int:
    """Return the bytes that the optimizer keeps for one node."""
    leaves = jax.tree_util.tree_leaves_with_path(moments)
    arrays = [leaf for path, leaf in leaves if any(getattr(key, "key", None) == node for key in path)]
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in arrays)


def field_words(field: Field | None) -> str:
    """Return a receptive field as text."""
    return "" if field is None else " x ".join(map(str, field.extent)) if field.extent else "the whole input"


def _spec(value: Any) -> Any:
    return Spec(np.shape(value), value.dtype)


def _short(value: Any) -> str:
    return cut(in_yaml(value), 40)
