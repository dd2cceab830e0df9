"""Training forms of recurrent layers: a loop (Scan) over the steps of each direction, and one in reverse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from retrograd.network import layers as kinds
from retrograd.network.layers.recurrent.recurrent import REVERSE, Recurrent
from retrograd.ship.onnx.backward.registry import Deltas, Names, Seen, Taken, to_onnx_backward
from retrograd.ship.onnx.graph import Graph, Value, body_of

SETTINGS = "units bidirectional output layers dropout backwards nonlinearity forget_bias reset"


class Walk(NamedTuple):
    """The steps of one direction, time first: the states before and after each, and the gates."""

    own: dict[str, str]  # weights by their plain names
    before: list[str]
    after: list[str]
    gates: str


def forward(g: Graph, layer: Recurrent, weights: Names, inputs: tuple[Value, ...]) -> Taken:
    """Run the steps, and concatenate the directions."""
    x, *others = inputs
    states = [other for other in others if other.dtype != "bool"]
    masks = [other for other in others if other.dtype == "bool"]
    xt = g.op("Transpose", x, perm=[1, 0, 2])
    counts = g.op("Unsqueeze", g.op("Transpose", masks[0], perm=[1, 0]), np.array([2])) if masks else None
    units, walks, finals = int(layer.units), [], []
    for i, prefix in enumerate(layer.prefixes):
        own = {name.removeprefix(prefix): value for name, value in weights.items()
               if name.startswith(prefix) and (prefix or not name.startswith(REVERSE))}  # fmt: skip
        z = g.op("MatMul", xt, own["input_weight"])
        z = g.op("Add", z, own["bias"]) if "bias" in own else z
        ends = np.array([i * units]), np.array([(i + 1) * units]), np.array([1])
        starts = [g.op("Slice", state, *ends) for state in states] or [_zeros(g, z, units)] * len(layer.states)
        finals_here, walk = _walk(g, layer, own, z, counts, starts, prefix == REVERSE)
        walks.append(walk)
        finals.append(finals_here)
    parts = {name: _beside(g, list(ends)) for name, ends in zip(layer.states, zip(*finals, strict=True), strict=True)}
    sequence = _beside(g, [walk.after[0] for walk in walks])
    sequence = sequence if counts is None else g.op("Where", counts, sequence, 0.0)
    parts["sequence"] = g.op("Transpose", sequence, perm=[1, 0, 2])
    return Taken(parts if layer.output == "all" else parts[layer.output], (xt, counts, walks))


def _walk(g: Graph, layer: Recurrent, own: dict[str, str], z: str, counts: str | None, starts: list[str],
          reverse: bool) -> tuple[list[str], Walk]:  # fmt: skip
    """Run the steps of one direction; return its final states and its steps."""
    body = Graph(g.path, outer=g)
    before = [body.free(f"{g.path}/{name}_before") for name in layer.states]
    now, there = body.free(f"{g.path}/z"), body.free(f"{g.path}/there")
    after, gates = CELLS[type(layer)].step(body, layer, own, now, before)
    if counts is not None:
        after = [body.op("Where", there, new, old) for new, old in zip(after, before, strict=True)]
    copies = [body.op("Identity", each) for each in (*before, *after)]
    read = [(now, "float32", 2)] + ([(there, "bool", 2)] if counts is not None else [])
    names = [(name, "float32", 2) for name in before]
    step = body_of(body, f"{g.path}/step", [*names, *read],
                   [(name, "float32", 2) for name in (*after, *copies, gates)])  # fmt: skip
    count, turned = len(starts), int(reverse)
    results = g.ops("Scan", 3 * count + 1, *starts, z, *([] if counts is None else [counts]), body=step,
                    num_scan_inputs=len(read), scan_input_directions=[turned] * len(read),
                    scan_output_directions=[turned] * (2 * count + 1))  # fmt: skip
    finals, earlier, afters = (results[i * count : (i + 1) * count] for i in range(3))
    return finals, Walk(own, earlier, afters, results[-1])


@to_onnx_backward.register(kinds.RNN, kinds.GRU, kinds.LSTM, settings=SETTINGS, forward=forward)
def recurrent(g: Graph, seen: Seen) -> Deltas:
    """Propagate the deltas of the states back through the steps; each gradient is one product after the loop."""
    layer, (xt, counts, walks) = seen.layer, seen.tape
    parts = {name: g.plain(d) for name, d in (seen.dy if layer.output == "all" else {layer.output: seen.dy}).items()}
    units, directions = int(layer.units), len(walks)
    if "sequence" in parts:
        sequence = g.op("Transpose", parts["sequence"], perm=[1, 0, 2])
        parts["sequence"] = sequence if counts is None else g.op("Where", counts, sequence, 0.0)
    grads: dict[str, str] = {}
    dxs, starts = [], []
    for i, (prefix, walk) in enumerate(zip(layer.prefixes, walks, strict=True)):
        ends = np.array([i * units]), np.array([(i + 1) * units]), np.array([-1])
        own = {name: d if directions == 1 else g.op("Slice", d, *ends) for name, d in parts.items()}
        start, dz, dh = _walk_back(g, layer, walk, counts, own, prefix == REVERSE)
        starts.append(start)
        grads |= {prefix + name: grad for name, grad in _gradients(g, layer, xt, walk, dz, dh).items()}
        if seen.wanted[0]:
            dxs.append(g.op("MatMul", dz, g.op("Transpose", walk.own["input_weight"], perm=[1, 0])))
    dx = g.op("Transpose", g.op("Sum", *dxs), perm=[1, 0, 2]) if dxs else None
    states = iter([_beside(g, list(each)) for each in zip(*starts, strict=True)])
    rest = [None if other.dtype == "bool" else next(states) for other in seen.inputs[1:]]
    return Deltas((dx, *rest), grads)


def _gradients(g: Graph, layer: Recurrent, xt: str, walk: Walk, dz: str, dh: str) -> dict[str, str]:
    """Return dW = Σ x(t)ᵀ dz(t), dW_h = Σ h(t-1)ᵀ dh(t), and the sums for the biases."""
    units = int(layer.units)
    dz_rows = g.reshape(dz, -1, layer.gates * units)
    dh_rows = dz_rows if dh == dz else g.reshape(dh, -1, layer.gates * units)
    x_rows = g.op("Flatten", xt, axis=2)
    grads = {"input_weight": g.op("Gemm", x_rows, dz_rows, transA=1),
             "recurrent_weight": CELLS[type(layer)].recurrent_gradient(g, layer, walk, dh_rows)}  # fmt: skip
    if "bias" in walk.own:
        grads["bias"] = g.op("ReduceSum", dz_rows, np.array([0]), keepdims=0)
    if "recurrent_bias" in walk.own:
        grads["recurrent_bias"] = g.op("ReduceSum", _last(g, dh_rows, units), np.array([0]), keepdims=0)
    return grads


def _walk_back(g: Graph, layer: Recurrent, walk: Walk, counts: str | None, parts: dict[str, str], reverse: bool
               ) -> tuple[list[str], str, str]:  # fmt: skip
    """Return the deltas of the initial states, of z, and of h W_h, which may be the same."""
    cell, count = CELLS[type(layer)], len(layer.states)
    zero = g.op("Mul", g.op("Gather", walk.after[0], np.int64(0), axis=0), 0.0)
    dfinals = [parts.get(name, zero) for name in layer.states]
    body = Graph(g.path, outer=g)

    def free(*names: str) -> list[str]:
        return [body.free(f"{g.path}/{name}") for name in names]

    deltas, before, after = (free(*(f"{what}_{name}" for name in layer.states)) for what in ("d", "before", "after"))
    gates, dsequence, there = free("gates", "dsequence", "there")
    given = [body.op("Add", deltas[0], dsequence), *deltas[1:]] if "sequence" in parts else deltas
    earlier, dz, dh = cell.step_back(body, layer, walk.own, given, before, after, gates)
    if counts is not None:
        earlier = [body.op("Where", there, new, old) for new, old in zip(earlier, given, strict=True)]
        dz, same = body.op("Where", there, dz, 0.0), dh == dz
        dh = dz if same else body.op("Where", there, dh, 0.0)
    floats = [*before, *after, gates] + ([dsequence] if "sequence" in parts else [])
    read = [(name, "float32", 2) for name in floats] + ([(there, "bool", 2)] if counts is not None else [])
    earlier = [body.op("Identity", name) for name in earlier]  # an output is no input
    shown = [dz] if dh == dz else [dz, dh]
    step = body_of(body, f"{g.path}/step_back", [*((name, "float32", 2) for name in deltas), *read],
                   [(name, "float32", 2) for name in (*earlier, *shown)])  # fmt: skip
    turned = int(not reverse)
    scanned = [*walk.before, *walk.after, walk.gates, *([parts["sequence"]] if "sequence" in parts else []),
               *([] if counts is None else [counts])]  # fmt: skip
    results = g.ops("Scan", count + len(shown), *dfinals, *scanned, body=step, num_scan_inputs=len(read),
                    scan_input_directions=[turned] * len(read),
                    scan_output_directions=[turned] * len(shown))  # fmt: skip
    return results[:count], results[count], results[-1]


def _zeros(g: Graph, z: str, units: int) -> str:
    """Return zeros [batch, units]."""
    rows = g.op("Slice", g.op("Shape", z), np.array([1]), np.array([2]))
    return g.op("Expand", 0.0, g.op("Concat", rows, np.array([units]), axis=0))


def _beside(g: Graph, parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else g.op("Concat", *parts, axis=-1)


def _last(g: Graph, rows: str, units: int) -> str:
    return g.op("Slice", rows, np.array([-units]), np.array([2**31]), np.array([1]))


def _split(g: Graph, z: str, parts: int, units: int, axis: int = -1) -> list[str]:
    return g.ops("Split", parts, z, np.array([units] * parts), axis=axis)


def _product(g: Graph, *factors: str) -> str:
    """Return the product of several values."""
    name = factors[0]
    for factor in factors[1:]:
        name = g.op("Mul", name, factor)
    return name


def _less_than_one(g: Graph, x: str) -> str:
    return g.op("Sub", 1.0, x)


def _transposed(g: Graph, own: dict[str, str], dh: str) -> str:
    """Return dh W_hᵀ."""
    return g.op("Gemm", dh, own["recurrent_weight"], transB=1)


def _recurrent_gradient(g: Graph, layer: Recurrent, walk: Walk, dh_rows: str) -> str:
    """Return Σ h(t-1)ᵀ dh(t)."""
    return g.op("Gemm", g.reshape(walk.before[0], -1, int(layer.units)), dh_rows, transA=1)


# ------------------------------------------------------------------------------------------------------------- cells

States = Sequence[str]


def _rnn(g: Graph, layer: Any, own: dict[str, str], z: str, before: States) -> tuple[list[str], str]:
    """h = f(z + h W_h)."""
    h = g.op(layer.nonlinearity.capitalize(), g.op("Add", z, g.op("MatMul", before[0], own["recurrent_weight"])))
    return [h], g.op("Identity", h)


def _rnn_back(g: Graph, layer: Any, own: dict[str, str], deltas: States, before: States, after: States, gates: str
              ) -> tuple[list[str], str, str]:  # fmt: skip
    """dz = dh (1 - h²); for relu, dh where h > 0."""
    if layer.nonlinearity == "tanh":
        dz = _product(g, deltas[0], _less_than_one(g, _product(g, gates, gates)))
    else:
        dz = g.op("Where", g.op("Greater", gates, 0.0), deltas[0], 0.0)
    return [_transposed(g, own, dz)], dz, dz


def _lstm(g: Graph, layer: Any, own: dict[str, str], z: str, before: States) -> tuple[list[str], str]:
    """c = f c + i g, h = o tanh(c)."""
    h, c = before
    parts = _split(g, g.op("Add", z, g.op("MatMul", h, own["recurrent_weight"])), 4, int(layer.units))
    i, f, new, o = (g.op("Tanh" if place == 2 else "Sigmoid", part) for place, part in enumerate(parts))
    c = g.op("Add", _product(g, f, c), _product(g, i, new))
    return [_product(g, o, g.op("Tanh", c)), c], g.op("Concat", i, f, new, o, axis=-1)


def _lstm_back(g: Graph, layer: Any, own: dict[str, str], deltas: States, before: States, after: States, gates: str
               ) -> tuple[list[str], str, str]:  # fmt: skip
    """dc = dc + dh o (1 - tanh²(c)), then the four deltas of z; dc(t-1) = dc f."""
    (dh, dc), (i, f, new, o) = deltas, _split(g, gates, 4, int(layer.units))
    shown = g.op("Tanh", after[1])
    dc = g.op("Add", dc, _product(g, dh, o, _less_than_one(g, _product(g, shown, shown))))
    dz = g.op("Concat", _product(g, dc, new, i, _less_than_one(g, i)),
              _product(g, dc, before[1], f, _less_than_one(g, f)),
              _product(g, dc, i, _less_than_one(g, _product(g, new, new))),
              _product(g, dh, shown, o, _less_than_one(g, o)), axis=-1)  # fmt: skip
    return [_transposed(g, own, dz), _product(g, dc, f)], dz, dz


def _gru(g: Graph, layer: Any, own: dict[str, str], z: str, before: States) -> tuple[list[str], str]:
    """h = (1 - u) n + u h, the reset gate before or after the product."""
    (h,), units, weight = before, int(layer.units), own["recurrent_weight"]
    ar, au, an = _split(g, z, 3, units)
    if layer.reset == "before":
        gate_weight, new_weight = g.ops("Split", 2, weight, np.array([2 * units, units]), axis=1)
        hr, hu = _split(g, g.op("MatMul", h, gate_weight), 2, units)
        r = g.op("Sigmoid", g.op("Add", ar, hr))
        q = _product(g, r, h)
        n = g.op("Tanh", g.op("Add", an, g.op("MatMul", q, new_weight)))
    else:
        hr, hu, q = _split(g, g.op("MatMul", h, weight), 3, units)
        q = g.op("Add", q, own["recurrent_bias"]) if "recurrent_bias" in own else q
        r = g.op("Sigmoid", g.op("Add", ar, hr))
        n = g.op("Tanh", g.op("Add", an, _product(g, r, q)))
    u = g.op("Sigmoid", g.op("Add", au, hu))
    after = g.op("Add", _product(g, _less_than_one(g, u), n), _product(g, u, h))
    return [after], g.op("Concat", r, u, n, q, axis=-1)


def _gru_back(g: Graph, layer: Any, own: dict[str, str], deltas: States, before: States, after: States, gates: str
              ) -> tuple[list[str], str, str]:  # fmt: skip
    """From dh to the deltas of the three parts of z and of h W_h, whose part for n passes through the reset gate."""
    (dh,), (h,), units = deltas, before, int(layer.units)
    r, u, n, q = _split(g, gates, 4, units)
    dn = _product(g, dh, _less_than_one(g, u), _less_than_one(g, _product(g, n, n)))
    du = _product(g, dh, g.op("Sub", h, n), u, _less_than_one(g, u))
    kept = _product(g, dh, u)
    if layer.reset == "before":
        gate_weight, new_weight = g.ops("Split", 2, own["recurrent_weight"], np.array([2 * units, units]), axis=1)
        dq = g.op("Gemm", dn, new_weight, transB=1)
        both = g.op("Concat", _product(g, dq, h, r, _less_than_one(g, r)), du, axis=-1)
        earlier = g.op("Sum", kept, _product(g, dq, r), g.op("Gemm", both, gate_weight, transB=1))
        dz = g.op("Concat", both, dn, axis=-1)
        return [earlier], dz, dz
    dr = _product(g, dn, q, r, _less_than_one(g, r))
    through = g.op("Concat", dr, du, _product(g, dn, r), axis=-1)
    earlier = g.op("Add", kept, _transposed(g, own, through))
    return [earlier], g.op("Concat", dr, du, dn, axis=-1), through


def _gru_gradient(g: Graph, layer: Any, walk: Walk, dh_rows: str) -> str:
    """Return Σ h(t-1)ᵀ dh(t); with the reset before the product, the weights of n multiply r h(t-1)."""
    if layer.reset == "after":
        return _recurrent_gradient(g, layer, walk, dh_rows)
    units = int(layer.units)
    both, dn = g.ops("Split", 2, dh_rows, np.array([2 * units, units]), axis=1)
    seen = _last(g, g.reshape(walk.gates, -1, 4 * units), units)
    return g.op("Concat", _recurrent_gradient(g, layer, walk, both), g.op("Gemm", seen, dn, transA=1), axis=1)


class Cell(NamedTuple):
    """The steps of one kind of layer, and the gradient of its recurrent weight."""

    step: Callable[..., tuple[list[str], str]]
    step_back: Callable[..., tuple[list[str], str, str]]
    recurrent_gradient: Callable[..., str] = _recurrent_gradient


CELLS: dict[type, Cell] = {
    kinds.RNN: Cell(_rnn, _rnn_back),
    kinds.LSTM: Cell(_lstm, _lstm_back),
    kinds.GRU: Cell(_gru, _gru_back, _gru_gradient),
}
