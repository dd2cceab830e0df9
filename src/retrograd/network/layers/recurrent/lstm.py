"""Long short-term memory."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import Problem
from retrograd.base.quantities import Number, PositiveInt
from retrograd.base.sentence import entry_setting
from retrograd.native import recurrence
from retrograd.native.matrix import transposed_product
from retrograd.network.initializers import draw
from retrograd.network.layer import Equations, Init, Input, Params, Spec, examples, layers, rows
from retrograd.network.layers.activations.sigmoid import logistic
from retrograd.network.layers.recurrent.recurrent import GLOROT, REVERSE, Recurrent
from retrograd.network.layers.recurrent.through_time import States, Walk, states_before

NOTHING: Params = {}


@layers.register(
    "lstm",
    examples=examples(
        ({"units": 3}, [(2, 4, 2)]),
        ({"units": 2, "output": "sequence", "forget_bias": 1.0}, [(3, 3, 2), Input((3, 3), "mask")]),
        ({"units": 2, "bidirectional": True, "output": "all"}, [(2, 3, 2), Input((2, 3), "mask"), (2, 4), (2, 4)]),
        ({"units": 1, "bias": False, "output": "all"}, [(1, 1, 1)]),
        (
            {"units": 3, "projection": 2, "peepholes": True, "bidirectional": True, "output": "all"},
            [(2, 3, 2), Input((2, 3), "mask"), (2, 4), (2, 6)],
        ),
        ({"units": 2, "projection": 2}, [(1, 3, 2)]),
        ({"units": 2, "peepholes": True, "backwards": True, "output": "sequence"}, [(2, 2, 1)]),
    ),
)
@dataclass(frozen=True)
class LSTM(Recurrent):
    """Keep a memory cell beside the state; gates decide what enters it, what it forgets and what it outputs.

        z(t) = x(t) W + h(t-1) W_h + b,  (i, f, o) = sigmoid of their quarters of z,  g = tanh of its own
        c(t) = f c(t-1) + i g,   h(t) = o tanh(c(t))

    With `peepholes` the gates i and f also see c(t-1), and o sees c(t), elementwise times a weight; with `projection`
    h(t) = (o tanh(c(t))) W_p has a different width.

    Shapes:  x [batch, time, features], [mask [batch, time]], [h(0) and c(0), each [batch, units]]
             -> last [batch, units] or sequence [batch, time, units]; `all` holds both, and the last `cell`
             (both directions: twice the units, side by side)
    Params:  input_weight [features, 4 units], recurrent_weight [units, 4 units], bias [4 units], in the order
             i, f, g, o; peephole [3 units], of i, f, o; projection_weight [units, projection]; those of the reverse
             direction are prefixed with `reverse_`
    Tape:    x, the gates, h and c at each step, time first
    Raises:  ShapeError if x is not a sequence, or a mask or state does not fit it.
    See:     Hochreiter & Schmidhuber 1997. Gate order as in PyTorch and Keras (ONNX: i, o, f, c); `bias` is the sum of
             PyTorch's two; Keras starts with `forget_bias: 1`. Masks and `truncate` as for `rnn`.
             Peepholes: Gers & Schmidhuber 2000, zeros at the start. Projection: Sak et al. 2014, PyTorch's proj_size.
    """

    forget_bias: Annotated[
        Number,
        Words(
            "added to the forget gate's bias at the start",
            more="remembers from the start",
            less="forgets sooner at the start",
            why="0, PyTorch's; Keras has 1",
        ),
    ] = 0.0
    projection: Annotated[
        PositiveInt | None,
        Words(
            "width to which the output state is projected",
            more="carries more",
            less="faster",
            why="none: the output state has `units` values",
        ),
    ] = None
    peepholes: Annotated[
        bool,
        Words("whether the gates see the memory cell", why="false: only its output; true helps with precise timing"),
    ] = False

    gates = 4
    states = ("last", "cell")
    equations = Equations(
        forward="z = x(t) W + h(t-1) W_h + b; i, f, o = σ(z_i, z_f, z_o), g = tanh(z_g); "
        "c(t) = f c(t-1) + i g; h(t) = o tanh(c(t))",
        backward=(
            "dh(t) = dy(t) + dz(t+1) W_hᵀ",
            "dc(t) = dc(t+1) f(t+1) + dh o (1 - tanh²(c))",
            "dz_i = dc g i (1 - i), dz_f = dc c(t-1) f (1 - f), dz_g = dc i (1 - g²), dz_o = dh tanh(c) o (1 - o)",
            "dx(t) = dz(t) Wᵀ",
            "dW = Σ x(t)ᵀ dz(t), dW_h = Σ h(t-1)ᵀ dz(t), db = Σ dz(t)",
            "with peepholes z_i, z_f have p c(t-1) added, z_o p c(t): dp = Σ dz c, and dc gets p dz of each",
            "with projection h(t) = m(t) W_p, m = o tanh(c): dm = dh W_pᵀ in the place of dh, dW_p = Σ m(t)ᵀ dh(t)",
        ),
        latex_forward=r"c_t = f_t \odot c_{t-1} + i_t \odot g_t, \quad h_t = o_t \odot \tanh(c_t)",
        latex_backward=(
            r"\delta_{h_t} = \delta_{y_t} + \delta_{z_{t+1}} W_h^\top",
            r"\delta_{c_t} = \delta_{c_{t+1}} \odot f_{t+1} + \delta_{h_t} \odot o_t \odot (1 - \tanh^2 c_t)",
            r"\nabla_{W_h} = \textstyle\sum_t h_{t-1}^\top \delta_{z_t}",
        ),
    )

    @override
    def rules(self) -> Iterator[Problem]:
        yield from super().rules()
        if self.forget_bias and not self.bias:
            yield Problem("forget_bias", "there is no bias to add it to", "remove " + entry_setting("bias", "false"))

    @property
    def native(self) -> recurrence.Loop | None:
        """The kernels of the plain cell."""
        return None if self.projection or self.peepholes else recurrence.LSTM

    @property
    def widths(self) -> tuple[int, ...]:
        """The width of each state, in one direction."""
        return (self.projection or int(self.units), int(self.units))

    @override
    def init(self, key: Array, x: Spec, *others: Spec) -> Init:
        params = super().init(key, x, *others).params
        forget = slice(int(self.units), 2 * int(self.units))
        biases = {name: b.at[forget].add(self.forget_bias) for name, b in params.items() if name.endswith("bias")}
        params |= biases
        for prefix in self.prefixes:
            if self.peepholes:
                params[f"{prefix}peephole"] = jnp.zeros(3 * int(self.units), jnp.float32)
            if self.projection:
                name = f"{prefix}projection_weight"
                params[name] = draw(self.input_weight or GLOROT, key, name, (int(self.units), self.projection))
        return Init(params)

    def step(self, params: Params, z: Array, before: States) -> tuple[States, Any]:
        """c(t) = f c(t-1) + i g, h(t) = o tanh(c(t))."""
        h, c = before
        i, f, g, o = jnp.split(z + h @ params["recurrent_weight"], 4, -1)
        if self.peepholes:
            for_i, for_f, for_o = jnp.split(params["peephole"], 3)
            i, f = i + for_i * c, f + for_f * c
        i, f, g = logistic(i), logistic(f), jnp.tanh(g)
        c = f * c + i * g
        o = logistic(o + for_o * c if self.peepholes else o)
        h = o * jnp.tanh(c)
        h = h @ params["projection_weight"] if self.projection else h
        return (h, c), jnp.concatenate([i, f, g, o], -1)

    @override
    def stepping_back(self, own: Params, transposed: Array) -> Callable[..., tuple[States, Array]]:
        return functools.partial(self.step_back, transposed, own=own)

    def step_back(
        self, transposed: Array, deltas: States, before: States, after: States, saved: Any, own: Params = NOTHING
    ) -> tuple[States, Array]:
        """Return the four deltas of z from dh and dc; dh(t-1) = dz W_hᵀ, dc(t-1) = dc f."""
        (dh, dc), i_f_g_o = deltas, jnp.split(saved, 4, -1)
        i, f, g, o = i_f_g_o
        shown = jnp.tanh(after[1])
        dm = dh @ own["projection_weight"].T if self.projection else dh
        dc = dc + dm * o * (1 - shown * shown)
        do = dm * shown * o * (1 - o)
        if self.peepholes:
            for_i, for_f, for_o = jnp.split(own["peephole"], 3)
            dc = dc + do * for_o
        di, df = dc * g * i * (1 - i), dc * before[1] * f * (1 - f)
        dz = jnp.concatenate([di, df, dc * i * (1 - g * g), do], -1)
        dc = dc * f + di * for_i + df * for_f if self.peepholes else dc * f
        return (dz @ transposed, dc), jnp.concatenate([dz, dh], -1) if self.projection else dz

    @override
    def divided(self, dz: Array) -> tuple[Array, Array | None]:
        if not self.projection:
            return dz, None
        return dz[..., : -self.projection], dz[..., -self.projection :]

    @override
    def further_gradients(self, params: Params, prefix: str, taken: Walk, dz: Array, beside: Array | None) -> Params:
        grads: Params = {}
        cells, (di, df, _, do) = taken.states[1], jnp.split(dz, 4, -1)
        if self.peepholes:
            before = states_before(taken.initial[1], cells, prefix == REVERSE)
            name = f"{prefix}peephole"
            sums = [rows(each).sum(0, dtype=params[name].dtype) for each in (di * before, df * before, do * cells)]
            grads[name] = jnp.concatenate(sums)
        if beside is not None:
            name = f"{prefix}projection_weight"
            shown = jnp.split(taken.saved, 4, -1)[3] * jnp.tanh(cells)
            grads[name] = transposed_product(shown, beside, params[name].dtype)
        return grads
