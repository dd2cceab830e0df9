"""Objectives: the losses of a network, and the deltas from which the backward pass starts."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array

from retrograd.base.errors import ConfigError
from retrograd.network.layer import Context, Layer
from retrograd.network.located import located
from retrograd.network.network import Network, take
from retrograd.propagation.accumulate import add_delta
from retrograd.propagation.one_layer import adjoint, run_layer


@dataclass(frozen=True)
class Objective:
    """A loss on outputs and columns, with its weight in the total; targets are the inputs after the first.

    `inputs` are node names: in `named(Dense(1, "sigmoid"), "out")` the node `out` is the sum and `out/sigmoid` the
    activation. `Objective.on` accepts the user's entry names.
    """

    open_numbers: ClassVar[tuple[str, ...]] = ("loss",)

    name: str
    loss: Layer
    inputs: tuple[str, ...]
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a loss without reduction."""
        if getattr(self.loss, "reduction", "mean") == "none":
            raise ConfigError(f"{self.loss.kind} with reduction none gives many numbers; training needs a single one",
                              where=self.name, cure="use mean or sum; `loss.forward` gives the terms")  # fmt: skip

    @classmethod
    def on(
        cls,
        network: Network,
        loss: Layer,
        output: str | None = None,
        target: str | Sequence[str] = "y",
        *,
        sample_weight: str | None = None,
        name: str = "loss",
        weight: float = 1.0,
    ) -> Objective:
        """Return the objective on an entry's output (after its activation), by default the network's output.

        `target` names a column, or lists the loss's further inputs: columns and other entries.
        """
        prediction = network.output if output is None else network.resolve(output)
        targets = [network.resolve(column) for column in ([target] if isinstance(target, str) else target)]
        weights = () if sample_weight is None else (sample_weight,)
        return cls(name, loss, (prediction, *targets, *weights), weight)

    def __str__(self) -> str:
        return f"{self.name} ({self.loss.kind} of {', '.join(self.inputs)})"


def evaluate_losses(
    objectives: Sequence[Objective],
    outputs: Mapping[str, Any],
    ctx: Context,
    shares: Mapping[str, Array] | None = None,
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return each objective's loss, and the deltas from which the backward pass starts.

    `shares` multiplies the losses by name: a micro-batch counts for its share of the whole batch.
    """
    losses: dict[str, Array] = {}
    deltas: dict[str, Any] = {}
    for objective in objectives:
        with located(objective):
            inputs = tuple(take(outputs, reference) for reference in objective.inputs)
        with located(objective, dict(zip(objective.inputs, inputs, strict=True))):
            step = run_layer(objective.loss, {}, {}, ctx.at(objective.name), inputs)
        share = jnp.asarray((shares or {}).get(objective.name, 1), step.y.dtype)
        losses[objective.name] = step.y * share
        back = adjoint(objective.loss, {}, step.tape, share * jnp.asarray(objective.weight, step.y.dtype))
        for reference, delta in zip(objective.inputs, back.inputs, strict=True):
            add_delta(deltas, reference, delta)
    return losses, deltas


def total(objectives: Sequence[Objective], losses: Mapping[str, Array]) -> Array:
    """Return the weighted sum of the losses."""
    return functools.reduce(jnp.add, (losses[objective.name] * objective.weight for objective in objectives))
