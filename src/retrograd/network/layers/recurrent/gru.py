"""The gated recurrent unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.native import recurrence
from retrograd.native.matrix import transposed_product
from retrograd.network.equations import without_bias
from retrograd.network.layer import Equations, Init, Input, Params, Spec, examples, layers
from retrograd.network.layers.activations.sigmoid import logistic
from retrograd.network.layers.recurrent.recurrent import Recurrent
from retrograd.network.layers.recurrent.through_time import States, Walk


@layers.register(
    "gru",
    examples=examples(
        ({"units": 3}, [(2, 4, 2)]),
        ({"units": 2, "output": "sequence"}, [(3, 3, 2), Input((3, 3), "mask")]),
        ({"units": 2, "bidirectional": True, "output": "all"}, [(2, 3, 2), Input((2, 3), "mask"), (2, 4)]),
        ({"units": 1, "bias": False, "output": "all"}, [(1, 1, 1)]),
        (
            {"units": 2, "reset": "before", "bidirectional": True, "output": "all"},
            [(2, 3, 2), Input((2, 3), "mask"), (2, 4)],
        ),
    ),
)
@dataclass(frozen=True)
class GRU(Recurrent):
    """Let one gate decide how much of the state is kept, and another how much of it the new value sees.

        (r, z) = sigmoid of (x(t) W + h(t-1) W_h + b), their thirds
        n = tanh(x(t) W_n + b_n + r (h(t-1) W_hn + b_hn))
        h(t) = (1 - z) n + z h(t-1)

    Shapes:  x [batch, time, features], [mask [batch, time]], [h(0) [batch, units]]
             -> last [batch, units] or sequence [batch, time, units] (both directions: twice the units, side by side)
    Params:  input_weight [features, 3 units], recurrent_weight [units, 3 units], bias [3 units], in the order r, z, n;
             recurrent_bias [units], b_hn; those of the reverse direction are prefixed with `reverse_`
    Tape:    x, the gates, h W_hn + b_hn and h at each step, time first
    Raises:  ShapeError if x is not a sequence, or a mask or state does not fit it.
    See:     Cho et al. 2014, arXiv:1406.1078, with the reset after the matrix product as in PyTorch and Keras (ONNX
             and the paper: before, here with `reset: before`, n = tanh(x(t) W_n + b_n + (r h(t-1)) W_hn)). For r and z
             `bias` is the sum of PyTorch's two. Masks and `truncate` as for `rnn`.
    """

    reset: Annotated[
        Literal["after", "before"],
        Words("whether the reset gate acts after the matrix product", why="as in PyTorch, Keras"),
    ] = "after"

    gates = 3
    equations = Equations(
        forward="r, z = σ(x(t) W + h(t-1) W_h + b); n = tanh(x(t) W_n + b_n + r q), q = h(t-1) W_hn + b_hn; "
        "h(t) = (1 - z) n + z h(t-1)",
        backward=(
            "da_n = dh (1 - z) (1 - n²), dq = da_n r",
            "da_r = da_n q r (1 - r), da_z = dh (h(t-1) - n) z (1 - z)",
            "dh(t-1) = dy(t-1) + dh z + (da_r, da_z, dq) W_hᵀ",
            "dx(t) = (da_r, da_z, da_n) Wᵀ",
            "dW = Σ x(t)ᵀ (da_r, da_z, da_n), dW_h = Σ h(t-1)ᵀ (da_r, da_z, dq)",
        ),
        latex_forward=r"n_t = \tanh(x_t W_n + b_n + r_t \odot (h_{t-1} W_{hn} + b_{hn})), \quad "
        r"h_t = (1 - z_t) \odot n_t + z_t \odot h_{t-1}",
        latex_backward=(
            r"\delta_{n} = \delta_{h_t} \odot (1 - z_t) \odot (1 - n_t^2), \quad \delta_q = \delta_n \odot r_t",
            r"\delta_{h_{t-1}} = \delta_{y_{t-1}} + \delta_{h_t} \odot z_t + (\delta_r, \delta_z, \delta_q) W_h^\top",
        ),
    )

    @override
    def formulas(self) -> Equations | None:
        if self.reset == "after":
            return super().formulas()
        before = Equations(
            forward="r, z = σ(x(t) W + h(t-1) W_h + b); n = tanh(x(t) W_n + (r h(t-1)) W_hn + b_n); "
            "h(t) = (1 - z) n + z h(t-1)",
            backward=(
                "da_n = dh (1 - z) (1 - n²), dq = da_n W_hnᵀ",
                "da_r = dq h(t-1) r (1 - r), da_z = dh (h(t-1) - n) z (1 - z)",
                "dh(t-1) = dy(t-1) + dh z + dq r + (da_r, da_z) W_hᵀ",
                "dx(t) = (da_r, da_z, da_n) Wᵀ",
                "dW = Σ x(t)ᵀ (da_r, da_z, da_n), dW_h = Σ h(t-1)ᵀ (da_r, da_z), dW_hn = Σ (r h(t-1))ᵀ da_n",
            ),
            latex_forward=r"n_t = \tanh(x_t W_n + (r_t \odot h_{t-1}) W_{hn} + b_n), \quad "
            r"h_t = (1 - z_t) \odot n_t + z_t \odot h_{t-1}",
            latex_backward=(
                r"\delta_{n} = \delta_{h_t} \odot (1 - z_t) \odot (1 - n_t^2), \quad \delta_q = \delta_n W_{hn}^\top",
                r"\delta_{h_{t-1}} = \delta_{y_{t-1}} + \delta_{h_t} \odot z_t + \delta_q \odot r_t"
                r" + (\delta_r, \delta_z) W_h^\top",
            ),
        )
        return before if self.bias else without_bias(before)

    @property
    def native(self) -> recurrence.Loop | None:
        """The kernels of this cell."""
        return recurrence.GRU if self.reset == "after" else None

    @override
    def init(self, key: Array, x: Spec, *others: Spec) -> Init:
        params = super().init(key, x, *others).params
        for prefix in self.prefixes if self.bias and self.reset == "after" else ():
            params[f"{prefix}recurrent_bias"] = jnp.zeros(int(self.units), jnp.float32)
        return Init(params)

    def step(self, params: Params, z: Array, before: States) -> tuple[States, Any]:
        """h(t) = (1 - z) n + z h(t-1)."""
        (h,) = before
        ar, az, an = jnp.split(z, 3, -1)
        if self.reset == "before":
            gates, new = jnp.split(params["recurrent_weight"], [2 * h.shape[-1]], -1)
            r, u = jnp.split(logistic(z[..., : gates.shape[-1]] + h @ gates), 2, -1)
            n = jnp.tanh(an + (r * h) @ new)
            return ((1 - u) * n + u * h,), jnp.concatenate([r, u, n, r * h], -1)
        hr, hz, q = jnp.split(h @ params["recurrent_weight"], 3, -1)
        q = q + params["recurrent_bias"] if "recurrent_bias" in params else q
        r, u = logistic(ar + hr), logistic(az + hz)
        n = jnp.tanh(an + r * q)
        return ((1 - u) * n + u * h,), jnp.concatenate([r, u, n, q], -1)

    def step_back(
        self, transposed: Array, deltas: States, before: States, after: States, saved: Any
    ) -> tuple[States, Array]:
        """Return the deltas of the three parts of z from dh; dh(t-1) = dh z + (da_r, da_z, dq) W_hᵀ."""
        (dh,), (h,) = deltas, before
        r, u, n, q = jnp.split(saved, 4, -1)
        dn = dh * (1 - u) * (1 - n * n)
        if self.reset == "before":
            gates, new = jnp.split(transposed, [2 * h.shape[-1]], 0)
            dq = dn @ new
            both = jnp.concatenate([dq * h * r * (1 - r), dh * (h - n) * u * (1 - u)], -1)
            return (dh * u + dq * r + both @ gates,), jnp.concatenate([both, dn], -1)
        dr, du = dn * q * r * (1 - r), dh * (h - n) * u * (1 - u)
        earlier = dh * u + jnp.concatenate([dr, du, dn * r], -1) @ transposed
        return (earlier,), jnp.concatenate([dr, du, dn], -1)

    def recurrent_deltas(self, dz: Array, saved: Any) -> Array:
        """The state's part of n passes through the reset gate: dq = da_n r, unless the reset acts before."""
        if self.reset == "before":
            return dz
        units = saved.shape[-1] // 4
        return jnp.concatenate([dz[..., : 2 * units], dz[..., 2 * units :] * saved[..., :units]], -1)

    def _gradients(self, params: Params, prefix: str, xt: Array, taken: Walk, dz: Array) -> Params:
        """With the reset before the product, the weights of n multiply r h(t-1): dW_hn = Σ (r h(t-1))ᵀ da_n."""
        grads = super()._gradients(params, prefix, xt, taken, dz)
        if self.reset == "before":
            name, units = f"{prefix}recurrent_weight", taken.saved.shape[-1] // 4
            new = transposed_product(taken.saved[..., -units:], dz[..., -units:], params[name].dtype)
            grads[name] = jnp.concatenate([grads[name][:, :-units], new], -1)
        return grads
