"""The condition of weights on some rows: their loss, and whether the activations still let deltas through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.base.programs import Program
from retrograd.network.network import own_params, take
from retrograd.network.scope import Node
from retrograd.propagation.readings import acts_by_element, derivative, steepest
from retrograd.update.step import Stepper, TrainState


class Condition(NamedTuple):
    """The mean loss, and the share of a delta that each hidden activation passes on: 1 where it is steepest, dead 0."""

    loss: float
    passed: dict[str, float]


class Gauge:
    """Tells the condition of a network's weights; compiled when it is first asked."""

    def __init__(self, stepper: Stepper) -> None:
        self.stepper = stepper
        last = {name.partition(".")[0] for objective in stepper.objectives for name in objective.inputs}
        self.hidden = [node for node in stepper.network if acts_by_element(node.layer) and node.name not in last]
        self._compiled = Program(_condition, stepper, tuple(self.hidden))

    def __call__(self, train: TrainState, batches: Iterable[Mapping[str, Any]]) -> Condition:
        """Return the condition of a state's weights on some minibatches, all their rows counted alike."""
        found, rows = [], []
        for batch in batches:
            found.append(jax.device_get(self._compiled(train, batch)))
            rows.append(len(next(iter(batch.values()))))
        losses, shares = zip(*found, strict=True)
        passed = {
            node.name: float(np.average([share[node.name] for share in shares], weights=rows)) for node in self.hidden
        }
        return Condition(float(np.average(losses, weights=rows)), passed)


def _condition(
    stepper: Stepper, hidden: Sequence[Node], train: TrainState, batch: Mapping[str, Any]
) -> tuple[jax.Array, dict[str, jax.Array]]:
    result = stepper.evaluate(train, batch)
    shares = {}
    for node in hidden:
        slope = derivative(node.layer, own_params(train.params, node), take(result.outputs, node.inputs[0]))
        shares[node.name] = jnp.mean(jnp.abs(slope)) / steepest(node.layer)
    return result.loss, shares
