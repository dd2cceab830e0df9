"""Checking whether a training step in ONNX computes the same as retrograd's own backpropagation and SGD."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.base.errors import ModelFileError
from retrograd.network.layer import Context
from retrograd.network.precision import computing_in, in_precision
from retrograd.propagation.backprop import backprop
from retrograd.ship.distance import distance
from retrograd.ship.edge.step import NEW, VELOCITY, Step
from retrograd.ship.onnx.session import run, session
from retrograd.ship.ways import Case
from retrograd.training.use.predict import Model

STEPS = 3  # in a row: from the second one on, there is a velocity
RATE, MOMENTUM = 0.01, 0.9
ALLOWED = 1e-5  # relative to the largest number or 1, because float32 sums differ in order
ALLOWED_OF_GRADIENT = 1e-4  # relative to the largest entry of all gradients, because terms of their sums cancel
NUDGES, NUDGE = 4, 3e-7  # how often, and by what fraction, weights are changed to test the effect of their last bits


def check_step(model: Model, step: Step, file: Any, cases: list[Case]) -> float:
    """Return the largest difference in losses, weights and velocities over a few steps on each case.

    Raises:  ModelFileError that says what differs
    """
    running, compared = session(file), list[float]()
    for seed, case in enumerate(cases):
        rows = len(next(iter(case.columns.values())))
        y = np.asarray(case.columns["y"]) if "y" in case.columns else step.truth.made_up(rows, seed)
        fed = {**case.fed, step.target.name: step.truth.feed(y)}
        oracle = Oracle(model, {**case.columns, "y": y}, step.weights)
        weights, velocity = dict(step.weights), {path: np.zeros_like(array) for path, array in step.weights.items()}
        for number in range(STEPS):
            found = run(running, {**fed, **_named(step, weights, velocity)})
            before, (loss, grads) = weights, oracle.gradients(weights)
            velocity = {path: MOMENTUM * velocity[path] + grads[path] for path in grads}
            weights = {path: weights[path] - RATE * velocity[path] for path in grads}
            far = {"loss": distance(found[step.names["loss"]], loss)}
            far |= {path: distance(found[path + NEW], weights[path]) for path in grads}
            largest = max(float(np.abs(v).max(initial=1e-3)) for v in velocity.values())
            slopes = {path: np.abs(found[path + VELOCITY + NEW] - velocity[path]).max(initial=0.0) for path in grads}
            apart = {name: far[name] / ALLOWED for name in far}
            apart |= {f"the gradient of {path}": slopes[path] / largest / ALLOWED_OF_GRADIENT for path in grads}
            wrong = [name for name in apart if not apart[name] <= 1]
            if wrong and "loss" not in wrong and oracle.is_at_a_kink(before, slopes):
                continue
            if wrong:
                name = max(wrong, key=lambda each: np.nan_to_num(apart[each], nan=np.inf))
                message = f"the training step's {name} differs from the run's in step {number + 1} on {case.what}"
                raise ModelFileError(message, where=model.config.name, cure="nothing was written")
            compared += far.values()
    if not compared:
        message = "every compared step of training lies at a kink, so none could be verified"
        raise ModelFileError(message, where=model.config.name, cure="nothing was written")
    return max(compared)


def _named(step: Step, weights: Mapping[str, Any], velocity: Mapping[str, Any]) -> dict[str, Any]:
    fed = {**weights, **{path + VELOCITY: array for path, array in velocity.items()}}
    fed |= {step.names["learning_rate"]: np.float32(RATE), step.names["momentum"]: np.float32(MOMENTUM)}
    return {name: np.asarray(array, np.float32) for name, array in fed.items()}


class Oracle:
    """The run's own forward and backward pass on some columns, as outside training: no dropout, running statistics."""

    def __init__(self, model: Model, columns: Mapping[str, Any], trained: Mapping[str, Any]) -> None:
        self.model, self.trained = model, trained
        precision = model.config.training.precision
        needed = {*model.network.columns, *model.objectives[0].inputs[1:]}
        rows = len(columns["y"])
        batch = {name: columns.get(name, np.ones(rows, np.float32)) for name in needed}  # sample weights: all alike
        self.precision, self.batch = precision, in_precision(batch, precision)
        self.compiled = jax.jit(self._pass)

    def _pass(self, params: Any, state: Any, batch: Any) -> tuple[Any, Any]:
        result = backprop(self.model.network, self.model.objectives, params, state, Context(), batch)
        return result.loss, {node: result.grads[node] for node in result.grads}

    def gradients(self, weights: Mapping[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the loss and the gradients by path at given trained weights; others are unchanged."""
        params = {node: dict(own) for node, own in self.model.variables.params.items()}
        for path, array in weights.items():
            node, _, name = path.rpartition("/")
            params[node][name] = jnp.asarray(array, params[node][name].dtype)
        with computing_in(self.precision):
            loss, grads = jax.device_get(self.compiled(params, self.model.variables.state, self.batch))
        by_path = {}
        for path in self.trained:
            node, _, name = path.rpartition("/")
            by_path[path] = np.asarray(grads[node][name], np.float32)
        return np.asarray(loss, np.float32), by_path

    def is_at_a_kink(self, weights: Mapping[str, np.ndarray], apart: Mapping[str, float]) -> bool:
        """Return whether such different gradients mean nothing, because the weights' last bits make as much difference.

        If a relu's input is 0 up to rounding, or two entries of a pool are equal, either slope is right.
        """
        _, grads = self.gradients(weights)
        rng, reach = np.random.default_rng(0), dict.fromkeys(apart, 0.0)
        for _ in range(NUDGES):
            nudged = {path: w * (1 + NUDGE * rng.uniform(-1, 1, w.shape)) for path, w in weights.items()}
            _, there = self.gradients(nudged)
            for path in reach:
                reach[path] = max(reach[path], np.abs(there[path] - grads[path]).max(initial=0.0))
        largest = max(float(np.abs(grad).max(initial=1e-3)) for grad in grads.values())
        return all(apart[path] <= 2 * reach[path] + ALLOWED_OF_GRADIENT * largest for path in apart)
