"""The loop over the steps of a sequence and its reverse: backpropagation through time, for any cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

States = tuple[Array, ...]  # the hidden state, and any further states of the cell, each [batch, units]


class Borders(NamedTuple):
    """Where a state is carried over unchanged, and where its derivative ends; None: nowhere."""

    mask: Array | None = None  # [time, batch, 1]: false where a step is missing
    cut: Array | None = None  # [time]: true where the derivative does not reach back from this step


class Walk(NamedTuple):
    """The tape of one pass through the steps."""

    initial: States
    states: States  # after each step, [time, batch, units]
    saved: Any  # the cell's tape at each step
    borders: Borders


def walk(
    step: Callable[[Array, States], tuple[States, Any]], z: Array, initial: States, borders: Borders, reverse: bool
) -> tuple[States, Walk]:
    """Run the states from step to step, from the end if `reverse`; return the final ones and the tape.

    z [time, batch, ...] is the input's part of every step, computed before the loop in one product.
    """

    def one(before: States, now: tuple[Array, Borders]) -> Any:
        z, (mask, cut) = now
        if cut is not None:
            before = _where(cut, tuple(map(lax.stop_gradient, before)), before)
        after, saved = step(z, before)
        if mask is not None:
            after = _where(mask, after, before)
        return after, (after, saved)

    final, (states, saved) = lax.scan(one, initial, (z, borders), reverse=reverse)
    return final, Walk(initial, states, saved, borders)


def walk_back(
    step_back: Callable[[States, States, States, Any], tuple[States, Array]],
    taken: Walk,
    dfinal: States,
    dsequence: Array | None,
    reverse: bool,
) -> tuple[States, Array]:
    """Run the deltas of the states in reverse; return those of the initial states, and of z at each step.

    Only the deltas of the states pass from step to step: every weight gradient is one product after the loop.
    """

    def one(deltas: States, now: Any) -> Any:
        here, before, after, saved, (mask, cut) = now
        if here is not None:  # where a step is missing, the sequence is 0 regardless of the state
            here = here if mask is None else jnp.where(mask, here, jnp.zeros_like(here))
            deltas = (deltas[0] + here, *deltas[1:])
        earlier, dz = step_back(deltas, before, after, saved)
        if mask is not None:
            earlier, dz = _where(mask, earlier, deltas), jnp.where(mask, dz, jnp.zeros_like(dz))
        if cut is not None:
            earlier = _where(cut, tuple(map(jnp.zeros_like, earlier)), earlier)
        return earlier, dz

    before = tuple(states_before(*each, reverse) for each in zip(taken.initial, taken.states, strict=True))
    arrays = (dsequence, before, taken.states, taken.saved, taken.borders)
    return lax.scan(one, dfinal, arrays, reverse=not reverse)


def states_before(first: Array, states: Array, reverse: bool) -> Array:
    """Return the state before each step, [time, batch, units], given those after each step and the initial one."""
    return jnp.concatenate([states[1:], first[None]] if reverse else [first[None], states[:-1]])


def cuts(time: int, every: int, reverse: bool) -> Array:
    """Return [time]: true at every k-th step, counted in reading direction, except the first."""
    index = jnp.arange(time)
    index = time - 1 - index if reverse else index
    return (index > 0) & (index % every == 0)


def _where(condition: Array, these: States, those: States) -> States:
    return tuple(jnp.where(condition, a, b) for a, b in zip(these, those, strict=True))
