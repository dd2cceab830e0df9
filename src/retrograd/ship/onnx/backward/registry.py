"""Which function writes the backward pass of which layer as ONNX nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from retrograd.network.layer import Layer
from retrograd.ship.forms import F, Forms
from retrograd.ship.onnx.graph import Graph, Value
from retrograd.ship.onnx.registry import to_onnx

Names = Mapping[str, str]  # parameters and state of a layer -> their names in the graph


class Taken(NamedTuple):
    """The result of a forward form: the output, as in `to_onnx`, and inner values that the backward pass needs."""

    y: Any
    tape: Any = None


class Seen(NamedTuple):
    """The arguments of a backward form: the layer's weights by name, its inputs, output and tape, the delta dy of its
    output (by name for several), and which inputs and parameters need a gradient.
    """

    layer: Any
    weights: Names
    inputs: tuple[Value, ...]
    y: Any
    tape: Any
    dy: Any
    wanted: tuple[bool, ...]
    trained: frozenset[str]


class Deltas(NamedTuple):
    """The result of a backward form: the delta of each input, or None, and the gradients by parameter name."""

    inputs: tuple[Any, ...]
    grads: dict[str, str] = {}


Forward = Callable[[Graph, Any, Names, tuple[Value, ...]], Taken]


class BackwardForms(Forms):
    """The backward passes of layers: `@to_onnx_backward.register(Dense, forward=...)` above a function (graph, seen).

    `forward` is the forward form for training, which gets names of weights instead of arrays: it is needed for layers
    with parameters, and if the backward pass needs more than inputs and output; others use the form in `to_onnx`.
    """

    def __init__(self, what: str, cure: Callable[[Layer], str]) -> None:
        super().__init__(what, cure)
        self._forwards: dict[type, Forward] = {}

    def register(self, *kinds: type[Layer], settings: str | None = None, forward: Forward | None = None
                 ) -> Callable[[F], F]:  # fmt: skip
        """Return a decorator that registers a function as the backward form of layers of these classes."""
        self._forwards.update({} if forward is None else dict.fromkeys(kinds, forward))
        return super().register(*kinds, settings=settings)

    def forward(self, graph: Graph, path: str, layer: Layer, weights: Names, arrays: Mapping[str, np.ndarray],
                inputs: tuple[Value, ...], spec: Any) -> Taken:  # fmt: skip
        """Add the forward nodes of a layer to train; `arrays` are its weights for a form without names.

        Raises:  ConfigError for a layer without a backward form, or with a setting that the form does not support
        """
        self.form_of(layer, path)
        forward = self._forwards.get(type(layer))
        if forward is None:
            return Taken(to_onnx.write(graph, path, layer, dict(arrays), list(inputs), spec))
        graph.path = path
        taken = forward(graph, layer, weights, inputs)
        return taken._replace(y=typed(taken.y, spec))

    def backward(self, graph: Graph, path: str, seen: Seen) -> Deltas:
        """Add the nodes of a layer's backward pass."""
        graph.path = f"{path}/backward"
        given = self.form_of(seen.layer, path)(graph, seen)
        deltas = [None if delta is None or not wanted else delta if isinstance(delta, Value) else Value(delta)
                  for delta, wanted in zip(given.inputs, seen.wanted, strict=True)]  # fmt: skip
        shaped = tuple(None if delta is None else replace(delta, shape=x.shape)
                       for delta, x in zip(deltas, seen.inputs, strict=True))  # fmt: skip
        return Deltas(shaped, {name: grad for name, grad in given.grads.items() if name in seen.trained})


def typed(y: Any, spec: Any) -> Any:
    """Return the output of a form as a value with its shape, or several by name."""
    if isinstance(spec, Mapping):
        return {name: typed(part, spec[name]) for name, part in y.items()}
    value = y if isinstance(y, Value) else Value(y)
    return replace(value, shape=tuple(spec.shape), dtype=np.dtype(spec.dtype).name)


def standing_as(graph: Graph, value: Value, like: Value) -> str:
    """Return the name of a value in the layout of another."""
    return graph.channels_first(value) if like.first else graph.plain(value)


def over_rows(graph: Graph, dy: Value, shape: tuple[int, ...]) -> str:
    """Return the sum of a delta over the batch and all leading axes that parameters of a shape do not have."""
    name, extra = graph.plain(dy), len(dy.shape) - len(shape)
    return graph.op("ReduceSum", name, np.arange(extra), keepdims=0)


def _cure(layer: Layer) -> str:
    return "use --train-step head, if the layer is below the head; or remove --train-step"


to_onnx_backward = BackwardForms("has no backward form in ONNX", _cure)
