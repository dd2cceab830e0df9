"""Which function writes which layer as ONNX nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from retrograd.network.layer import Layer
from retrograd.ship.forms import Forms
from retrograd.ship.onnx.graph import Graph, Value

Weights = dict[str, np.ndarray]


class OnnxForms(Forms):
    """The ONNX forms of layers: `@to_onnx.register(MyLayer)` above a function of (graph, layer, weights, *inputs).

    `weights` contains the layer's parameters and state by name, as arrays; inputs are `Value`s. The function adds nodes
    with `graph.op("Relu", x)`, and returns the output of the last one: a name (channels last), a `Value`, or a dict of
    these for a layer with several outputs.
    """

    def write(self, graph: Graph, path: str, layer: Layer, weights: Weights, inputs: list[Value], spec: Any) -> Any:
        """Add a layer's nodes to a graph and return its output, or outputs by name, with the shapes in `spec`.

        Raises:  ConfigError for a layer without a form, or with a setting that the form does not support
        """
        form = self.form_of(layer, path)
        graph.path = path
        y = form(graph, layer, weights, *inputs)
        if isinstance(spec, Mapping):
            return {name: _value(part, spec[name]) for name, part in y.items()}
        return _value(y, spec)


def _value(y: Any, spec: Any) -> Value:
    value: Value = y if isinstance(y, Value) else Value(y)
    return replace(value, shape=tuple(spec.shape), dtype=np.dtype(spec.dtype).name)


def _cure(layer: Layer) -> str:
    return f"write one with @rg.to_onnx.register({type(layer).__name__})"


to_onnx = OnnxForms("has no ONNX form", _cure)
