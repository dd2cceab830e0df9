"""Mixup and cutmix: a step of training on rows that are each mixed with another one, and on their mixed targets."""

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

SOFT = (  # losses whose target may lie between two values
    "binary_cross_entropy", "cross_entropy", "focal", "huber", "kl_divergence", "mean_absolute_error",
    "mean_squared_error",
)  # fmt: skip


@dataclass(frozen=True)
class Mixing:
    """How a batch is mixed with itself in another order; of two ways each step draws one.

        mixup:   x' = l x + (1 - l) x[order],  y' = l y + (1 - l) y[order],  l ~ Beta(mixup, mixup)
        cutmix:  x' = x with a rectangle of x[order], of the area (1 - l) if nothing of it lies outside; l in y' is then
                 the share of x that is left

    Class numbers become shares of classes first. See: Zhang et al. 2018, arXiv:1710.09412; Yun et al. 2019,
    arXiv:1905.04899.
    """

    mixup: float | None = None
    cutmix: float | None = None

    def __call__(
        self, batch: Mapping[str, Any], key: Array, network: Network, objectives: Sequence[Objective]
    ) -> dict[str, Any]:
        """Return the mixed batch.

        Raises:  ConfigError where the input or a target cannot be mixed
        """
        x = batch.get("x")
        where = "training." + ("mixup" if self.cutmix is None else "cutmix")
        if x is None or not jnp.issubdtype(x.dtype, jnp.inexact):
            raise ConfigError("there is no input x of real numbers to mix", where=where, cure="leave it out")
        if self.cutmix is not None and x.ndim != 4:
            cure = "use mixup, or give images (batch, height, width, channels)"
            raise ConfigError(f"cutmix needs images, found x {tuple(x.shape)}", where="training.cutmix", cure=cure)
        soft = soft_targets(batch, network, objectives, where, x.dtype)
        keys = jax.random.split(fold_path(key, "mixing"), 4)
        order = jax.random.permutation(keys[0], x.shape[0])
        if self.cutmix is None:
            changed, share = blended(x, order, beta(keys[1], self.mixup or 1.0))
        elif self.mixup is None:
            changed, share = pasted(x, order, keys[2], beta(keys[1], self.cutmix))
        else:
            whole = blended(x, order, beta(keys[1], self.mixup))
            in_parts = pasted(x, order, keys[2], beta(keys[1], self.cutmix))
            is_blended = jax.random.bernoulli(keys[3])
            changed, share = (jnp.where(is_blended, a, b) for a, b in zip(whole, in_parts, strict=True))
        mixed = {name: share.astype(y.dtype) * y + (1 - share).astype(y.dtype) * y[order] for name, y in soft.items()}
        return {**batch, **mixed, "x": changed}


def soft_targets(
    batch: Mapping[str, Any], network: Network, objectives: Sequence[Objective], where: str, dtype: Any
) -> dict[str, Array]:
    """Return the columns to be mixed beside x: targets as numbers (of classes their shares), and weights."""
    specs = network.specs(batch, train=True)
    columns = {name: batch[name] for name in ("sample_weight",) if name in batch}
    for objective in objectives:
        output, *targets = objective.inputs
        if objective.loss.kind not in SOFT or getattr(objective.loss, "ignored", None) is not None:
            cure = f"leave it out, or choose one of {', '.join(SOFT)}, without `ignored`"
            raise ConfigError(f"{objective.loss.kind} takes no mixed targets", where=where, cure=cure)
        name = targets[0]
        if name == "x" or name not in batch:
            raise ConfigError(f"the target '{name}' is no column of its own", where=where, cure="leave it out")
        y = batch[name]
        is_number = jnp.issubdtype(y.dtype, jnp.inexact)
        columns[name] = y if is_number else jax.nn.one_hot(y, take(specs, output).shape[-1], dtype=dtype)
    return columns


def beta(key: Array, alpha: float) -> Array:
    """Return a share between 0 and 1 from Beta(alpha, alpha), the same in any precision."""
    return jax.random.beta(key, alpha, alpha, dtype=jnp.float32)


def blended(x: Array, order: Array, share: Array) -> tuple[Array, Array]:
    """Return each row and another one added up, and the share of the row itself."""
    part = share.astype(x.dtype)
    return part * x + (1 - part) * x[order], share


def pasted(x: Array, order: Array, key: Array, share: Array) -> tuple[Array, Array]:
    """Return each image with a rectangle of another one, and the share of the image itself that is left."""
    inside = jnp.ones((), bool)
    for axis, own in zip((1, 2), jax.random.split(key), strict=True):
        length = x.shape[axis]
        half = jnp.sqrt(1 - share) * length / 2
        middle = jax.random.uniform(own, (), jnp.float32, 0, length)
        places = jnp.arange(length, dtype=jnp.float32) + 0.5
        within = (places >= middle - half) & (places < middle + half)
        inside = inside & within.reshape([length if i == axis else 1 for i in range(4)])
    return jnp.where(inside, x[order], x), 1 - jnp.mean(inside.astype(jnp.float32))
