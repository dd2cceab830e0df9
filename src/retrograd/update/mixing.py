"""Mixup and cutmix: training on rows that are each mixed with another row, and on their mixed targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from retrograd.base.errors import ConfigError
from retrograd.base.keys import fold_path
from retrograd.network.network import Network, take
from retrograd.propagation.objective import Objective

SOFT = (  # losses whose targets may be mixtures
    "binary_cross_entropy", "cross_entropy", "focal", "huber", "kl_divergence", "mean_absolute_error",
    "mean_squared_error",
)  # fmt: skip


@dataclass(frozen=True)
class Mixing:
    """How a batch is mixed with itself in another order; if both are set, each step draws one of them.

        mixup:   x' = l x + (1 - l) x[order],  y' = l y + (1 - l) y[order],  l ~ Beta(mixup, mixup)
        cutmix:  x' = x with a rectangle of x[order], of area (1 - l) unless it extends beyond the image; l in y' is
                 then the share of x that remains

    Class numbers are first converted to shares of classes. See: Zhang et al. 2018, arXiv:1710.09412; Yun et al. 2019,
    arXiv:1905.04899.
    """

    mixup: float | None = None
    cutmix: float | None = None

    def __call__(
        self, batch: Mapping[str, Any], key: Array, network: Network, objectives: Sequence[Objective]
    ) -> dict[str, Any]:
        """Return the mixed batch.

        Raises:  ConfigError if the input or a target cannot be mixed
        """
        x = batch.get("x")
        where = "training." + ("mixup" if self.cutmix is None else "cutmix")
        if x is None or not jnp.issubdtype(x.dtype, jnp.inexact):
            raise ConfigError("there is no input x of real numbers to mix", where=where, cure="leave it out")
        if self.cutmix is not None and x.ndim != 4:
            cure = "use mixup, or provide images (batch, height, width, channels)"
            raise ConfigError(f"cutmix needs images, found x {tuple(x.shape)}", where="training.cutmix", cure=cure)
        soft = soft_targets(batch, network, objectives, where, x.dtype)
        keys = jax.random.split(fold_path(key, "mixing"), 4)
        order = jax.random.permutation(keys[0], x.shape[0])
        if self.cutmix is None:
            mixed_x, share = blended(x, order, beta(keys[1], self.mixup or 1.0))
        elif self.mixup is None:
            mixed_x, share = pasted(x, order, keys[2], beta(keys[1], self.cutmix))
        else:
            by_mixup = blended(x, order, beta(keys[1], self.mixup))
            by_cutmix = pasted(x, order, keys[2], beta(keys[1], self.cutmix))
            is_blended = jax.random.bernoulli(keys[3])
            mixed_x, share = (jnp.where(is_blended, a, b) for a, b in zip(by_mixup, by_cutmix, strict=True))
        mixed = {name: share.astype(y.dtype) * y + (1 - share).astype(y.dtype) * y[order] for name, y in soft.items()}
        return {**batch, **mixed, "x": mixed_x}


def soft_targets(
    batch: Mapping[str, Any], network: Network, objectives: Sequence[Objective], where: str, dtype: Any
) -> dict[str, Array]:
    """Return the columns to mix besides x: targets as numbers (shares, for classes), and sample weights."""
    specs = network.specs(batch, train=True)
    columns = {name: batch[name] for name in ("sample_weight",) if name in batch}
    for objective in objectives:
        output, *targets = objective.inputs
        if objective.loss.kind not in SOFT or getattr(objective.loss, "ignored", None) is not None:
            cure = f"leave it out, or choose one of {', '.join(SOFT)}, without `ignored`"
            raise ConfigError(f"{objective.loss.kind} does not support mixed targets", where=where, cure=cure)
        name = targets[0]
        if name == "x" or name not in batch:
            raise ConfigError(f"the target '{name}' is not a separate column", where=where, cure="leave it out")
        y = batch[name]
        is_number = jnp.issubdtype(y.dtype, jnp.inexact)
        columns[name] = y if is_number else jax.nn.one_hot(y, take(specs, output).shape[-1], dtype=dtype)
    return columns


def beta(key: Array, alpha: float) -> Array:
    """Draw a share between 0 and 1 from Beta(alpha, alpha); the same in any precision."""
    return jax.random.beta(key, alpha, alpha, dtype=jnp.float32)


def blended(x: Array, order: Array, share: Array) -> tuple[Array, Array]:
    """Return the weighted sum of each row and another one, and the weight of the row itself."""
    part = share.astype(x.dtype)
    return part * x + (1 - part) * x[order], share


def pasted(x: Array, order: Array, key: Array, share: Array) -> tuple[Array, Array]:
    """Return each image with a rectangle from another one, and the share of the image itself that remains."""
    inside = jnp.ones((), bool)
    for axis, axis_key in zip((1, 2), jax.random.split(key), strict=True):
        length = x.shape[axis]
        half = jnp.sqrt(1 - share) * length / 2
        middle = jax.random.uniform(axis_key, (), jnp.float32, 0, length)
        places = jnp.arange(length, dtype=jnp.float32) + 0.5
        within = (places >= middle - half) & (places < middle + half)
        inside = inside & within.reshape([length if i == axis else 1 for i in range(4)])
    return jnp.where(inside, x[order], x), 1 - jnp.mean(inside.astype(jnp.float32))
