"""The point of a gradient check: a network with float64 parameters and one batch, as functions of named tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from retrograd.base.compilation.programs import QUICKLY
from retrograd.network.layer import Context, Params
from retrograd.network.network import Network, Variables, take
from retrograd.propagation.backprop import backprop, forward
from retrograd.propagation.objective import Objective, total

Tensors = dict[str, Array]
Extra = Callable[[Mapping[str, Params]], tuple[Any, Mapping[str, Params]]]  # penalties: their value and gradient

CHEAP = 1e7  # operations; a cheaper program takes longer to compile than to run
INPUT = "input "  # prefix of batch columns among the paths of parameters


class Point:
    """A network at one point, by default in training mode; the key, and so every mask, is fixed.

    `tensors` are the variables to differentiate with respect to: each parameter by its path, and `input x` for each
    column of real numbers. Use it inside `jax.enable_x64(True)`.
    """

    def __init__(
        self,
        network: Network,
        objectives: Sequence[Objective],
        variables: Variables,
        batch: Mapping[str, Any],
        key: Array,
        train: bool = True,
        extra: Extra | None = None,
    ) -> None:
        self.network, self.objectives, self.extra = network, tuple(objectives), extra
        self.state = jax.tree.map(widened, variables.state)
        self.params = jax.tree.map(widened, variables.params)
        self.batch = {name: widened(np.asarray(column)) for name, column in batch.items()}
        self.ctx = Context(train, key)
        self.tensors: Tensors = {
            f"{node.name}/{name}": value
            for node in network.nodes
            for name, value in self.params.get(node.name, {}).items()
        }
        self.failure: Exception | None = None
        deltas: dict[str, Any] = {}
        jax.eval_shape(self.loss, self.tensors)  # raises errors of forward, as in training
        try:
            deltas = jax.eval_shape(self._pass, self.tensors).deltas
        except Exception as error:  # anything that a backward raises
            self.failure = error
        self.without_delta = []  # columns of real numbers for which a layer returns no delta
        targets = {
            reference for objective in self.objectives for reference in objective.inputs[1:]
        }  # constants for a loss
        for name in network.columns:
            if name in self.batch and name not in targets and jnp.issubdtype(self.batch[name].dtype, jnp.floating):
                if deltas.get(name) is None:
                    self.without_delta.append(name)
                else:
                    self.tensors[INPUT + name] = self.batch[name]

    @property
    def rows(self) -> int:
        """The number of examples in the batch."""
        return len(next(iter(self.batch.values())))

    def loss(self, tensors: Tensors) -> Array:
        """Return the total loss including penalties."""
        return self.record(tensors)[0]

    def record(self, tensors: Tensors) -> tuple[Array, dict[str, Any]]:
        """Return the total loss, and the outputs of all nodes and objectives."""
        params, batch = self._parts(tensors)
        outputs = forward(self.network, params, self.state, self.ctx, batch).outputs
        losses = {
            objective.name: objective.loss.forward(
                {}, {}, self.ctx.at(objective.name), *(take(outputs, i) for i in objective.inputs)
            ).y
            for objective in self.objectives
        }
        value = total(self.objectives, losses)
        if self.extra:
            value = value + self.extra(params)[0]
        return value, {**outputs, **losses}

    def backward(self, tensors: Tensors) -> Tensors:
        """Return the gradients of the backward pass."""
        result = self._pass(tensors)
        grads = {f"{node}/{name}": grad for node, part in result.grads.items() for name, grad in part.items()}
        if self.extra:
            params, _ = self._parts(tensors)
            more = self.extra(params)[1]
            grads = {path: grad + _at(more, path) for path, grad in grads.items()}
        return grads | {name: result.deltas[name.removeprefix(INPUT)] for name in tensors if name not in grads}

    def by_vjp(self, tensors: Tensors) -> Tensors:
        """Return the gradients that jax.vjp derives from the forward pass."""
        value, pull_back = jax.vjp(self.loss, tensors)
        grads: Tensors = pull_back(jnp.ones_like(value))[0]
        return grads

    def _pass(self, tensors: Tensors) -> Any:
        params, batch = self._parts(tensors)
        return backprop(self.network, self.objectives, params, self.state, self.ctx, batch)

    def _parts(self, tensors: Tensors) -> tuple[dict[str, Params], dict[str, Any]]:
        params = {node: {name: tensors[f"{node}/{name}"] for name in names} for node, names in self.params.items()}
        return params, {name: tensors.get(INPUT + name, column) for name, column in self.batch.items()}


class Cost(NamedTuple):
    """The cost of one forward pass: operations, bytes of parameters and outputs, and whether it convolves."""

    operations: float
    bytes: int
    convolves: bool

    @classmethod
    def of(cls, point: Point) -> Cost:
        """Return the cost of the forward pass of a point, without running it."""
        lowered = jax.jit(point.loss).lower(point.tensors)
        outputs = jax.eval_shape(point.record, point.tensors)[1]
        stored = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves((point.tensors, outputs)))
        operations = float((lowered.cost_analysis() or {}).get("flops", 0.0))
        return cls(max(operations, 1.0), stored, "stablehlo.convolution" in lowered.as_text())


def compiled_once(function: Callable[..., Any], operations: float = 0.0) -> Any:
    """Return a jitted function; a cheap one is compiled with less optimization, which is faster."""
    return jax.jit(function, compiler_options=QUICKLY if operations < CHEAP else None)


def widened(value: Any) -> Any:
    """Return real numbers as float64, anything else unchanged."""
    value = jnp.asarray(value)
    return value.astype(jnp.float64) if jnp.issubdtype(value.dtype, jnp.floating) else value


def _at(grads: Mapping[str, Params], path: str) -> Any:
    node, _, name = path.rpartition("/")
    return grads[node][name]
