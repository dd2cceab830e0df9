"""Where NaN or infinity first appeared: the steps are replayed one by one, and the bad one node by node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.base.compilation.programs import Program
from retrograd.base.errors import Problem
from retrograd.base.sentence import setting
from retrograd.propagation.backprop import Pass
from retrograd.update.optimizer import optimizers
from retrograd.update.step import Stepper, TrainState

# the cure before the first update
UNTRAINED = "check the data (" + setting("data.scale", "standard") + ") and the initial weights"


def find_nonfinite(stepper: Stepper, train: TrainState, batches: Iterable[Mapping[str, Any]]) -> Problem:
    """Return the step, layer and tensor with the first non-finite number, and a possible cure.

    `train` is the state before the first of `batches`.
    """
    look = Program(Stepper.evaluate, stepper)
    for batch in batches:
        step = int(train.step) + 1
        where = _first(_of_pass(stepper, look(train, batch)))
        if where:
            return Problem("", f"step {step}: {where}", UNTRAINED if step == 1 else _smaller_steps(stepper))
        train, _ = stepper.single(train, batch)
        where = _first(_of_update(stepper, train))
        if where:
            return Problem("", f"step {step}: {where}", _smaller_steps(stepper))
    return Problem("", "a loss or weight is no longer finite", _smaller_steps(stepper))


def _of_pass(stepper: Stepper, result: Pass) -> Iterator[tuple[str, Any]]:
    """Yield the tensors of a pass in the order of computation, each with its name."""
    nodes = stepper.network.nodes
    yield from ((f"the output of layer {node}", result.outputs[node.name]) for node in nodes)
    for objective in stepper.objectives:
        yield f"the output of layer {objective}", result.losses[objective.name]
    yield "the sum of loss and penalties", result.loss
    for node in reversed(nodes):
        yield f"the delta of layer {node}", result.deltas.get(node.name)
        yield f"the gradient of layer {node}", result.grads.get(node.name)


def _of_update(stepper: Stepper, train: TrainState) -> Iterator[tuple[str, Any]]:
    for node in stepper.network.nodes:
        yield f"the update of layer {node}", train.params.get(node.name)
        yield f"the state of layer {node}", train.state.get(node.name)
    yield "the optimizer's average of the gradients", train.optimizer


def _first(named: Iterable[tuple[str, Any]]) -> str | None:
    """Describe the first tree with non-finite values; None if there is none."""
    for name, tree in named:
        for leaf in jax.tree.leaves(tree):
            if not jnp.issubdtype(leaf.dtype, jnp.inexact):
                continue
            values = np.asarray(leaf, np.float64).ravel()
            bad = values[~np.isfinite(values)]
            if len(bad):
                return f"{name} has the first non-finite values: {len(bad)} of {values.size}, such as {bad[0]}"
    return None


def _smaller_steps(stepper: Stepper) -> str:
    section = f"optimizer.{optimizers.name_of(type(stepper.optimizer))}"
    return f"lower {section}.learning_rate, or set {section}.clip_global_norm"
