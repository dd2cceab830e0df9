"""Requirements on a user's own optimizer, checked on shapes before the first step."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from retrograd.base.errors import ConfigError
from retrograd.network.own_layers import own_errors

PARAMS = {"node": {"weight": (3, 2), "bias": (2,)}}


def check_own(chain: optax.GradientTransformation, where: str) -> None:
    """Check that updates have the structure of the parameters and that the state keeps its own: a scan needs both.

    Raises:  ConfigError naming what has changed
    """
    params = {
        node: {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()}
        for node, shapes in PARAMS.items()
    }
    with own_errors(where):
        state = jax.eval_shape(chain.init, params)
        updates, new_state = jax.eval_shape(chain.update, params, state, params)
    for name, actual, expected in (("the updates", updates, params), ("the state", new_state, state)):
        if _forms(actual) != _forms(expected):
            found = f"expected {_described(expected)}, found {_described(actual)}"
            raise ConfigError(f"{name} of direction() changed: {found}", where=where,
                              cure="keep structure, shapes and dtypes from step to step")  # fmt: skip


def _forms(tree: Any) -> Any:
    return jax.tree.structure(tree), [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(tree)]


def _described(tree: Any) -> str:
    return ", ".join(f"{leaf.dtype}{list(leaf.shape)}" for leaf in jax.tree.leaves(tree)) or "nothing"
