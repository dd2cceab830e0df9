"""What a condition such as `accuracy<0.5` can be about: readings of a step and of its pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from retrograd.base.errors import UsageError, did_you_mean
from retrograd.network.network import Network, take
from retrograd.propagation.backprop import Pass
from retrograd.propagation.objective import Objective
from retrograd.update.step import Outcome, Stepper, TrainState

OF_OUTCOME: Mapping[str, Callable[[Outcome], Any]] = {
    "grad_norm": lambda outcome: outcome.gradient_norm,
    "loss": lambda outcome: outcome.loss,
    "learning_rate": lambda outcome: outcome.learning_rate,
    "nonfinite": lambda outcome: ~(np.isfinite(outcome.loss) & np.isfinite(outcome.gradient_norm)),  # type: ignore[arg-type]
}
OF_PASS = ("accuracy", "delta", "output", "gradient")
KNOWN = (*OF_OUTCOME, "accuracy", "delta:NODE", "output:NODE", "gradient:NODE/PARAMETER")

ReadPass = Callable[[Pass, Mapping[str, Any]], Array]


def pass_reading(reading: str, path: str, network: Network, objectives: tuple[Objective, ...]) -> ReadPass:
    """Return what reads a pass: the share of right rows, or the norm of a node's delta or output, or of a gradient.

    Raises:  UsageError when the network has no such node or parameter, or no output that classes can be read from
    """
    if reading == "accuracy":
        return lambda result, batch: _accuracy(objectives[0], result, batch)
    if reading == "gradient":
        node, _, name = path.rpartition("/")
        _check(node, network)
        return lambda result, batch: optax.tree.norm(_parameter(result, node, name))
    _check(path, network)
    trees = "deltas" if reading == "delta" else "outputs"
    return lambda result, batch: optax.tree.norm(getattr(result, trees).get(path, 0.0))


class Reader:
    """Reads passes of a stepper's minibatches, step after step; what it is given stays as it is."""

    def __init__(self, stepper: Stepper, read: ReadPass) -> None:
        self._look = jax.jit(lambda train, batch: read(stepper.evaluate(train, batch), batch))
        self._step = jax.jit(lambda train, batch: stepper.step(train, batch)[0])

    def __call__(self, train: TrainState, batches: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Return the reading of each step [steps]."""
        found = []
        for i, batch in enumerate(batches):
            train = self._step(train, batches[i - 1]) if i else train
            found.append(float(self._look(train, batch)))
        return np.asarray(found)


def _check(node: str, network: Network) -> None:
    if node not in network.by_name:
        raise UsageError(f"the network has no node '{node}'", where="break", cure=did_you_mean(node, network.by_name))


def _parameter(result: Pass, node: str, name: str) -> Any:
    own = result.grads.get(node, {})
    if name not in own:
        raise UsageError(f"{node} has no parameter '{name}'", where="break", cure=did_you_mean(name, own))
    return own[name]


def _accuracy(objective: Objective, result: Pass, batch: Mapping[str, Any]) -> Array:
    """Return the share of rows whose class is right: the largest output, or the side of one half."""
    output, target = take(result.outputs, objective.inputs[0]), batch.get(objective.inputs[1])
    if target is not None and jnp.issubdtype(target.dtype, jnp.integer) and output.ndim == target.ndim + 1:
        return jnp.mean(output.argmax(-1) == target)
    if target is not None and output.shape == target.shape and getattr(objective.loss, "from_logits", None) is not None:
        middle = 0.0 if objective.loss.from_logits else 0.5  # type: ignore[attr-defined]
        return jnp.mean((output > middle) == (target > 0.5))
    raise UsageError("the loss compares no classes: there is no accuracy", where="break", cure="loss>1, say")
