"""Where NaN or infinity came from: the steps are replayed one by one, and the bad one node by node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.base.errors import NonFiniteError
from retrograd.update.step import Stepper, TrainState

FIRST = "layer {} is the first non-finite: its"


def find_nonfinite(
    stepper: Stepper, train: TrainState, batches: Iterable[Mapping[str, Any]], kept: str
) -> NonFiniteError:
    """Return the error that names the step, the layer and the tensor where the first non-finite number appeared."""
    look = jax.jit(stepper.evaluate)
    for batch in batches:
        step = int(train.step) + 1
        result = look(train, batch)
        found = None
        for node in stepper.network.nodes:
            found = found or first_bad(result.outputs[node.name], f"layer {node} is the first non-finite: its output")
        found = found or first_bad(result.loss, "the loss is the first non-finite")
        for node in reversed(stepper.network.nodes):
            found = found or first_bad(result.deltas.get(node.name), f"layer {node} is the first non-finite: its delta")
            found = found or first_bad(
                result.grads.get(node.name), f"layer {node} is the first non-finite: its gradient"
            )
        if not found:
            train, _ = stepper.single(train, batch)
            for node in stepper.network.nodes:
                found = found or first_bad(
                    train.params.get(node.name), f"layer {node} is the first non-finite: its update"
                )
        if found:
            return NonFiniteError(f"step {step}: {found}; {kept}", cure=_cure(found, stepper))
    return NonFiniteError(f"a loss or weight is not finite any more; {kept}", cure="lower the learning rate")


def first_bad(tree: Any, what: str) -> str | None:
    """Return what is bad and how, or None when all numbers are finite."""
    for leaf in jax.tree.leaves(tree):
        if not jnp.issubdtype(leaf.dtype, jnp.inexact):
            continue
        values = np.asarray(leaf, np.float64).ravel()
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            return f"{what} has {len(bad)} of {values.size} values {values[bad[0]]}"
    return None


def _cure(found: str, stepper: Stepper) -> str:
    if "output" in found and stepper.network.nodes[0].name in found:
        return "look at the data, then lower the learning rate"
    return "lower optimizer.*.learning_rate, or set clip_global_norm"
