"""Recurrent layers: ONNX's own if every step counts, else a loop (Scan) over steps with a mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from retrograd.network import layers as kinds
from retrograd.network.layers.recurrent.recurrent import REVERSE, Recurrent
from retrograd.ship.onnx.graph import Graph, Value, body_of
from retrograd.ship.onnx.registry import Weights, to_onnx

SETTINGS = (
    "units bidirectional output truncate layers dropout backwards merge nonlinearity reset forget_bias "
    "projection peepholes"  # of all three
)
MERGES = {"sum": "ReduceSum", "average": "ReduceMean", "multiply": "ReduceProd"}
ORDERS = {"RNN": [0], "GRU": [1, 0, 2], "LSTM": [0, 3, 1, 2]}  # indices of ONNX's gates among the layer's


@to_onnx.register(kinds.RNN, kinds.GRU, kinds.LSTM, settings=SETTINGS)
def recurrent(g: Graph, layer: Recurrent, weights: Weights, x: Value, *others: Value) -> str | dict[str, str]:
    """Run the steps, and merge the directions."""
    states = [other for other in others if other.dtype != "bool"]
    mask = next((other for other in others if other.dtype == "bool"), None)
    time_first = g.op("Transpose", x, perm=[1, 0, 2])
    count = len(layer.prefixes)
    initial = [g.op("Transpose", g.reshape(state, 0, count, width), perm=[1, 0, 2])
               for state, width in zip(states, layer.widths, strict=False)]  # fmt: skip
    if mask is None and getattr(layer, "projection", None) is None:  # ONNX has none
        sequence, *finals = _at_once(g, layer, weights, time_first, initial)
    else:
        sequence, *finals = _step_by_step(g, layer, weights, time_first, mask, initial)
    parts = {name: _merged(g, layer, g.op("Transpose", final, perm=[1, 0, 2]), 3, width)
             for name, final, width in zip(layer.states, finals, layer.widths, strict=True)
             if layer.output in (name, "all")}  # fmt: skip
    if layer.output in ("sequence", "all"):
        parts["sequence"] = _merged(g, layer, g.op("Transpose", sequence, perm=[2, 0, 1, 3]), 4, layer.widths[0])
    return parts if layer.output == "all" else parts[layer.output]


def _merged(g: Graph, layer: Recurrent, ends: str, rank: int, width: int) -> str:
    """Return the directions [batch, ..., directions, units] merged into one value [batch, ..., width]."""
    if layer.merge == "concat":
        return g.reshape(ends, *[0] * (rank - 2), len(layer.prefixes) * width)
    return g.op(MERGES[layer.merge], ends, np.array([-2]), keepdims=0)


def _at_once(g: Graph, layer: Recurrent, weights: Weights, x: str, initial: Sequence[str | None]) -> list[str]:
    """Return the sequence [time, directions, batch, units] and the final states [directions, batch, units]."""
    kind, prefixes = type(layer).__name__, layer.prefixes
    order = ORDERS[kind]
    settings: dict[str, Any] = {"hidden_size": int(layer.units)}
    if isinstance(layer, kinds.RNN):
        settings["activations"] = [layer.nonlinearity.capitalize()] * len(prefixes)
    if isinstance(layer, kinds.GRU):
        settings["linear_before_reset"] = int(layer.reset == "after")
    settings["direction"] = "bidirectional" if len(prefixes) > 1 else "reverse" if layer.backwards else "forward"

    def gates(name: str) -> np.ndarray:
        """Return one kind of weights of all gates, in ONNX's order, [directions, gates · units, ...]."""
        each = [np.split(weights[prefix + name], layer.gates, -1) for prefix in prefixes]
        return np.stack([np.concatenate([parts[i] for i in order], -1).T for parts in each])

    bias = None
    if f"{prefixes[0]}bias" in weights:
        own = gates("bias")
        if f"{prefixes[0]}recurrent_bias" in weights:  # of n alone, the last of ONNX's gates
            recurrent_bias = np.zeros_like(own)
            recurrent_bias[:, -int(layer.units) :] = [weights[f"{prefix}recurrent_bias"] for prefix in prefixes]
            bias = g.constant(np.concatenate([own, recurrent_bias], -1), "bias")
        else:
            bias = g.op("Pad", g.constant(own, "bias"), np.array([0, 0, 0, own.shape[1]]))  # a second one of zeros
    constants = [g.constant(gates(name), name) for name in ("input_weight", "recurrent_weight")]
    peepholes = []
    if f"{prefixes[0]}peephole" in weights:
        thirds = [np.split(weights[f"{prefix}peephole"], 3) for prefix in prefixes]
        peepholes = [g.constant(np.stack([np.concatenate([i, o, f]) for i, f, o in thirds]), "peephole")]
        initial = initial or [None, None]
    return g.ops(kind, 1 + len(layer.states), x, *constants, bias, None, *initial, *peepholes, **settings)


