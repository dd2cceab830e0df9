"""A whole network as ONNX nodes: its graph and weights, or those of every member of an ensemble."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from retrograd.network.layer import Spec
from retrograd.network.losses.binary_cross_entropy import BinaryCrossEntropy
from retrograd.network.losses.cross_entropy import CrossEntropy
from retrograd.network.network import Network, Variables, own_params, take
from retrograd.ship.onnx import forms
from retrograd.ship.onnx.graph import Graph, Value
from retrograd.ship.onnx.registry import to_onnx
from retrograd.training.use.link import link_of

assert forms.__all__  # importing these registers them
Outputs = dict[str, Any]  # node or column -> Value, or Values by name


def write_network(graph: Graph, network: Network, variables: Variables, columns: Mapping[str, Value],
                  prefix: str = "") -> Outputs:  # fmt: skip
    """Add the nodes of a network to a graph; return the output of each node, and the columns."""
    inputs = {name: Spec((1, *columns[name].shape[1:]), np.dtype(columns[name].dtype)) for name in network.columns}
    specs = network.specs(inputs)
    outputs: Outputs = dict(columns)
    for node in network:
        weights = {**own_params(variables.params, node), **variables.state.get(node.name, {})}
        arrays = {name: np.asarray(array, np.float32) for name, array in weights.items()}
        read = [take(outputs, reference) for reference in node.inputs]
        path = prefix + node.name
        outputs[node.name] = to_onnx.write(graph, path, node.layer, arrays, read, specs[node.name])
    return outputs


def write_members(graph: Graph, network: Network, stacked: Variables, members: int, columns: Mapping[str, Value],
                  output: str, loss: Any) -> Outputs:  # fmt: skip
    """Add the networks of an ensemble; return the columns, and the average as `output`."""
    ys = []
    for i in range(members):
        variables = Variables(*jax.tree.map(lambda leaf, i=i: np.asarray(leaf)[i], tuple(stacked)))
        ys.append(take(write_network(graph, network, variables, columns, f"member_{i + 1}/"), output))
    graph.path = "average"
    names = [graph.plain(y) for y in ys]
    return {**columns, output: Value(_combined(graph, names, loss), ys[0].shape)}


def _combined(g: Graph, ys: list[str], loss: Any) -> str:
    """Return the logarithm of the mean probability for logits, or of the mean rate, else the mean of the outputs."""
    if isinstance(loss, CrossEntropy) and loss.from_logits:
        return _mean_of_logarithms(g, [g.op("LogSoftmax", y, axis=-1) for y in ys])
    if isinstance(loss, BinaryCrossEntropy) and loss.from_logits:
        no = _mean_of_logarithms(g, [g.op("Neg", g.op("Softplus", y)) for y in ys])
        yes = _mean_of_logarithms(g, [g.op("Neg", g.op("Softplus", g.op("Neg", y))) for y in ys])
        return g.op("Sub", yes, no)
    if link_of(loss) == "log":
        return _mean_of_logarithms(g, ys)
    return g.op("Mean", *ys)


def _mean_of_logarithms(g: Graph, ys: list[str]) -> str:
    together = g.op("Concat", *(g.op("Unsqueeze", y, np.array([0])) for y in ys), axis=0)
    return g.op("Sub", g.op("ReduceLogSumExp", together, np.array([0]), keepdims=0), float(np.log(len(ys))))


def named(output: Any) -> dict[str, Any]:
    """Return outputs by name; the name of a single one is `output`."""
    return dict(output) if isinstance(output, Mapping) else {"output": output}
