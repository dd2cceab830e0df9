"""What an optimizer of the user's own must keep to, checked on shapes before the first step."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from retrograd.base.errors import ConfigError
from retrograd.network.own_layers import own_errors

PARAMS = {"node": {"weight": (3, 2), "bias": (2,)}}


def check_own(chain: optax.GradientTransformation, where: str) -> None:
    """Check that updates have the form of the parameters, and that the state keeps its form: a scan needs both.

    Raises:  ConfigError naming what has changed
    """
    params = {
        node: {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in own.items()}
        for node, own in PARAMS.items()
    }
    with own_errors(where):
        before = jax.eval_shape(chain.init, params)
        updates, after = jax.eval_shape(chain.update, params, before, params)
    for name, found, expected in (("the updates", updates, params), ("the state", after, before)):
        if _forms(found) != _forms(expected):
            message = f"{name} of direction() must keep their form: expected {_told(expected)}, found {_told(found)}"
            raise ConfigError(message, where=where, cure="keep shapes and dtypes from step to step")


def _forms(tree: Any) -> Any:
    return jax.tree.structure(tree), [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(tree)]


def _told(tree: Any) -> str:
    return ", ".join(f"{leaf.dtype}{list(leaf.shape)}" for leaf in jax.tree.leaves(tree)) or "nothing"
