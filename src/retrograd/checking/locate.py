"""Locates the wrong layer: each node's backward alone, against jax.vjp and a difference of its forward."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.checking.hints import Evidence, hint
from retrograd.checking.point import INPUT, Point, compiled_once
from retrograd.network.layer import Context, Layer
from retrograd.network.losses.loss import Loss
from retrograd.network.network import own_params, take
from retrograd.present.numbers import number
from retrograd.propagation.one_layer import adjoint, run_layer

ALLOWED_VJP = 1e-7
ALLOWED_DIFFERENCE = 1e-5
STEP = 1e-6
APART = 1e-4  # moves inputs away from corners, where two conventions differ
MOST_NUMERIC = 4096  # entries of a tensor that is differentiated entry by entry


class Fault(NamedTuple):
    """A wrong gradient of one layer: its path and kind, the tensor, the relative error, and a hint."""

    path: str
    kind: str
    tensor: str
    error: float
    hint: str
    oracle: str

    @property
    def words(self) -> str:
        """The fault in words, without the name of the layer."""
        what = f"gradient of {self.tensor}" if self.tensor else "backward"
        hint = f": {self.hint}" if self.hint else ""
        return f"{what} is wrong, relative error {number(self.error, 2)} against {self.oracle}{hint}"

    def __str__(self) -> str:
        return f"{self.path} ({self.kind}): {self.words}"


def locate(point: Point, rng: np.random.Generator) -> tuple[Fault, ...]:
    """Return the faults of all layers and losses, each checked at its inputs in this pass with a random delta."""
    outputs = compiled_once(lambda tensors: point.record(tensors)[1])(point.tensors)
    faults: list[Fault] = []
    for node in point.network.nodes:
        state = point.state.get(node.name, {})
        train = point.ctx.train and not (node.frozen and state)
        inputs = [take(outputs, reference) for reference in node.inputs]
        required = [reference.partition(".")[0] in point.network.by_name or f"{INPUT}{reference}" in point.tensors
                for reference in node.inputs]  # fmt: skip
        ctx = Context(train, point.ctx.key, node.name)
        faults += _faults(node.name, node.layer, own_params(point.params, node), state, ctx, inputs, required, rng)
    for objective in point.objectives:
        inputs = [take(outputs, reference) for reference in objective.inputs]
        ctx = point.ctx.at(objective.name)
        required = [i == 0 for i in range(len(inputs))]
        faults += _faults(objective.name, objective.loss, {}, {}, ctx, inputs, required, rng)
    return tuple(faults)


def _faults(
    path: str, layer: Layer, params: Any, state: Any, ctx: Context, inputs: Any, required: list[bool],
    rng: np.random.Generator,
) -> Iterator[Fault]:  # fmt: skip
    trial = NodeTrial(layer, params, state, ctx, inputs, rng)
    try:
        trial.compute()
    except Exception as error:  # forward has already run, so any error is backward's
        yield Fault(path, layer.kind, "", np.inf, str(error).partition("\n")[0], "its own forward")
        return
    for name, expected in trial.expected.items():
        if name.startswith(INPUT) and not required[int(name.removeprefix(INPUT))] and name not in trial.claimed:
            continue
        tensor = name if not isinstance(layer, Loss) else "the prediction"
        vjp_error = trial.error(name, expected)
        if not vjp_error <= ALLOWED_VJP:
            yield Fault(path, layer.kind, tensor, vjp_error, hint(trial.evidence(name, expected)), "jax.vjp")
        elif name in trial.claimed and not layer.surrogate and not (along := trial.along(name)) <= ALLOWED_DIFFERENCE:
            numeric = trial.numeric(name)
            likely = "" if numeric is None else hint(trial.evidence(name, numeric))
            yield Fault(path, layer.kind, tensor, along, likely, "a central difference")


class NodeTrial:
    """A single layer: the gradients by its backward for a random delta, and the right ones."""

    def __init__(
        self, layer: Layer, params: Any, state: Any, ctx: Context, inputs: Any, rng: np.random.Generator
    ) -> None:
        self.layer, self.params, self.state, self.ctx, self.rng = layer, params, state, ctx, rng
        self.inputs = tuple(jax.tree.map(lambda x: _apart(x, rng), x) for x in inputs)
        self.at = {**params, **{f"{INPUT}{i}": x for i, x in enumerate(self.inputs) if _real(x)}}
        shapes = jax.eval_shape(self.run, self.at)
        self.dy = jax.tree.map(lambda y: jnp.asarray(rng.normal(size=y.shape)), shapes)
        self.directions = {name: rng.normal(size=value.shape) for name, value in self.at.items()}
        self.vjp = compiled_once(lambda at, dy: jax.vjp(self.run, at)[1](dy)[0])

    def compute(self) -> None:
        """Run forward, backward, jax.vjp, and a difference along a random direction of each tensor."""
        self.y, claimed, expected, self.numeric_along = jax.device_get(compiled_once(self._all)(self.at))
        self.claimed = {name: np.asarray(value) for name, value in claimed.items() if value is not None}
        self.expected = {name: np.asarray(value) for name, value in expected.items()}

    def _all(self, at: Mapping[str, Any]) -> Any:
        params, inputs = self._parts(at)
        step = run_layer(self.layer, params, self.state, self.ctx, inputs)
        expected = jax.vjp(self.run, dict(at))[1](self.dy)[0]
        return step.y, self.back(params, step.tape, self.dy), expected, self._along(at)

    def _along(self, at: Mapping[str, Any]) -> dict[str, Any]:
        slopes = {}
        for name, direction in self.directions.items():
            up, down = (self._product(self.run({**at, name: at[name] + sign * STEP * direction})) for sign in (1, -1))
            slopes[name] = (up - down) / (2 * STEP)
        return slopes

    @functools.cached_property
    def tape(self) -> Any:
        """The tape that forward records for backward."""
        return run_layer(self.layer, self.params, self.state, self.ctx, self.inputs).tape

    @functools.cached_property
    def back_compiled(self) -> Any:
        """Backward as a separate program, for other tapes."""
        return compiled_once(self.back)

    def back(self, params: Any, tape: Any, dy: Any) -> dict[str, Any]:
        """Run backward and return its results by name."""
        back = adjoint(self.layer, params, tape, dy)
        if len(back.inputs) != len(self.inputs):
            raise ValueError(f"it returns {len(back.inputs)} deltas for {len(self.inputs)} inputs")
        return {**back.grads, **{f"{INPUT}{i}": delta for i, delta in enumerate(back.inputs)}}

    def run(self, at: Mapping[str, Any]) -> Any:
        """Run forward with some of the tensors replaced."""
        params, inputs = self._parts(at)
        return self.layer.forward(params, self.state, self.ctx, *inputs).y

    def by_vjp(self, dy: Any, **changed: Any) -> dict[str, Any]:
        """Return the derivatives by jax.vjp for a delta, with some of the tensors replaced."""
        deltas: dict[str, Any] = self.vjp({**self.at, **changed}, dy)
        return deltas

    def _parts(self, at: Mapping[str, Any]) -> tuple[Any, tuple[Any, ...]]:
        params = {name: at.get(name, value) for name, value in self.params.items()}
        return params, tuple(at.get(f"{INPUT}{i}", x) for i, x in enumerate(self.inputs))

    def error(self, name: str, expected: np.ndarray) -> float:
        """Return the relative error of one gradient; infinite if it is missing or has the wrong shape."""
        claimed = self.claimed.get(name)
        if claimed is None or claimed.shape != expected.shape:
            return np.inf if expected.size and (claimed is not None or expected.any()) else 0.0
        scale = max(float(np.linalg.norm(expected)), 1e-6 * self._largest())
        return float(np.linalg.norm(claimed - expected) / scale) if scale else float(claimed.any())

    def along(self, name: str) -> float:
        """Return the relative error along one random direction, against a difference of forward."""
        analytic, numeric = float(np.vdot(self.claimed[name], self.directions[name])), float(self.numeric_along[name])
        return abs(numeric - analytic) / max(abs(numeric), abs(analytic), 1e-2 * self._largest(), 1e-6)

    def numeric(self, name: str) -> np.ndarray | None:
        """Return the full gradient by central differences; None for a large tensor."""
        at = np.asarray(self.at[name])
        if at.size > MOST_NUMERIC:
            return None
        moved = jnp.asarray(np.eye(at.size).reshape(at.size, *at.shape) * STEP)
        value = compiled_once(jax.vmap(lambda shift: self._product(self.run({name: at + shift}))))
        return np.asarray((value(moved) - value(-moved)) / (2 * STEP)).reshape(at.shape)

    def evidence(self, name: str, expected: np.ndarray) -> Evidence:
        """Return the evidence for a hint."""
        claimed = self.claimed.get(name)
        return Evidence(self, name, None if claimed is None else np.asarray(claimed), expected)

    def _product(self, y: Any) -> Any:
        pairs = zip(jax.tree.leaves(y), jax.tree.leaves(self.dy), strict=True)
        return sum((jnp.vdot(a, b) for a, b in pairs), jnp.zeros(()))

    def _largest(self) -> float:
        return max((float(np.linalg.norm(value)) for value in self.expected.values()), default=0.0)


def _real(x: Any) -> bool:
    return not isinstance(x, dict) and jnp.issubdtype(x.dtype, jnp.floating)


def _apart(x: Any, rng: np.random.Generator) -> Any:
    if not _real(x) or not x.size:
        return x
    scale = float(jnp.sqrt(jnp.mean(jnp.square(x)))) or 1.0
    return x + APART * scale * rng.normal(size=x.shape)
