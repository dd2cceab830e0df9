"""An ensemble: members whose weights are stacked along a first axis, and whose answers are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from retrograd.network.layer import Spec
from retrograd.network.losses.binary_cross_entropy import BinaryCrossEntropy
from retrograd.network.losses.cross_entropy import CrossEntropy
from retrograd.network.network import Variables
from retrograd.training.use.link import link_of


def stacked(members: Sequence[Variables]) -> Variables:
    """Stack the weights of several members along a new first axis, in the members' precision."""
    return Variables(
        *jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *map(tuple, members))
    )


def stacked_specs(specs: Any, members: int) -> Any:
    """Return the specs of several members' weights, given those of one."""
    return specs if members == 1 else jax.tree.map(lambda spec: Spec((members, *spec.shape), spec.dtype), specs)


def combined(outputs: Array, loss: Any) -> Array:
    """Return the output [rows, ...] equivalent to the average answer of the members' outputs [members, rows, ...].

    logits:      y = log of the mean probability (for two classes log p - log(1 - p)), so that softmax gives the mean
    logarithms:  y = log of the mean rate
    else:        y = mean of the outputs
    """
    if isinstance(loss, CrossEntropy) and loss.from_logits:
        return mean_of_logarithms(jax.nn.log_softmax(outputs, -1))
    if isinstance(loss, BinaryCrossEntropy) and loss.from_logits:
        return mean_of_logarithms(jax.nn.log_sigmoid(outputs)) - mean_of_logarithms(jax.nn.log_sigmoid(-outputs))
    if link_of(loss) == "log":
        return mean_of_logarithms(outputs)
    return jnp.mean(outputs, 0)


def mean_of_logarithms(logarithms: Array) -> Array:
    """Return log(mean(exp(logarithms))) over the first axis."""
    return jax.nn.logsumexp(logarithms, 0) - jnp.log(jnp.asarray(len(logarithms), logarithms.dtype))
