"""Extensions of any optimizer: a second pass from a nearby worse point (SAM), and slow weights (lookahead)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import optax
from jax import Array
from pydantic import Field

from retrograd.base.annotations import Expect, Words
from retrograd.base.quantities import PositiveInt
from retrograd.base.schema import Settings
from retrograd.network.layer import Params

LEAST_NORM = 1e-12  # avoids a division by 0 for a gradient of zeros
Share = Annotated[float, Field(gt=0, le=1), Expect("a number in (0, 1]")]


@dataclass(frozen=True)
class Lookahead(Settings):
    """Every few steps, move slow weights part of the way to the fast weights, and restart the fast ones from there:

        s <- s + share (p - s), p <- s

    See:  Zhang et al. 2019, arXiv:1907.08610. The optimizer keeps its averages.
    """

    steps: Annotated[
        PositiveInt, Words("steps of the fast weights per step of the slow weights", more="explores further")
    ] = 5
    share: Annotated[
        Share, Words("how far the slow weights move, as a share", more="closer to the plain optimizer", less="steadier")
    ] = 0.5

    def __call__(self, params: Any, slow: Any, step: Array) -> tuple[Any, Any]:
        """Return fast and slow weights after a step, counted from 0."""
        syncs = (step + 1) % self.steps == 0
        slow = jax.tree.map(lambda s, p: jnp.where(syncs, s + self.share * (p - s), s), slow, params)
        return jax.tree.map(lambda p, s: jnp.where(syncs, s, p), params, slow), slow


def raised(params: Mapping[str, Params], grads: Mapping[str, Params], radius: float) -> dict[str, Params]:
    """Return the trained parameters at the nearby point with the largest loss, to first order: p + radius g / |g|.

    See:  Foret et al. 2021, arXiv:2010.01412 (sharpness-aware minimisation): the step uses the gradient at that point.
    """
    factor = radius / (optax.tree.norm(grads) + LEAST_NORM)
    return {
        node: {name: params[node][name] + (factor * grad).astype(grad.dtype) for name, grad in tensors.items()}
        for node, tensors in grads.items()
    }
