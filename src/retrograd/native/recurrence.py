"""LSTM and GRU over whole sequences by native kernels: the loops, and then the gradients of the weights."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from retrograd.native.call import Kernel, Spec
from retrograd.native.matrix import FEW_ROWS

States = tuple[Array, ...]
Gradients = tuple[Array | None, Array, Array]  # by the weights of the input (if given), of the state, and by the bias
FEW_UNITS = 16  # with fewer, vector lanes are idle and XLA's loop is as fast
LARGE_GRADIENTS = 2**20  # numbers; each thread holds sums for all of them


class Loop(NamedTuple):
    """The two kernels of a cell. Sequences are [time, batch, ...], states [batch, units]."""

    kernel: Kernel
    back: Kernel
    gates: int  # of z

    def suits(self, z: Array, weight: Array, start: States) -> bool:
        """Return whether the kernels can take these arrays and are faster."""
        return self.kernel.suits(z, weight, *start) and weight.shape[0] >= FEW_UNITS

    def run(
        self, formula: Callable[..., Any], z: Array, own: Mapping[str, Array], start: States, mask: Array | None,
        reverse: bool,
    ) -> tuple[States, Array]:  # fmt: skip
        """Return the states after each step, and the gates; z has no bias yet.

        `formula(z, own, start, mask)` runs the same loop in XLA; mask [time, batch, 1] is false at padding.
        """
        weight = own["recurrent_weight"]
        units = weight.shape[0]
        names = ("bias", "recurrent_bias") if self.gates == 3 else ("bias",)
        widths = {"bias": self.gates * units, "recurrent_bias": units}
        biases = tuple(own.get(name, jnp.zeros(widths[name], z.dtype)) for name in names)

        def by_formula(z: Array, weight: Array, *rest: Array) -> tuple[Array, ...]:
            named = dict(zip(names, rest[: len(names)], strict=True))
            walked = formula(z, {"recurrent_weight": weight, **named}, rest[len(names) : -1], rest[-1][..., None] != 0)
            return (*walked[1].states, walked[1].saved)

        def specs(z: Array, *_: Array) -> list[Spec]:
            widths = [units] * len(start) + [4 * units]
            return [Spec((*z.shape[:2], width), z.dtype) for width in widths]

        arrays = (z, weight, *biases, *start, _present(mask, z))
        *states, gates = self.kernel(by_formula, specs, *arrays, reverse=int(reverse))
        return tuple(states), gates

    def run_back(
        self, formula: Callable[..., Any], taken: Any, weight: Array, dfinal: States, dsequence: Array | None,
        reverse: bool,
    ) -> tuple[States, Array]:  # fmt: skip
        """Return the deltas of the initial states and of z. `taken` is the record of the forward loop (a Walk).

        `formula(taken, weight, dfinal, dsequence)` runs backward in XLA. Only the last of the states is read: the
        cell of an LSTM, h of a GRU.
        """
        units, gates = weight.shape[0], taken.saved

        def by_formula(gates: Array, states: Array, first: Array, weight: Array, mask: Array, *deltas: Array) -> Any:
            dsequence, dfinal = deltas[0], deltas[1:]
            count = len(dfinal)
            borders = taken.borders._replace(mask=mask[..., None] != 0)
            walked = taken._replace(initial=(first,) * count, states=(states,) * count, saved=gates, borders=borders)
            dstart, dz = formula(walked, weight, dfinal, dsequence if len(dsequence) else None)
            return (dz, *dstart)

        def specs(gates: Array, *_: Array) -> list[Spec]:
            time, batch = gates.shape[:2]
            states = [Spec((batch, units), gates.dtype)] * len(dfinal)
            return [Spec((time, batch, self.gates * units), gates.dtype), *states]

        arriving = jnp.zeros((0, *gates.shape[1:2], units), gates.dtype) if dsequence is None else dsequence
        arrays = (gates, taken.states[-1], taken.initial[-1], weight, _present(taken.borders.mask, gates), arriving)
        dz, *dstart = self.back(by_formula, specs, *arrays, *dfinal, reverse=int(reverse))
        return tuple(dstart), dz


LSTM = Loop(
    Kernel("lstm", (1, None, None, 0, 0, 1), (1, 1, 1), ((0, 2),)),  # the gates overwrite z
    Kernel("lstm_back", (1, 1, 0, None, 1, 1, 0, 0), (1, 0, 0), ((0, 0),)),  # the deltas of z overwrite the gates
    4,
)
GRU = Loop(Kernel("gru", (1, None, None, None, 0, 1), (1, 1)), Kernel("gru_back", (1, 1, 0, None, 1, 1, 0), (1, 0)), 3)

GRADIENTS = Kernel("recurrent_gradients", (1, 0, 1, 1), (None, None, None))


def gradients_natively(formula: Callable[..., Gradients]) -> Callable[..., Gradients]:
    """Let a kernel compute gradients(x, first, states, dz, reverse, dtype) where it is faster than the formula."""

    @functools.wraps(formula)
    def gradients(x: Array | None, first: Array, states: Array, dz: Array, reverse: bool, dtype: Any) -> Gradients:
        nothing = jnp.zeros((*states.shape[:2], 0), states.dtype)
        features, units, width = (array.shape[-1] for array in (nothing if x is None else x, states, dz))
        few = units < FEW_UNITS or states.size < FEW_ROWS * units
        fits = dtype == jnp.float32 and GRADIENTS.suits(first, states, dz, *() if x is None else (x,))
        if few or not fits or (features + units) * width > LARGE_GRADIENTS:
            return formula(x, first, states, dz, reverse, dtype)

        def bound_formula(x: Array, *rest: Array) -> tuple[Array, ...]:
            dinput, *others = formula(x if features else None, *rest, reverse, dtype)
            return (jnp.zeros((0, width), dtype) if dinput is None else dinput, *others)

        def specs(*_: Array) -> list[Spec]:
            return [Spec(shape, dtype) for shape in ((features, width), (units, width), (width,))]

        sums = GRADIENTS(bound_formula, specs, nothing if x is None else x, first, states, dz, reverse=int(reverse))
        return (sums[0] if features else None, *sums[1:])

    return gradients


def _present(mask: Array | None, sequence: Array) -> Array:
    """Return the mask [time, batch] as numbers: 1 where there is a step."""
    return jnp.ones(sequence.shape[:2], sequence.dtype) if mask is None else mask[..., 0].astype(sequence.dtype)
