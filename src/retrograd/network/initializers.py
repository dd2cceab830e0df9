"""Initial values of parameters: jax.nn.initializers by name, and numbers given in the configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from pydantic import AfterValidator, WithJsonSchema
from typing_extensions import override

from retrograd.base.annotations import Expect, Registered, Words
from retrograd.base.errors import ShapeError
from retrograd.base.keys import fold_path
from retrograd.base.quantities import Number, PositiveFloat
from retrograd.base.registry import Registry
from retrograd.base.schema import Settings

initializers: Registry[Initializer] = Registry("initializer")
_jax = jax.nn.initializers


FIRST_WEIGHT = Words(
    "initial values of the weights: an initializer, or the numbers themselves",
    why="the one that preserves the scale of signals through the next activation",
)
FIRST_BIAS = Words(
    "initial values of the bias: an initializer, numbers, or false for no bias",
    why="0: random weights already make the units differ",
)


@dataclass(frozen=True)
class Initializer(Settings):
    """A rule for initial values. `fan_in` and `fan_out` come from the last two axes of the shape."""

    make: ClassVar[Callable[..., Any]]

    def __call__(self, key: Array, shape: tuple[int, ...]) -> Array:
        """Return float32 values of this shape, the same in any precision of the run."""
        values: Array = type(self).make()(key, shape, jnp.float32)
        return values

    def std(self, shape: tuple[int, ...]) -> float:
        """Return the standard deviation of the drawn values (measured on one draw)."""
        return float(np.std(np.asarray(self(jax.random.key(0), shape))))


@initializers.register("zeros")
@dataclass(frozen=True)
class Zeros(Initializer):
    """All values 0: for biases. As a weight it makes all units of a layer identical."""

    make = _jax.constant

    @override
    def __call__(self, key: Array, shape: tuple[int, ...]) -> Array:
        return jnp.zeros(shape, jnp.float32)


@initializers.register("ones")
@dataclass(frozen=True)
class Ones(Initializer):
    """All values 1: for scales."""

    @override
    def __call__(self, key: Array, shape: tuple[int, ...]) -> Array:
        return jnp.ones(shape, jnp.float32)


@initializers.register("constant")
@dataclass(frozen=True)
class Constant(Initializer):
    """All values equal to one number."""

    value: Annotated[Number, Words("the initial value of every entry")]

    plain_form: ClassVar[bool] = True

    @override
    def __call__(self, key: Array, shape: tuple[int, ...]) -> Array:
        return jnp.full(shape, self.value, jnp.float32)


def _numbers(value: Any) -> Any:
    array = np.asarray(value)  # a ragged list raises ValueError, which pydantic turns into a message
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise ValueError("not finite numbers")
    return value


Numbers = Annotated[
    Any,
    AfterValidator(_numbers),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "array", "minItems": 1}]}),
    Expect("a number or nested lists of numbers, with rows of equal length"),
]


@initializers.register("values")
@dataclass(frozen=True)
class Values(Initializer):
    """The numbers themselves, as nested lists: `weight: [[0.5, 0.9], [0.4, 1.0]]`."""

    values: Annotated[Numbers, Words("the numbers themselves, as nested lists")]

    plain_form: ClassVar[bool] = True

    @override
    def __call__(self, key: Array, shape: tuple[int, ...]) -> Array:
        array = np.asarray(self.values, np.float32)
        if array.shape != tuple(shape):
            raise ShapeError(f"the given values have shape {array.shape}, but the parameter has {tuple(shape)}")
        return jnp.asarray(array)


DEVIATION = Words(
    "standard deviation of the initial values",
    more="larger signals at the start; may saturate or explode",
    less="smaller signals at the start; may vanish",
)


@initializers.register("normal")
@dataclass(frozen=True)
class Normal(Initializer):
    """Gaussian with mean 0 and a given standard deviation."""

    std_deviation: Annotated[PositiveFloat, DEVIATION] = 0.05

    @override
    def __call__(self, key: Array, shape: tuple[int, ...]) -> Array:
        return _jax.normal(self.std_deviation)(key, shape, jnp.float32)


@initializers.register("truncated_normal")
@dataclass(frozen=True)
class TruncatedNormal(Initializer):
    """Gaussian truncated at two standard deviations; `std_deviation` is that before truncation."""

    std_deviation: Annotated[PositiveFloat, DEVIATION] = 0.05

    @override
    def __call__(self, key: Array, shape: tuple[int, ...]) -> Array:
        return _jax.truncated_normal(self.std_deviation)(key, shape, jnp.float32)


@initializers.register("uniform")
@dataclass(frozen=True)
class Uniform(Initializer):
    """Uniform between -limit and limit (Keras's `uniform` has limit 0.05)."""

    limit: Annotated[
        PositiveFloat,
        Words(
            "largest absolute initial value",
            more="larger signals at the start",
            less="smaller signals at the start",
            why="0.05, Keras's",
        ),
    ] = 0.05

    @override
    def __call__(self, key: Array, shape: tuple[int, ...]) -> Array:
        return jax.random.uniform(key, shape, jnp.float32, -self.limit, self.limit)


def _scaled(name: str, formula: str, make: Callable[..., Any], source: str) -> type[Initializer]:
    """Register an initializer of the variance-scaling family under its name."""

    @initializers.register(name)
    @dataclass(frozen=True)
    class Scaled(Initializer):
        __doc__ = f"{formula}. See: {source}."

    Scaled.make = staticmethod(make)
    Scaled.__name__ = Scaled.__qualname__ = "".join(part.title() for part in name.split("_"))
    return Scaled


_GLOROT, _HE = "Glorot & Bengio 2010", "He et al. 2015, arXiv:1502.01852"
GlorotUniform = _scaled("glorot_uniform", "U(-a, a), a = sqrt(6 / (fan_in + fan_out))", _jax.glorot_uniform, _GLOROT)
GlorotNormal = _scaled("glorot_normal", "Gaussian, variance 2 / (fan_in + fan_out)", _jax.glorot_normal, _GLOROT)
XavierUniform = _scaled("xavier_uniform", "Another name for glorot_uniform", _jax.glorot_uniform, _GLOROT)
XavierNormal = _scaled("xavier_normal", "Another name for glorot_normal", _jax.glorot_normal, _GLOROT)
HeUniform = _scaled("he_uniform", "U(-a, a), a = sqrt(6 / fan_in)", _jax.he_uniform, _HE)
HeNormal = _scaled("he_normal", "Gaussian, variance 2 / fan_in", _jax.he_normal, _HE)
LecunUniform = _scaled("lecun_uniform", "U(-a, a), a = sqrt(3 / fan_in)", _jax.lecun_uniform, "LeCun et al. 1998")
LecunNormal = _scaled("lecun_normal", "Gaussian, variance 1 / fan_in", _jax.lecun_normal, "LeCun et al. 1998")


@initializers.register("orthogonal")
@dataclass(frozen=True)
class Orthogonal(Initializer):
    """A random orthogonal matrix times `scale`: with scale 1 it preserves lengths. See: Saxe et al. 2013."""

    scale: Annotated[
        PositiveFloat,
        Words(
            "factor by which vectors are stretched",
            more="signals grow",
            less="signals shrink",
            why="1: lengths are preserved",
        ),
    ] = 1.0

    @override
    def __call__(self, key: Array, shape: tuple[int, ...]) -> Array:
        return _jax.orthogonal(self.scale)(key, shape, jnp.float32)


def _from_plain(value: Any) -> Any:
    """`0.1` is a constant, lists are the values themselves, `true` means zeros, `false` no such parameter."""
    if value is False:
        return False
    if value is True:
        return Zeros()
    return Values(value) if isinstance(value, tuple) else Constant(float(value))


Initial = Annotated[Initializer | None, Registered(initializers, otherwise=Numbers, coerce=_from_plain)]
InitialOrNone = Annotated[
    Initializer | Literal[False],
    Registered(initializers, otherwise=Annotated[bool | Numbers, Expect("true, false, numbers")], coerce=_from_plain),
]


def draw(initial: Initializer, key: Array, name: str, shape: tuple[int, ...]) -> Array:
    """Return the initial values of the parameter `name` of a layer with this key."""
    try:
        return initial(fold_path(key, name), shape)
    except ShapeError as error:
        raise ShapeError([problem._replace(where=name) for problem in error.problems]) from None
    except (ValueError, ZeroDivisionError) as error:  # orthogonal and fan rules need two axes, and at least one input
        raise ShapeError(
            f"{initializers.name_of(type(initial))} cannot fill shape {shape}: {error}", where=name
        ) from None
