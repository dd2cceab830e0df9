"""Where NaN or infinity came from: the steps are replayed one by one, and the bad one node by node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.base.compilation.programs import Program
from retrograd.base.errors import Problem
from retrograd.propagation.backprop import Pass
from retrograd.update.optimizer import optimizers
from retrograd.update.step import Stepper, TrainState

UNTRAINED = "look at the data (`data: {scale: standard}`) and at the first weights"  # no update has happened yet


def find_nonfinite(stepper: Stepper, train: TrainState, batches: Iterable[Mapping[str, Any]]) -> Problem:
    """Return the step, the layer and the tensor where the first non-finite number appeared, and what may help.

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
    return Problem("", "a loss or weight is not finite any more", _smaller_steps(stepper))


def _of_pass(stepper: Stepper, result: Pass) -> Iterator[tuple[str, Any]]:
    """Yield what a pass computed, in the order in which it was computed, each with its name."""
    nodes = stepper.network.nodes
    yield from ((f"layer {node} is the first non-finite: its output", result.outputs[node.name]) for node in nodes)
    for objective in stepper.objectives:
        yield f"layer {objective} is the first non-finite: its output", result.losses[objective.name]
    yield "the penalties are the first non-finite: their sum with the loss", result.loss
    for node in reversed(nodes):
        yield f"layer {node} is the first non-finite: its delta", result.deltas.get(node.name)
        yield f"layer {node} is the first non-finite: its gradient", result.grads.get(node.name)


def _of_update(stepper: Stepper, train: TrainState) -> Iterator[tuple[str, Any]]:
    for node in stepper.network.nodes:
        yield f"layer {node} is the first non-finite: its update", train.params.get(node.name)
        yield f"layer {node} is the first non-finite: its state", train.state.get(node.name)
    yield "the optimizer's averages of the gradients are the first non-finite", train.optimizer


def _first(named: Iterable[tuple[str, Any]]) -> str | None:
    """Return the name of the first tree that is not finite, and how it is not; None when all are."""
    for name, tree in named:
        for leaf in jax.tree.leaves(tree):
            if not jnp.issubdtype(leaf.dtype, jnp.inexact):
                continue
            values = np.asarray(leaf, np.float64).ravel()
            bad = values[~np.isfinite(values)]
            if len(bad):
                return f"{name} has {len(bad)} of {values.size} values {bad[0]}"
    return None


def _smaller_steps(stepper: Stepper) -> str:
    section = f"optimizer.{optimizers.name_of(type(stepper.optimizer))}"
    return f"lower {section}.learning_rate, or set {section}.clip_global_norm"
