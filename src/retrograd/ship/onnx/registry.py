"""Which function writes which layer as ONNX nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from retrograd.base.errors import ConfigError
from retrograd.network.layer import Layer
from retrograd.ship.onnx.graph import Graph, Value

Weights = dict[str, np.ndarray]
Form = Callable[..., Any]
F = TypeVar("F", bound=Form)


class Forms:
    """The ONNX forms of layers: `@to_onnx.register(MyLayer)` above a function of (graph, layer, weights, *inputs).

    `weights` holds the layer's parameters and its state by name, as arrays; inputs are `Value`s. The function adds
    nodes by `graph.op("Relu", x)`, and returns the last one's output: a name (channels last), a `Value`, or of a layer
    with several outputs a dict of these.
    """

    def __init__(self) -> None:
        self._forms: dict[type, Form] = {}

    def register(self, *kinds: type[Layer]) -> Callable[[F], F]:
        """Return a decorator that files a function as the ONNX form of layers of these classes."""

        def file(form: F) -> F:
            self._forms.update(dict.fromkeys(kinds, form))
            return form

        return file

    def __contains__(self, kind: object) -> bool:
        return kind in self._forms

    def write(self, graph: Graph, path: str, layer: Layer, weights: Weights, inputs: list[Value], spec: Any) -> Any:
        """Add a layer's nodes to a graph and return its output, or outputs by name, of the shapes in `spec`.

        Raises:  ConfigError for a layer without a form
        """
        form = self._forms.get(type(layer))
        if form is None:
            raise ConfigError(f"{layer.kind} has no ONNX form", where=path,
                              cure=f"write one: @rg.to_onnx.register({type(layer).__name__})")  # fmt: skip
        graph.path = path
        y = form(graph, layer, weights, *inputs)
        if isinstance(spec, Mapping):
            return {name: _value(part, spec[name]) for name, part in y.items()}
        return _value(y, spec)


def _value(y: Any, spec: Any) -> Value:
    value: Value = y if isinstance(y, Value) else Value(y)
    return replace(value, shape=tuple(spec.shape), dtype=np.dtype(spec.dtype).name)


to_onnx = Forms()
