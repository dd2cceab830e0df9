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
    "first values of the weights: an initialiser, or the numbers themselves",
    why="the one that keeps the scale of signals through the activation that follows",
)
FIRST_BIAS = Words(
    "first values of the bias: an initialiser, numbers, or false for none",
    why="0: random weights make the units differ already",
)


@dataclass(frozen=True)
class Initializer(Settings):
    """A rule for first values. `fan_in` and `fan_out` are read off the last two axes of the shape."""

    make: ClassVar[Callable[..., Any]]

    def __call__(self, key: Array, shape: tuple[int, ...]) -> Array:
        """Return float32 values of this shape; they are the same whatever precision the run computes in."""
        values: Array = type(self).make()(key, shape, jnp.float32)
        return values

    def std(self, shape: tuple[int, ...]) -> float:
        """Return the standard deviation that the drawn values have (measured on one draw)."""
        return float(np.std(np.asarray(self(jax.random.key(0), shape))))


@initializers.register("zeros")
@dataclass(frozen=True)
class Zeros(Initializer):
    """All values 0: for biases. As a weight it leaves every unit of a layer alike."""

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
    """Every value the same number."""

    value: Annotated[Number, Words("the first value of every entry")]

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
    Expect("a number or nested lists of numbers, all rows equally long"),
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
            raise ShapeError(f"the values given have shape {array.shape}, the parameter has {tuple(shape)}")
        return jnp.asarray(array)


DEVIATION = Words(
    "standard deviation of the first values",
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
    """Gaussian cut at two standard deviations; `std_deviation` is that of the uncut one."""

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
            "largest absolute first value",
            more="larger signals at the start",
            less="smaller signals at the start",
            why="0.05, Keras's",
        ),
    ] = 0.05

    @override
    def __call__(self, key: Array, shape: tuple[int, ...]) -> Array:
        return jax.random.uniform(key, shape, jnp.float32, -self.limit, self.limit)


def _scaled(name: str, formula: str, make: Callable[..., Any], source: str) -> type[Initializer]:
    """File an initialiser of the variance-scaling family under its name."""

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
XavierUniform = _scaled("xavier_uniform", "Another name of glorot_uniform", _jax.glorot_uniform, _GLOROT)
XavierNormal = _scaled("xavier_normal", "Another name of glorot_normal", _jax.glorot_normal, _GLOROT)
HeUniform = _scaled("he_uniform", "U(-a, a), a = sqrt(6 / fan_in)", _jax.he_uniform, _HE)
HeNormal = _scaled("he_normal", "Gaussian, variance 2 / fan_in", _jax.he_normal, _HE)
LecunUniform = _scaled("lecun_uniform", "U(-a, a), a = sqrt(3 / fan_in)", _jax.lecun_uniform, "LeCun et al. 1998")
LecunNormal = _scaled("lecun_normal", "Gaussian, variance 1 / fan_in", _jax.lecun_normal, "LeCun et al. 1998")


@initializers.register("orthogonal")
@dataclass(frozen=True)
class Orthogonal(Initializer):
    """A random orthogonal matrix times `scale`: lengths pass through unchanged. See: Saxe et al. 2013."""

    scale: Annotated[
        PositiveFloat,
        Words(
            "length of the image of a vector of length 1",
            more="signals grow",
            less="signals shrink",
            why="1: lengths pass through unchanged",
        ),
    ] = 1.0

    @override
    def __call__(self, key: Array, shape: tuple[int, ...]) -> Array:
        return _jax.orthogonal(self.scale)(key, shape, jnp.float32)


def _from_plain(value: Any) -> Any:
    """`0.1` is a constant, lists are the values themselves, `true` zeros, `false` no such parameter."""
    if value is False:
        return False
    if value is True:
        return Zeros()
    return Values(value) if isinstance(value, tuple) else Constant(float(value))


Initial = Annotated[Initializer | None, Registered(initializers, otherwise=Numbers, coerce=_from_plain)]
InitialOrNone = Annotated[
    Initializer | Literal[False],
    Registered(initializers, otherwise=Annotated[bool | Numbers, Expect("true, false or numbers")], coerce=_from_plain),
]


def draw(initial: Initializer, key: Array, name: str, shape: tuple[int, ...]) -> Array:
    """Return the first values of the parameter `name` of a layer whose key this is."""
    try:
        return initial(fold_path(key, name), shape)
    except ShapeError as error:
        raise ShapeError([problem._replace(where=name) for problem in error.problems]) from None
    except (ValueError, ZeroDivisionError) as error:  # orthogonal and the fan rules need two axes, and inputs
        raise ShapeError(
            f"{initializers.name_of(type(initial))} cannot fill shape {shape}: {error}", where=name
        ) from None
