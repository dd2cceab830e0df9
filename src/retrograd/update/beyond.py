"""What an optimizer may add around its direction: a second pass from a worse place, and slow weights behind."""

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

LEAST_NORM = 1e-12  # of a gradient whose direction is asked for
Share = Annotated[float, Field(gt=0, le=1), Expect("a number above 0, at most 1")]


@dataclass(frozen=True)
class Lookahead(Settings):
    """Every few steps go a share of the way that the fast weights went, and let these begin there again:

        s <- s + share (p - s), p <- s

    See:  Zhang et al. 2019, arXiv:1907.08610. The optimizer keeps its averages.
    """

    steps: Annotated[
        PositiveInt, Words("steps of the fast weights between two of the slow ones", more="explores further")
    ] = 5
    share: Annotated[
        Share, Words("share of the way that the slow weights go", more="nearer to the optimizer alone", less="steadier")
    ] = 0.5

    def __call__(self, params: Any, slow: Any, step: Array) -> tuple[Any, Any]:
        """Return fast and slow weights after a step, counted from 0."""
        meets = (step + 1) % self.steps == 0
        slow = jax.tree.map(lambda s, p: jnp.where(meets, s + self.share * (p - s), s), slow, params)
        return jax.tree.map(lambda p, s: jnp.where(meets, s, p), params, slow), slow


def raised(params: Mapping[str, Params], grads: Mapping[str, Params], radius: float) -> dict[str, Params]:
    """Return the trained parameters at the place nearby where the loss is largest, to first order: p + radius g / |g|.

    See:  Foret et al. 2021, arXiv:2010.01412 (sharpness-aware minimisation): the gradient there is what the step takes.
    """
    factor = radius / (optax.tree.norm(grads) + LEAST_NORM)
    return {
        node: {name: params[node][name] + (factor * grad).astype(grad.dtype) for name, grad in tensors.items()}
        for node, tensors in grads.items()
    }
