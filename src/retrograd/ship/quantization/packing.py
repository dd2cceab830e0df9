"""A model in fewer bytes: constants in the narrowest types that represent them exactly, and names only where they
matter.
"""

from __future__ import annotations

import base64
import itertools
import json
import string
import zlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from retrograd.ship.onnx.library import onnx
from retrograd.ship.onnx.outside import Outside
from retrograd.ship.onnx.renaming import bodies, rename
from retrograd.ship.quantization.reading import layer_of

NARROWER = {"float64": ("float16", "float32"), "float32": ("float16",), "int32": ("int8", "int16")}
NODE = 40  # bytes of the node that widens a constant again
LETTERS = string.ascii_letters + string.digits
DEFLATED = "deflated"


def deflated(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return metadata as one entry of deflated JSON in base64, or unchanged if that is shorter."""
    entries = {name: json.loads(value) for name, value in metadata.items()}
    whole = base64.b64encode(zlib.compress(json.dumps(entries, ensure_ascii=False).encode(), 9)).decode()
    return {DEFLATED: whole} if len(whole) < sum(map(len, [*metadata, *metadata.values()])) else dict(metadata)


def packed(model: Any, paths: Collection[str]) -> Any:
    """Return a smaller model that computes the same to the last bit. Nodes at `paths` keep their names.

    A model of more than 2 GB is returned unchanged.
    """
    if isinstance(model, Outside):
        return model
    made = type(model)()
    made.CopyFrom(model)
    graph = made.graph
    widened = [node for tensor in graph.initializer if (node := _narrowed(tensor)) is not None]
    nodes = [*widened, *graph.node]
    names = _short_names(graph, nodes)
    for tensor in graph.initializer:
        tensor.name = names[tensor.name]
    for node in nodes:
        rename(node, names)
        if layer_of(node) not in paths:
            node.name = ""
    del graph.node[:]
    graph.node.extend(nodes)
    return made


def _narrowed(tensor: Any) -> Any | None:
    """Make a tensor narrower if that is exact and worthwhile; return the node that widens it again."""
    package = onnx()
    if tensor.data_type == package.TensorProto.STRING:
        return None
    wide = package.numpy_helper.to_array(tensor)
    for dtype in NARROWER.get(wide.dtype.name, ()):
        with np.errstate(over="ignore", invalid="ignore"):
            narrow = wide.astype(dtype)
        if narrow.nbytes + NODE < wide.nbytes and narrow.astype(wide.dtype).tobytes() == wide.tobytes():
            node = package.helper.make_node("Cast", [f"{tensor.name}/narrow"], [tensor.name], to=tensor.data_type)
            tensor.CopyFrom(package.numpy_helper.from_array(narrow, node.input[0]))
            return node
    return None


def _short_names(graph: Any, nodes: list[Any]) -> dict[str, str]:
    """Return a short name for each value; inputs and outputs keep theirs."""
    ends = {end.name for each in (graph.input, graph.output) for end in each}
    names = {"": "", **{name: name for name in ends}}
    taken = ends | {name for node in nodes for body in bodies(node) for name in _names_in(body)}
    letters = (itertools.product(LETTERS, repeat=size) for size in itertools.count(1))
    free = (name for name in map("".join, itertools.chain.from_iterable(letters)) if name not in taken)
    for name in [*(tensor.name for tensor in graph.initializer), *(name for node in nodes for name in node.output)]:
        if name not in names:
            names[name] = next(free)
    return names


def _names_in(body: Any) -> Iterator[str]:
    for node in body.node:
        yield from (*node.input, *node.output)
        for inner in bodies(node):
            yield from _names_in(inner)
