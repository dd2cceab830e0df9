"""The plain recurrent layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.network.layer import Equations, Input, Params, examples, layers
from retrograd.network.layers.recurrent.recurrent import Recurrent
from retrograd.network.layers.recurrent.through_time import States


@layers.register(
    "rnn",
    examples=examples(
        ({"units": 3}, [(2, 4, 2)]),
        ({"units": 2, "output": "sequence", "nonlinearity": "relu"}, [(3, 3, 2), Input((3, 3), "mask")]),
        ({"units": 2, "bidirectional": True, "output": "all"}, [(2, 3, 2), Input((2, 3), "mask"), (2, 4)]),
        ({"units": 1, "bias": False, "output": "all"}, [(1, 1, 1)]),
        ({"units": 2, "truncate": 2, "bidirectional": True}, [(2, 5, 2), (2, 4)]),
        ({"units": 2, "bidirectional": True, "merge": "multiply", "output": "all"}, [(2, 3, 2), Input((2, 3), "mask")]),
        ({"units": 2, "backwards": True, "output": "sequence"}, [(1, 3, 2)]),
    ),
)
@dataclass(frozen=True)
class RNN(Recurrent):
    """Mix each step's input with the state, through tanh or relu.

        h(t) = tanh(x(t) W + h(t-1) W_h + b)

    Shapes:  x [batch, time, features], [mask [batch, time]], [h(0) [batch, units]]
             -> last [batch, units] or sequence [batch, time, units] (both directions: twice the units, side by side)
    Params:  input_weight [features, units], recurrent_weight [units, units], bias [units]; those of the reverse
             direction are prefixed with `reverse_`
    Tape:    x, h at each step, time first
    Raises:  ShapeError if x is not a sequence, or a mask or state does not fit it.
    See:     Elman 1990. `bias` is the sum of PyTorch's two. Where the mask is false the state is carried over unchanged
             and the sequence is 0: so `last` is the state after the last valid step, and the reverse direction starts
             there. `truncate: k` ends the derivative at every k-th step (Williams & Peng 1990).
    """

    nonlinearity: Annotated[
        Literal["tanh", "relu"], Words("the activation of the new state", why="tanh: the state stays bounded")
    ] = "tanh"

    equations = Equations(
        forward="h(t) = f(x(t) W + h(t-1) W_h + b), f = tanh or relu",
        backward=(
            "dz(t) = (dy(t) + dz(t+1) W_hᵀ) f', f' = 1 - h² (relu: h > 0)",
            "dx(t) = dz(t) Wᵀ",
            "dW = Σ x(t)ᵀ dz(t), dW_h = Σ h(t-1)ᵀ dz(t), db = Σ dz(t)",
        ),
        latex_forward=r"h_t = f(x_t W + h_{t-1} W_h + b)",
        latex_backward=(
            r"\delta_{z_t} = (\delta_{y_t} + \delta_{z_{t+1}} W_h^\top) \odot f'(z_t)",
            r"\nabla_{W_h} = \textstyle\sum_t h_{t-1}^\top \delta_{z_t}",
        ),
    )

    @override
    def formulas(self) -> Equations | None:
        general = super().formulas()
        assert general is not None
        f, slope = ("tanh", "1 - h²") if self.nonlinearity == "tanh" else ("relu", "1 where h > 0, else 0")
        return general._replace(
            forward=general.forward.replace("f(", f"{f}(").partition(", f = ")[0],
            backward=(general.backward[0].partition(", f' = ")[0] + f", f' = {slope}", *general.backward[1:]),
        )

    def step(self, params: Params, z: Array, before: States) -> tuple[States, Any]:
        """h(t) = f(z + h(t-1) W_h)."""
        z = z + before[0] @ params["recurrent_weight"]
        return (jnp.tanh(z) if self.nonlinearity == "tanh" else jnp.maximum(z, jnp.zeros_like(z)),), ()

    def step_back(
        self, transposed: Array, deltas: States, before: States, after: States, saved: Any
    ) -> tuple[States, Array]:
        """dz = dh f', dh(t-1) = dz W_hᵀ."""
        (dh,), (h,) = deltas, after
        dz = dh * (1 - h * h) if self.nonlinearity == "tanh" else jnp.where(h > 0, dh, jnp.zeros_like(dh))
        return (dz @ transposed,), dz
