"""The multiply-adds of a traced function."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax

from retrograd.native.library import kernels

PRODUCTS = ("mul", "div", "integer_pow", "square")  # elementwise: one operation per element


def multiply_adds(function: Callable[..., Any], *arguments: Any) -> int:
    """Return the multiply-adds of a function of arrays or specs: a product and its addition count as one.

    Matrix products, convolutions and elementwise products count; sums alone, comparisons and functions such as exp do
    not. Nothing is computed.
    """
    with kernels(False):  # a call to a native kernel would hide its work
        return _count(jax.make_jaxpr(function)(*arguments).jaxpr)


def _count(jaxpr: Any) -> int:
    total = 0
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name == "dot_general":
            total += _dot(equation)
        elif name == "conv_general_dilated":
            total += _convolution(equation)
        elif name in PRODUCTS:
            total += math.prod(equation.outvars[0].aval.shape)
        elif name == "cond":
            total += max(_count(branch.jaxpr) for branch in equation.params["branches"])
        else:
            times = equation.params.get("length", 1) if name == "scan" else 1
            total += times * sum(_count(inner) for inner in _inner(equation.params))
    return total


def _outputs(equation: Any) -> int:
    shape: tuple[int, ...] = equation.outvars[0].aval.shape
    return math.prod(shape)


def _dot(equation: Any) -> int:
    (contracted, _), _ = equation.params["dimension_numbers"]
    left = equation.invars[0].aval.shape
    return _outputs(equation) * math.prod(int(left[axis]) for axis in contracted)


def _convolution(equation: Any) -> int:
    numbers = equation.params["dimension_numbers"]
    kernel = equation.invars[1].aval.shape
    _, *inputs_and_places = (int(kernel[axis]) for axis in numbers.rhs_spec)
    return _outputs(equation) * math.prod(inputs_and_places)


def _inner(params: Any) -> Iterator[Any]:
    """Yield the programs nested in an operation, such as a call or a loop."""
    for value in params.values():
        for item in value if isinstance(value, (tuple, list)) else (value,):
            if hasattr(item, "eqns"):
                yield item
            elif hasattr(item, "jaxpr") and hasattr(item.jaxpr, "eqns"):
                yield item.jaxpr
