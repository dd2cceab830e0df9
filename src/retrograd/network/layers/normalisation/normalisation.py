"""The base of normalisations: scale and bias as parameters, and the derivative of standardising."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import jax.numpy as jnp
from jax import Array, lax

from retrograd.base.annotations import Expect, Registered, Words
from retrograd.base.errors import ShapeError
from retrograd.base.quantities import PositiveFloat
from retrograd.network.initializers import Constant, Initializer, InitialOrNone, Ones, Values, Zeros, draw, initializers
from retrograd.network.initializers import Numbers as GivenNumbers
from retrograd.network.layer import Equations, Init, Layer, Params, Spec

ONES, ZEROS = Ones(), Zeros()


NEWEST_SHARE = Words(
    "weight of the newest batch in the running mean and variance",
    more="follows the batches faster, with more noise",
    less="less noisy, and slower to follow",
    why="PyTorch's; Keras's 0.99 is 0.01 here",
)
LAST_AXES = Words(
    "number of trailing axes normalised together",
    more="statistics over more values",
    less="statistics over fewer values",
    why="1: the features of each position",
)


def _from_plain(value: Any) -> Any:
    """`true` means ones: unlike a bias, a scale that starts at 0 lets nothing through."""
    if isinstance(value, bool):
        return ONES if value else False
    return Values(value) if isinstance(value, tuple) else Constant(float(value))


InitialScale = Annotated[
    Initializer | Literal[False],
    Registered(initializers, otherwise=Annotated[bool | GivenNumbers, Expect("true, false, numbers")],
               coerce=_from_plain),
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Normalisation(Layer):
    """Base of the layers y = scale · xhat + bias, where xhat is x standardised."""

    keeps_scale: ClassVar[bool] = True
    equations: ClassVar[Equations] = Equations(
        forward="y = scale · (x − mean) / √(var + eps) + bias",
        backward=(
            "g = scale · dy; dx = (g − mean(g) − xhat · mean(g · xhat)) / √(var + eps)",
            "dscale = sum of dy · xhat",
            "dbias = sum of dy",
        ),
        latex_forward=r"\hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}, \quad y = \gamma \hat x + \beta",
        latex_backward=(
            r"\delta_x = \frac{1}{\sqrt{\sigma^2 + \epsilon}} \left(\gamma\delta_y - \overline{\gamma\delta_y}"
            r" - \hat x \, \overline{\gamma\delta_y \hat x}\right)",
            r"\nabla_\gamma = \textstyle\sum \delta_y \hat x",
            r"\nabla_\beta = \textstyle\sum \delta_y",
        ),
    )

    eps: Annotated[
        PositiveFloat,
        Words(
            "added to the variance, to avoid division by 0",
            more="channels of small variance are damped",
            less="channels of tiny variance are amplified more",
            why="PyTorch's",
        ),
    ] = 1e-5
    scale: Annotated[
        InitialScale,
        Words("initial values of the learned scale; false for none", why="1: no scaling at the start"),
    ] = ONES
    bias: Annotated[
        InitialOrNone,
        Words("initial values of the learned shift; false for none", why="0: no shift at the start"),
    ] = ZEROS

    def first(self, key: Array, shape: tuple[int, ...]) -> Init:
        """Return the configured parameters."""
        initials = {"scale": self.scale, "bias": self.bias}
        return Init({name: draw(initial, key, name, shape) for name, initial in initials.items() if initial})


def last(axes: int) -> tuple[int, ...]:
    """Return the indices of the last axes of an array, counted from its end."""
    return tuple(range(-axes, 0))


def expect_last(x: Array | Spec, axes: int) -> None:
    """Raise ShapeError unless x has a batch axis before its last ones."""
    if x.ndim <= axes:
        raise ShapeError(f"input: expected a batch axis and {axes} more, got {tuple(x.shape)}", where="axes")


def widened(x: Array) -> Array:
    """Return x in float32 at least: means of many values need it."""
    return x if x.dtype.itemsize >= 4 else x.astype(jnp.float32)


def statistics(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Return mean and (biased) variance over these axes, which are kept with length 1."""
    mean = jnp.mean(x, axes, keepdims=True)
    return mean, jnp.mean(jnp.square(x - mean), axes, keepdims=True)


def moved(old: Array, new: Array, share: float | Array) -> Array:
    """Return a running average updated with a new value, weighted by `share`."""
    return (1 - share) * old + share * new.astype(old.dtype)


def standardise(x: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, Array]:
    """Return xhat = (x - mean) / sqrt(var + eps) over these axes, and 1 / sqrt(var + eps)."""
    mean, var = statistics(x, axes)
    inverse = lax.rsqrt(var + eps)
    return (x - mean) * inverse, inverse


def standardise_backward(g: Array, xhat: Array, inverse: Array, axes: tuple[int, ...]) -> Array:
    """Return dx = (g - mean(g) - xhat mean(g xhat)) / sqrt(var + eps), where g is the delta of xhat."""
    along = jnp.mean(g * xhat, axes, keepdims=True)
    return inverse * (g - jnp.mean(g, axes, keepdims=True) - xhat * along)


def scaled(params: Params, xhat: Array) -> Array:
    """Return scale · xhat + bias, leaving out missing parameters."""
    y = xhat * params["scale"].astype(xhat.dtype) if "scale" in params else xhat
    return y + params["bias"].astype(y.dtype) if "bias" in params else y


def scaled_backward(params: Params, dy: Array, xhat: Array) -> tuple[Array, Params]:
    """Return the delta of xhat, and dscale = the sum of dy xhat, dbias = the sum of dy over all rows."""
    grads = {}
    for name, terms in (("scale", dy * xhat), ("bias", dy)):
        if name in params:
            outer = tuple(range(dy.ndim - params[name].ndim))
            grads[name] = jnp.sum(terms, outer, dtype=params[name].dtype)
    return dy * params["scale"].astype(dy.dtype) if "scale" in params else dy, grads
