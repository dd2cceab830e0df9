"""An ONNX graph being written: nodes, constants, and the position of each value's channels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from retrograd.ship.onnx.library import onnx
from retrograd.ship.onnx.outside import Outside, is_outside, lies_outside, pointer
from retrograd.ship.onnx.renaming import without_copies

OPSET, IR, ML = 18, 9, 3  # ML: the version of the domain ai.onnx.ml
TYPES = {"float32": 1, "uint8": 2, "int32": 6, "int64": 7, "str": 8, "bool": 9, "float64": 11}  # onnx.TensorProto's
BATCH = "batch"


@dataclass(frozen=True)
class Value:
    """The output of a node: its name in the graph, and its shape with the batch first and the channels last.

    `first` means that in the graph the channels come before the spatial axes, as ONNX convolutions need them.
    """

    name: str
    shape: tuple[int, ...] = ()
    first: bool = False
    dtype: str = "float32"

    @property
    def axes(self) -> int:
        """The number of axes between batch and channels."""
        return len(self.shape) - 2

    def along(self, axis: int) -> int:
        """Return the index in the graph of an axis that is counted as if the channels were last."""
        axis %= len(self.shape)
        if not self.first or axis == 0:
            return axis
        return 1 if axis == len(self.shape) - 1 else axis + 1


@dataclass
class Graph:
    """Nodes and constants in order of computation; `outer` is the graph around the body of a loop."""

    path: str = ""  # of the network node being written
    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    outer: Graph | None = None
    functions: dict[str, Any] = field(default_factory=dict)
    _by_content: dict[Any, str] = field(default_factory=dict)
    _turned: dict[tuple[str, bool], str] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)

    def op(self, kind: str, *inputs: Any, **attributes: Any) -> str:
        """Add a node of ONNX operator `kind` with one output; return that output's name.

        An input is a name, a `Value` (read with its channels last), an array or number (a constant), or None (absent).
        """
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, outputs: int, *inputs: Any, **attributes: Any) -> list[str]:
        """Add a node with several outputs; return their names."""
        names = [self.name_of(each) for each in inputs]
        while names and not names[-1]:
            names.pop()
        base = self.free(f"{self.path}/{kind}" if self.path else kind)
        results = [base if i == 0 else f"{base}:{i}" for i in range(outputs)]
        self.nodes.append(onnx().helper.make_node(kind, names, results, name=base, **attributes))
        return results

    def name_of(self, value: Any) -> str:
        """Return the name of an input in any of these forms."""
        if value is None:
            return ""
        if isinstance(value, str):
            return value
        if isinstance(value, Value):
            return self.plain(value)
        return self.constant(value)

    def constant(self, value: Any, name: str = "constant") -> str:
        """Return the name of a constant; equal constants, such as shared weights, are stored once.

        Python floats become float32, and Python integers int64.
        """
        array = np.asarray(value)
        if not isinstance(value, (np.ndarray, np.generic)):
            array = array.astype({"f": np.float32, "i": np.int64}.get(array.dtype.kind, array.dtype))
        if self.outer is not None:
            return self.outer.constant(array, name)
        key, turned = _content(array), _content(array.T) if array.ndim == 2 else None
        if key in self._by_content:
            return self._by_content[key]
        if turned in self._by_content:  # shared weights, transposed
            self._by_content[key] = self.op("Transpose", self._by_content[turned], perm=[1, 0])
            return self._by_content[key]
        made = self.free(f"{self.path}/{name}" if self.path else name)
        self.constants[made] = np.ascontiguousarray(array).reshape(array.shape)
        self._by_content[key] = made
        return made

    def free(self, name: str) -> str:
        """Return an unused name."""
        if self.outer is not None:
            return self.outer.free(name)
        made, number = name, 1
        while made in self._names:
            number += 1
            made = f"{name}_{number}"
        self._names.add(made)
        return made

    # ---------------------------------------------------------------------------------------- layout of channels

    def plain(self, x: Value) -> str:
        """Return the name of a value with its channels last."""
        return self._stands(x, False)

    def channels_first(self, x: Value) -> str:
        """Return the name of a value with its channels before the spatial axes."""
        return self._stands(x, True)

    def _stands(self, x: Value, first: bool) -> str:
        if x.first == first or len(x.shape) < 3:
            return x.name
        if (x.name, first) not in self._turned:
            last = len(x.shape) - 1
            perm = [0, last, *range(1, last)] if first else [0, *range(2, last + 1), 1]
            name = self.op("Transpose", x.name, perm=perm)
            self._turned[x.name, first], self._turned[name, not first] = name, x.name
        return self._turned[x.name, first]

    def by_channel(self, x: Value, numbers: np.ndarray) -> np.ndarray:
        """Return a number for each channel [channels], shaped to match the channels of x in the graph."""
        return numbers.reshape(-1, *(1,) * x.axes) if x.first and x.axes > 0 else numbers

    def each(self, kind: str, x: Value, *others: Any, **attributes: Any) -> Value:
        """Add a node that acts on each element, wherever the channels of x are."""
        return replace(x, name=self.op(kind, x.name, *others, **attributes))

    def result(self, x: Value | str, name: str) -> None:
        """Make a value the output `name` of the graph, with channels last."""
        self.path = ""
        self.nodes.append(onnx().helper.make_node("Identity", [self.name_of(x)], [name], name=f"{name}/Identity"))

    def copy(self) -> Graph:
        """Return an independent copy of this graph."""
        return replace(self, nodes=[*self.nodes], constants=dict(self.constants), _by_content=dict(self._by_content),
                       _turned=dict(self._turned), _names=set(self._names))  # fmt: skip

    # ------------------------------------------------------------------------------------------------- often needed

    def reshape(self, x: Any, *lengths: int) -> str:
        """Return x in another shape; 0 keeps a length, -1 is inferred."""
        return self.op("Reshape", x, np.array(lengths, np.int64))

    def scaled(self, x: Any, params: dict[str, np.ndarray]) -> str:
        """Return scale · x + bias, with those parameters that exist."""
        y = self.op("Mul", x, self.constant(params["scale"], "scale")) if "scale" in params else self.name_of(x)
        return self.op("Add", y, self.constant(params["bias"], "bias")) if "bias" in params else y


def _content(array: np.ndarray) -> Any:
    if array.dtype.kind in "OU":
        return array.dtype.kind, array.shape, tuple(array.ravel().tolist())
    return array.dtype.str, array.shape, hashlib.sha256(np.ascontiguousarray(array).tobytes()).digest()


def body_of(graph: Graph, name: str, inputs: Sequence[tuple[str, str, int]], outputs: Sequence[tuple[str, str, int]]
            ) -> Any:  # fmt: skip
    """Return a graph as the body of a loop; inputs and outputs are (name, dtype, number of axes)."""
    helper = onnx().helper
    infos = [[helper.make_tensor_value_info(n, TYPES[dtype], [None] * axes) for n, dtype, axes in each]
             for each in (inputs, outputs)]  # fmt: skip
    return helper.make_graph(graph.nodes, name, *infos)


def model_of(graph: Graph, inputs: Sequence[tuple[str, str, Sequence[Any]]],
             outputs: Sequence[tuple[str, str, Sequence[Any]]], metadata: dict[str, str] | None = None,
             opset: int = OPSET, name: str = "retrograd") -> Any:  # fmt: skip
    """Return the graph as an ONNX model, which is checked if it is a single file; inputs and outputs are (name, dtype,
    shape, with names for free axes).
    """
    package = onnx()
    helper = package.helper
    infos = [[helper.make_tensor_value_info(n, TYPES[dtype], list(shape)) for n, dtype, shape in each]
             for each in (inputs, outputs)]  # fmt: skip
    outside = is_outside(graph.constants)
    arrays = {key: array for key, array in graph.constants.items() if outside and lies_outside(array)}
    constants = [pointer(key, array) if key in arrays else _tensor(array, key)
                 for key, array in graph.constants.items()]  # fmt: skip
    nodes = without_copies(graph.nodes, [name for name, *_ in outputs])
    made = helper.make_graph(nodes, name, *infos, constants)
    domains = {node.domain for node in nodes if node.domain}
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, ML) for domain in sorted(domains))]
    model = helper.make_model(made, opset_imports=opsets, ir_version=IR, producer_name="retrograd")
    helper.set_model_props(model, metadata or {})
    if outside:
        return Outside(model, arrays)
    package.checker.check_model(model)
    return model


def _tensor(array: np.ndarray, name: str) -> Any:
    if array.dtype.kind in "OU":
        return onnx().helper.make_tensor(name, TYPES["str"], array.shape, [each.encode() for each in array.ravel()])
    return onnx().numpy_helper.from_array(array, name)
