"""Penalties on the size of parameters, added to the loss; value and gradient are both written out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array
from pydantic import AfterValidator

from retrograd.base.annotations import Expect, Words
from retrograd.base.quantities import NonNegativeFloat
from retrograd.base.registry import Registry
from retrograd.base.schema import Settings, unwritten
from retrograd.network.layer import Params
from retrograd.update.selection import select

penalties: Registry[Penalty] = Registry("penalty")

Patterns = Annotated[
    str | tuple[str, ...],
    AfterValidator(lambda value: (value,) if isinstance(value, str) else value),
    Expect("a list of patterns such as 'dense_*/weight'"),
]


@dataclass(frozen=True)
class Penalty(Settings):
    """A penalty on the size of parameters: `strength` times a sum over the selected parameters.

    parameters: patterns of paths such as `dense_1/weight` or `*/bias`; by default all weights, but no biases or scales.
    """

    formula: ClassVar[str]
    latex: ClassVar[str]

    open_numbers: ClassVar[tuple[str, ...]] = ("strength",)

    strength: Annotated[
        NonNegativeFloat,
        Words(
            "weight of the penalty in the loss",
            more="smaller weights, less overfitting; too much underfits",
            less="larger weights",
        ),
    ]
    parameters: Annotated[
        Patterns, Words("path patterns of the penalised parameters", why="all weights, no biases or scales")
    ] = ()

    def value(self, w: Array) -> Array:
        """Return the penalty for one parameter."""
        raise unwritten(self, "value(self, w)", "which returns the penalty for one parameter")

    def gradient(self, w: Array) -> Array:
        """Return the derivative of `value`."""
        raise unwritten(self, "gradient(self, w)", "the derivative of `value`")


@penalties.register("l2", example={"strength": 0.01})
@dataclass(frozen=True)
class L2(Penalty):
    """Half the sum of squares (for plain gradient descent, the same as weight decay; ridge).

        value = strength / 2 ‖w‖²

    See:  Krogh & Hertz 1992. Keras and scikit-learn's ridge have no factor 1/2: their strength counts double.
    """

    formula = "value = strength / 2 ‖w‖²; gradient = strength w"
    latex = r"\tfrac{\lambda}{2} \lVert w \rVert_2^2, \quad \nabla = \lambda w"

    def value(self, w: Array) -> Array:
        """strength / 2 ‖w‖²."""
        return self.strength / 2 * jnp.sum(w * w)

    def gradient(self, w: Array) -> Array:
        """strength w."""
        return self.strength * w


@penalties.register("l1", example={"strength": 0.01, "parameters": ["dense_1/*"]})
@dataclass(frozen=True)
class L1(Penalty):
    """The sum of absolute values, which drives individual entries towards 0 (lasso). With `l2`: elastic net.

        value = strength ‖w‖₁

    See:  Tibshirani 1996. The gradient at 0 is 0 (that of jnp.abs is 1); entries get close to 0 but rarely reach it.
    """

    formula = "value = strength ‖w‖₁; gradient = strength sign(w)"
    latex = r"\lambda \lVert w \rVert_1, \quad \nabla = \lambda \, \mathrm{sign}(w)"

    def value(self, w: Array) -> Array:
        """strength ‖w‖₁."""
        return self.strength * jnp.sum(jnp.abs(w))

    def gradient(self, w: Array) -> Array:
        """strength sign(w), with sign(0) = 0."""
        return self.strength * jnp.sign(w)


def penalise(terms: Sequence[Penalty], params: Mapping[str, Params]) -> tuple[Array | float, dict[str, Params]]:
    """Return the sum of the penalties and its gradient, which is 0 for parameters without a penalty.

    Raises:  ConfigError if a pattern matches no parameter
    """
    value: Any = 0.0
    grads = {node: jax.tree.map(jnp.zeros_like, node_params) for node, node_params in params.items()}
    for i, penalty in enumerate(terms):
        where = f"penalties.{i}.{penalties.name_of(type(penalty))}.parameters"
        for node, name in select(params, penalty.parameters, where):
            w = params[node][name]
            value = value + penalty.value(w)
            grads[node][name] = grads[node][name] + penalty.gradient(w)
    return value, grads
