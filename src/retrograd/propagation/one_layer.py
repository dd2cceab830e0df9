"""Running one layer forward and backward, with its own backward pass or one derived by `jax.vjp`."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from retrograd.network.layer import Backward, Context, Forward, Layer, Params, State, Static, expect
from retrograd.propagation.empty import backward_of_no_rows, explaining_empty_axes, forward_of_no_rows


def run_layer(layer: Layer, params: Params, state: State, ctx: Context, inputs: tuple[Any, ...]) -> Forward:
    """Run a layer forward; without its own backward pass, the tape is that of `jax.vjp`."""
    with explaining_empty_axes(inputs):
        empty = forward_of_no_rows(layer, params, state, ctx, inputs)
        if empty is not None:
            return empty
        if layer.derivation == "written":
            return expect(Forward, layer.forward(params, state, ctx, *inputs))
        return _run_derived(layer, params, state, ctx, inputs)


def adjoint(layer: Layer, params: Params, tape: Any, dy: Any) -> Backward:
    """Run a layer backward on the tape from `run_layer`."""
    empty = backward_of_no_rows(params, tape)
    if empty is not None:
        return empty
    with explaining_empty_axes(dy, tape):
        if layer.derivation == "written":
            return expect(Backward, layer.backward(params, tape, dy))
        return _adjoint_derived(tape, dy)


def _run_derived(layer: Layer, params: Params, state: State, ctx: Context, inputs: tuple[Any, ...]) -> Forward:
    smooth = tuple(i for i, x in enumerate(inputs) if jnp.issubdtype(jnp.result_type(x), jnp.inexact))

    def run(params: Params, *smooth_inputs: Any) -> tuple[Any, State]:
        replaced = dict(zip(smooth, smooth_inputs, strict=True))
        step = expect(Forward, layer.forward(params, state, ctx, *(replaced.get(i, x) for i, x in enumerate(inputs))))
        return step.y, step.state

    y, pull_back, new_state = jax.vjp(run, params, *(inputs[i] for i in smooth), has_aux=True)
    parts = tuple((part, value.shape, value.dtype) for part, value in y.items()) if isinstance(y, dict) else ()
    return Forward(y, (pull_back, Static((smooth, len(inputs), parts))), new_state)


def _adjoint_derived(tape: Any, dy: Any) -> Backward:
    pull_back, static = tape
    smooth, count, parts = static.value
    if parts:  # a part without a reader has no delta
        dy = {part: jnp.zeros(shape, dtype) if dy.get(part) is None else dy[part] for part, shape, dtype in parts}
    grads, *deltas = pull_back(dy)
    delta_of = dict(zip(smooth, deltas, strict=True))
    return Backward(tuple(delta_of.get(i) for i in range(count)), grads)
