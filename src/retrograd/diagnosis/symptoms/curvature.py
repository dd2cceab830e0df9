"""A learning rate against the curvature of the loss."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.backprop.backprop import backprop
from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms
from retrograd.network.layer import Context

ITERATIONS = 12  # of the power method; a tenth off is near enough
STEEP, SLOW = 4.0, 10.0  # times the bound; distance travelled along the steepest direction
HEAD = [{"dense": {"units": 8, "activation": "relu"}}]


@symptoms.register(
    "curvature",
    examples=Examples(
        sick=setup("line", {"stretch": 30.0}, network=[{"dense": 1}], optimizer={"sgd": 0.5}),
        healthy=setup("line", network=[{"dense": 1}], optimizer={"sgd": 0.05}),
        near_miss=setup("line", {"stretch": 30.0}, network=[{"dense": 1}], optimizer={"adam": 0.05}),
    ),
)
class Curvature(Symptom):
    """Gradient descent is stable while rate times largest curvature stays under 2 (1 + momentum); and it gets nowhere
    when rate times curvature times the number of updates is small.

        lambda = largest eigenvalue of the Hessian at the first weights, by power iteration on Hessian-vector products
    """

    code = "S07"
    stage = "probe"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield rates of plain gradient descent that are far too large or too small for the loss's curvature."""
        optimizer = program.config.optimizer
        if program.optimizer_kind != "sgd" or program.prepared is None or program.variables is None:
            return
        rate = program.rate(0)
        curvature = largest_curvature(program)
        if not np.isfinite(curvature) or curvature <= 0:
            return
        momentum = float(getattr(optimizer, "momentum", 0.0) or 0.0)
        bound = 2 * (1 + momentum)
        if rate * curvature > STEEP * bound:
            yield self.finding(
                "optimizer.learning_rate",
                f"a step of {rate:g} overshoots: at the first weights the loss bends so much that rates above "
                f"{bound / curvature:.3g} diverge along its steepest direction",
                Evidence("learning rate x largest curvature", rate * curvature, bound),
                remedies=("lower_rate", "clip_gradients", "scale_inputs"),
                confidence=min(0.9, 0.6 + 0.1 * np.log10(rate * curvature / bound)),
            )
        travelled = rate / (1 - momentum) * curvature * program.prepared.steps
        if travelled < SLOW:
            yield self.finding(
                "optimizer.learning_rate",
                f"{program.prepared.steps} updates of {rate:g} go nowhere, even along the steepest direction",
                Evidence("learning rate x curvature x updates", travelled, SLOW),
                remedies=("raise_rate", "more_updates", "adam"),
                confidence=0.8,
            )


@functools.lru_cache(maxsize=4)
def largest_curvature(program: Program) -> float:
    """Return the largest eigenvalue of the loss's Hessian on the probe rows, at the first weights."""
    network, objectives, state = program.network, tuple(program.objectives), program.variables.state  # type: ignore[union-attr]
    batch = program.probe

    def grads(params: Any) -> Any:
        return backprop(network, objectives, params, state, Context(), batch).grads  # type: ignore[arg-type]

    @jax.jit
    def iterate(params: Any, v: Any) -> tuple[Any, Any]:
        product = jax.jvp(grads, (params,), (v,))[1]
        size = jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(product)))
        return jax.tree.map(lambda leaf: leaf / jnp.maximum(size, 1e-30), product), size

    params = program.variables.params  # type: ignore[union-attr]
    keys = iter(jax.random.split(jax.random.key(0), len(jax.tree.leaves(params))))
    v = jax.tree.map(lambda leaf: jax.random.normal(next(keys), leaf.shape), params)
    size = 0.0
    v, _ = iterate(params, jax.tree.map(lambda leaf: leaf / np.sqrt(leaf.size), v))
    for _ in range(ITERATIONS):
        v, size = iterate(params, v)
    return float(size)
