"""Rprop: an individual step size for each parameter, adapted by the signs of consecutive gradients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import Problem
from retrograd.base.quantities import Fraction, PositiveFloat
from retrograd.update.optimizer import LearningRate, Optimizer, optimizers


class Steps(NamedTuple):
    """The previous gradient (0 after a change of sign), and the step size of each parameter."""

    before: Any
    size: Any


@optimizers.register("rprop", example={"learning_rate": 0.01})
@dataclass(frozen=True)
class Rprop(Optimizer):
    """Step by the sign of the gradient; the step size grows while the sign stays the same and shrinks when it changes.

    Use it with full batches: the sign of a minibatch gradient says little.

    See:  Riedmiller & Braun 1993. As in PyTorch, a parameter whose gradient has just changed sign does not move; in
          optax 0.2.8 it moves by the previous step.
    """

    formula = "s = s growth if g g_before > 0, s shrinking if g g_before < 0 (and g = 0); d = s sign(g)"
    latex = r"s \leftarrow s (\eta^+ \text{ if } g g' > 0, \eta^- \text{ if } g g' < 0), \quad d = s \,\mathrm{sgn}\, g"

    learning_rate: LearningRate = 0.01
    shrinking: Annotated[
        Fraction, Words("factor on a step if the sign changes", more="slows down gradually", less="slows down abruptly")
    ] = 0.5
    growth: Annotated[
        PositiveFloat, Words("factor on a step if the sign stays", more="speeds up sooner", less="speeds up later")
    ] = 1.2
    smallest: Annotated[PositiveFloat, Words("smallest step, relative to the rate", why="as in PyTorch for rate 1")] = (
        1e-6
    )
    largest: Annotated[PositiveFloat, Words("largest step, relative to the rate", why="as in PyTorch for rate 1")] = (
        50.0
    )

    @override
    def rules(self) -> Iterator[Problem]:
        if self.growth < 1:
            yield Problem("growth", f"expected 1 or more, found {self.growth:g}")
        if self.smallest >= self.largest:
            yield Problem("largest", f"expected more than `smallest` ({self.smallest:g}), found {self.largest:g}")

    @override
    def direction(self) -> optax.GradientTransformation:
        def init(params: Any) -> Steps:
            return Steps(optax.tree.zeros_like(params), jax.tree.map(jnp.ones_like, params))

        def size(g: Array, before: Array, step: Array) -> Array:
            factor = jnp.where(g * before > 0, self.growth, jnp.where(g * before < 0, self.shrinking, 1.0))
            return jnp.clip(step * factor.astype(step.dtype), self.smallest, self.largest)

        def update(grads: Any, state: Steps, params: Any = None) -> tuple[Any, Steps]:
            sizes = jax.tree.map(size, grads, state.before, state.size)
            kept = jax.tree.map(lambda g, b: jnp.where(g * b < 0, jnp.zeros_like(g), g), grads, state.before)
            return jax.tree.map(lambda g, s: s * jnp.sign(g), kept, sizes), Steps(kept, sizes)

        return optax.GradientTransformation(init, update)
