"""What recurrent layers share: a state that is carried from step to step, and backpropagation through time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from retrograd.base.errors import DataTypeError, ShapeError
from retrograd.base.schema import PositiveInt
from retrograd.network.initializers import GlorotUniform, Initial, InitialOrNone, Orthogonal, Zeros, draw
from retrograd.network.layer import (
    Backward,
    Context,
    Forward,
    Init,
    Layer,
    Params,
    Spec,
    State,
    Static,
    Units,
    expect_features,
    rows,
)
from retrograd.network.layers.dense import MANY_ROWS

GLOROT, ORTHOGONAL, ZEROS = GlorotUniform(), Orthogonal(), Zeros()
REVERSE = "reverse_"  # begins the names of the parameters of the direction that reads from the end

States = tuple[Array, ...]  # the hidden state, and whatever a cell keeps beside it, each [batch, units]


class Given(NamedTuple):
    """The inputs of a recurrent layer, time first."""

    x: Array  # [time, batch, features]
    mask: Array | None  # [time, batch, 1]
    cut: Array | None  # [time, 2]: whether the derivative ends before this step, reading forward and from the end


class Direction(NamedTuple):
    """What one direction leaves for backward."""

    initial: States
    states: States  # after each step, [time, batch, units]
    saved: Any  # what the cell saved at each step


@dataclass(frozen=True)
class Recurrent(Layer):
    """A state that each step of a sequence updates; subclasses say by which formula.

    `output` is what the next layer reads: the `last` state (one vector an example), the `sequence` of all of them (for
    another recurrent layer, or an answer at each step), or `all`: a dict whose parts `inputs: [lstm.last]` can name.
    """

    units: Units
    bidirectional: bool = False
    output: Literal["last", "sequence", "all"] = "last"
    truncate: PositiveInt | None = None
    input_weight: Initial = GLOROT
    recurrent_weight: Initial = ORTHOGONAL
    bias: InitialOrNone = ZEROS

    gates: ClassVar[int] = 1
    state_parts: ClassVar[tuple[str, ...]] = ("last",)

    @property
    def surrogate(self) -> str:
        """Truncation leaves out the derivatives that reach further back."""
        return f"derivatives are not carried across the borders of {self.truncate} steps" if self.truncate else ""

    # ------------------------------------------------------------------------------------------- what a cell says

    def step(self, own: Params, z: Array, before: States) -> tuple[States, Any]:
        """Return the states after one step, and what backward needs. z = x W + b holds the input's part."""
        raise NotImplementedError(f"{type(self).__name__} has no step")

    def step_back(self, transposed: Array, deltas: States, before: States, after: States, saved: Any) -> Any:
        """Return the deltas of the states before this step, and of z."""
        raise NotImplementedError(f"{type(self).__name__} has no step_back")

    def recurrent_deltas(self, dz: Array, saved: Any) -> Array:
        """Return the deltas of h(t-1) W_h, from those of z: the same where both are simply added."""
        return dz

    # ----------------------------------------------------------------------------------------------------- the layer

    def init(self, key: Array, x: Spec, *others: Spec) -> Init:  # noqa: D102
        params: Params = {}
        for prefix in self.prefixes:
            params |= {prefix + name: value for name, value in self.init_direction(key, prefix, x.shape[-1]).items()}
        return Init(params)

    def init_direction(self, key: Array, prefix: str, features: int) -> Params:
        """Return the first parameters of one direction. The gates stand side by side in one matrix."""
        units = int(self.units)
        width = self.gates * units
        params = {
            "input_weight": draw(self.input_weight or GLOROT, key, f"{prefix}input_weight", (features, width)),
            "recurrent_weight": draw(
                self.recurrent_weight or ORTHOGONAL, key, f"{prefix}recurrent_weight", (units, width)
            ),
        }
        if self.bias:
            params["bias"] = draw(self.bias, key, f"{prefix}bias", (width,))
        return params

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What the names of each direction's parameters begin with."""
        return ("", REVERSE) if self.bidirectional else ("",)

    def forward(self, params: Params, state: State, ctx: Context, x: Array, *others: Array) -> Forward:  # noqa: D102
        given, initial = self._arranged(params, x, others)
        run = [
            self._read(direction(params, prefix), given, parts, prefix == REVERSE)
            for prefix, parts in zip(self.prefixes, initial, strict=True)
        ]
        sequence = jnp.concatenate([each.states[0] for each in run], -1)
        if given.mask is not None:
            sequence = jnp.where(given.mask, sequence, jnp.zeros_like(sequence))
        ends = [[part[0 if i else -1] for part in each.states] for i, each in enumerate(run)]
        parts = {name: jnp.concatenate(each, -1) for name, each in zip(self.state_parts, zip(*ends), strict=True)}
        parts["sequence"] = sequence.swapaxes(0, 1)
        y = parts if self.output == "all" else parts[self.output]
        return Forward(y, (given, run, Static([other.dtype.name for other in others])))

    def backward(self, params: Params, tape: Any, dy: Any) -> Backward:
        """Carry the deltas of the states from the last step to the first; then all weight gradients at once."""
        given, run, static = tape
        parts = dy if self.output == "all" else {self.output: dy}
        sequence = parts.get("sequence")
        if sequence is not None:
            sequence = sequence.swapaxes(0, 1)
            if given.mask is not None:
                sequence = jnp.where(given.mask, sequence, jnp.zeros_like(sequence))
        grads: Params = {}
        dx, dinitial = jnp.zeros_like(given.x), []
        for i, (prefix, each) in enumerate(zip(self.prefixes, run, strict=True)):

            def own(part: Array | None, i: int = i) -> Array | None:
                return None if part is None else jnp.split(part, len(run), -1)[i]

            last = [own(parts.get(name)) for name in self.state_parts]
            deltas = tuple(jnp.zeros_like(s) if d is None else d for s, d in zip(each.initial, last, strict=True))
            theirs = direction(params, prefix)
            before, dz = self._read_back(theirs, given, each, deltas, own(sequence), bool(i))
            dinitial.append(before)
            dx = dx + (rows(dz) @ theirs["input_weight"].T.astype(dz.dtype)).reshape(dx.shape)
            grads |= {prefix + name: grad for name, grad in self.gradients(theirs, given.x, each, dz, bool(i)).items()}
        dstates = iter([jnp.concatenate(parts, -1) for parts in zip(*dinitial, strict=True)])
        behind = tuple(None if name == "bool" else next(dstates) for name in static.value)
        return Backward((dx.swapaxes(0, 1), *behind), grads)