def _step_by_step(g: Graph, layer: Recurrent, weights: Weights, x: str, mask: Value | None, initial: list[str]
                  ) -> list[str]:  # fmt: skip
    """Return the same with an optional mask: steps that do not count keep the state and return 0."""
    counts = None if mask is None else g.op("Unsqueeze", g.op("Transpose", mask, perm=[1, 0]), np.array([2]))
    sequences, finals = [], []
    for i, prefix in enumerate(layer.prefixes):
        own = {name.removeprefix(prefix): array for name, array in weights.items()
               if name.startswith(prefix) and (prefix or not name.startswith(REVERSE))}  # fmt: skip
        z = g.op("MatMul", x, g.constant(own["input_weight"], f"{prefix}input_weight"))
        z = g.op("Add", z, g.constant(own["bias"], f"{prefix}bias")) if "bias" in own else z
        starts = [g.op("Gather", state, np.int64(i), axis=0) for state in initial] or [
            _zeros(g, z, width) for width in layer.widths
        ]
        turned = int(prefix == REVERSE)
        read = [z] if counts is None else [z, counts]
        *ends, steps = g.ops("Scan", len(starts) + 1, *starts, *read, body=_body(g, layer, own, counts is not None),
                             num_scan_inputs=len(read), scan_input_directions=[turned] * len(read),
                             scan_output_directions=[turned])  # fmt: skip
        steps = steps if counts is None else g.op("Where", counts, steps, np.float32(0))
        sequences.append(g.op("Unsqueeze", steps, np.array([1])))
        finals.append([g.op("Unsqueeze", end, np.array([0])) for end in ends])
    joined = [_concat(g, list(each), 0) for each in zip(*finals, strict=True)]
    return [_concat(g, sequences, 1), *joined]


def _concat(g: Graph, parts: list[str], axis: int) -> str:
    return parts[0] if len(parts) == 1 else g.op("Concat", *parts, axis=axis)


def _zeros(g: Graph, z: str, width: int) -> str:
    """Return zeros [batch, units]."""
    rows = g.op("Slice", g.op("Shape", z), np.array([1]), np.array([2]))
    shape = g.op("Concat", rows, np.array([width]), axis=0)
    return g.op("Expand", np.float32(0), shape)


def _body(g: Graph, layer: Recurrent, own: Weights, masked: bool) -> Any:
    """Return the graph of one step: states and inputs -> states, and the first of these to collect."""
    body = Graph(g.path, outer=g)
    before = [body.free(f"{g.path}/{name}_before") for name in layer.states]
    z, counts = body.free(f"{g.path}/z"), body.free(f"{g.path}/counts")
    after = STEPS[type(layer).__name__](body, layer, own, z, before)
    carried = [body.op("Where", counts, new, old) if masked else body.op("Identity", new)
               for new, old in zip(after, before, strict=True)]  # fmt: skip
    collected = body.op("Identity", carried[0])
    inputs = [*((name, "float32", 2) for name in before), (z, "float32", 2), *([(counts, "bool", 2)] if masked else [])]
    return body_of(body, f"{g.path}/step", inputs, [(name, "float32", 2) for name in (*carried, collected)])


def _rnn(g: Graph, layer: Any, own: Weights, z: str, before: list[str]) -> list[str]:
    """h = f(z + h W_h)."""
    z = g.op("Add", z, g.op("MatMul", before[0], g.constant(own["recurrent_weight"], "recurrent_weight")))
    return [g.op(layer.nonlinearity.capitalize(), z)]


def _lstm(g: Graph, layer: Any, own: Weights, z: str, before: list[str]) -> list[str]:
    """c = f c + i g, h = o tanh(c)."""
    h, c = before
    z = g.op("Add", z, g.op("MatMul", h, g.constant(own["recurrent_weight"], "recurrent_weight")))
    i, f, new, o = _split(g, z, 4, layer)
    for_i, for_f, for_o = np.split(own["peephole"], 3) if "peephole" in own else (None,) * 3

    def seeing(gate: str, cell: str, weight: np.ndarray | None) -> str:
        return gate if weight is None else g.op("Add", gate, g.op("Mul", cell, weight))

    i, f = g.op("Sigmoid", seeing(i, c, for_i)), g.op("Sigmoid", seeing(f, c, for_f))
    c = g.op("Add", g.op("Mul", f, c), g.op("Mul", i, g.op("Tanh", new)))
    h = g.op("Mul", g.op("Sigmoid", seeing(o, c, for_o)), g.op("Tanh", c))
    if "projection_weight" in own:
        h = g.op("MatMul", h, g.constant(own["projection_weight"], "projection_weight"))
    return [h, c]


def _gru(g: Graph, layer: Any, own: Weights, z: str, before: list[str]) -> list[str]:
    """h = (1 - u) n + u h = n + u (h - n), the reset gate before or after the product."""
    (h,), units, weight = before, int(layer.units), own["recurrent_weight"]
    ar, au, an = _split(g, z, 3, layer)
    if layer.reset == "before":
        hr, hu = _split(g, g.op("MatMul", h, g.constant(weight[:, : 2 * units], "recurrent_weight")), 2, layer)
        r = g.op("Sigmoid", g.op("Add", ar, hr))
        q = g.op("MatMul", g.op("Mul", r, h), g.constant(weight[:, 2 * units :], "recurrent_weight"))
    else:
        hr, hu, hn = _split(g, g.op("MatMul", h, g.constant(weight, "recurrent_weight")), 3, layer)
        hn = g.op("Add", hn, g.constant(own["recurrent_bias"], "recurrent_bias")) if "recurrent_bias" in own else hn
        q = g.op("Mul", g.op("Sigmoid", g.op("Add", ar, hr)), hn)
    u, n = g.op("Sigmoid", g.op("Add", au, hu)), g.op("Tanh", g.op("Add", an, q))
    return [g.op("Add", n, g.op("Mul", u, g.op("Sub", h, n)))]


STEPS = {"RNN": _rnn, "LSTM": _lstm, "GRU": _gru}


def _split(g: Graph, z: str, parts: int, layer: Recurrent) -> list[str]:
    return g.ops("Split", parts, z, np.array([int(layer.units)] * parts), axis=-1)
