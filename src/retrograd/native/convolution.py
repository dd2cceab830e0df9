"""Convolution by native kernels: forward, and the gradients by data and weights; sequences are images of height 1.

Forward adds a bias and a residual and applies relu as it stores its sums, which saves a pass over memory for each.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import jax.numpy as jnp
import numpy as np
from jax import Array

from retrograd.native.call import Kernel, Spec

FORWARD = Kernel("convolve", (0, None), (0,))
BY_DATA = Kernel("data_gradient", (0, None), (0,))
BY_WEIGHTS = Kernel("weight_gradient", (0, 0), (None,))
FEW_CHANNELS = 4
PLAIN = 16  # channels and filters that fill a vector


class Window(Protocol):
    """The geometry of a kernel on its input; every field has one entry per axis."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    lengths: tuple[int, ...]
    outputs: tuple[int, ...]


class Epilogue(NamedTuple):
    """What follows a convolution's sums: + bias [filters], + residual (shaped like the result), then relu."""

    bias: Array | None = None
    residual: Array | None = None
    relu: bool = False

    def of(self, arrays: Sequence[Array]) -> Epilogue:
        """Return the same with other arrays, given in the order of the fields."""
        left = iter(arrays)
        bias, residual = (None if array is None else next(left) for array in (self.bias, self.residual))
        return Epilogue(bias, residual, self.relu)

    @property
    def attribute(self) -> np.ndarray:
        """Which of these are present, in the form passed to the kernel."""
        return np.array([self.bias is not None, self.residual is not None, self.relu], np.int64)


NOTHING = Epilogue()


def convolve_natively(formula: Callable[..., Array]) -> Callable[..., Array]:
    """Let a kernel compute convolve(x, weight, window, groups, epilogue) where it is faster than the formula."""

    @functools.wraps(formula)
    def convolve(x: Array, weight: Array, window: Window, groups: int = 1, epilogue: Epilogue = NOTHING) -> Array:
        arrays, axes = [x, weight], list(FORWARD.arguments)
        for array, axis in ((epilogue.bias, None), (epilogue.residual, 0)):
            if array is not None:
                arrays.append(array)
                axes.append(axis)
        if not (FORWARD.suits(*arrays) and faster(FORWARD, window, groups, x.shape[-1], weight.shape[-1])):
            return formula(x, weight, window, groups, epilogue)

        def bound_formula(x: Array, weight: Array, *rest: Array) -> Array:
            return formula(x, weight, window, groups, epilogue.of(rest))

        def specs(x: Array, weight: Array, *_: Array) -> list[Spec]:
            return [Spec((x.shape[0], *window.outputs, weight.shape[-1]), x.dtype)]

        kernel = FORWARD._replace(arguments=tuple(axes))
        return _call(kernel, bound_formula, specs, window, groups, *arrays, epilogue=epilogue.attribute)

    return convolve


def data_gradient_natively(formula: Callable[..., Array]) -> Callable[..., Array]:
    """Let a kernel compute data_gradient(dy, weight, window, groups) where it is faster than the formula."""

    @functools.wraps(formula)
    def data_gradient(dy: Array, weight: Array, window: Window, groups: int = 1) -> Array:
        channels = weight.shape[-2] * groups
        if not (BY_DATA.suits(dy, weight) and faster(BY_DATA, window, groups, channels, weight.shape[-1])):
            return formula(dy, weight, window, groups)

        def specs(dy: Array, weight: Array) -> list[Spec]:
            return [Spec((dy.shape[0], *window.lengths, channels), dy.dtype)]

        return _call(BY_DATA, lambda dy, weight: formula(dy, weight, window, groups), specs, window, groups, dy, weight)

    return data_gradient


def weight_gradient_natively(formula: Callable[..., Array]) -> Callable[..., Array]:
    """Let a kernel compute weight_gradient(x, dy, window, groups, dtype) where it is faster than the formula."""

    @functools.wraps(formula)
    def weight_gradient(x: Array, dy: Array, window: Window, groups: int, dtype: Any) -> Array:
        channels, filters = x.shape[-1], dy.shape[-1]
        fits = dtype == jnp.float32 and BY_WEIGHTS.suits(x, dy)
        if not (fits and faster(BY_WEIGHTS, window, groups, channels, filters)):
            return formula(x, dy, window, groups, dtype)

        def specs(*_: Array) -> list[Spec]:
            return [Spec((*window.kernel, channels // groups, filters), dtype)]

        def bound_formula(x: Array, dy: Array) -> Array:
            return formula(x, dy, window, groups, dtype)

        return _call(BY_WEIGHTS, bound_formula, specs, window, groups, x, dy)

    return weight_gradient


def faster(kernel: Kernel, window: Window, groups: int, channels: int, filters: int) -> bool:
    """Return whether the kernels are faster than XLA for these shapes (measured by benchmarks/bench_conv.py)."""
    if len(window.kernel) > 2:
        return False  # the kernels handle images only
    if groups > 1 and channels == groups:
        return filters == channels  # depthwise with one filter per channel
    if kernel == BY_DATA and channels // groups < FEW_CHANNELS:
        return False  # channels are the columns of the product; few leave most of a vector idle
    if max(window.kernel) == 1 and kernel != BY_WEIGHTS:  # a plain product, at which XLA is as fast on one thread
        return min(channels, filters) >= PLAIN and (kernel == FORWARD or max(window.stride) == 1)
    return True


def _call(
    kernel: Kernel, formula: Callable[..., Array], specs: Callable[..., list[Spec]], window: Window, groups: int,
    *arrays: Array, **attributes: np.ndarray,
) -> Array:  # fmt: skip
    """Call a kernel that handles images only; a sequence is passed as an image of height 1."""
    missing = 2 - len(window.kernel)
    pairs = ((window.stride, 1), (window.dilation, 1), (tuple(before for before, _ in window.padding), 0))
    numbers = [n for values, fill in pairs for n in (*[fill] * missing, *values)]
    attributes["window"] = np.array([*numbers, groups], np.int64)
    if not missing:
        y: Array = kernel(formula, specs, *arrays, **attributes)
        return y

    def tall(spec: Any, kernel_like: bool) -> tuple[int, ...]:
        return (1, *spec.shape) if kernel_like else (spec.shape[0], 1, *spec.shape[1:])

    def flat_shape(shape: tuple[int, ...], kernel_like: bool) -> tuple[int, ...]:
        return shape[1:] if kernel_like else (shape[0], *shape[2:])

    def flat(array: Array, kernel_like: bool) -> Array:
        return array.reshape(flat_shape(array.shape, kernel_like))

    kinds, result = [axis is None for axis in kernel.arguments], kernel.results[0] is None

    def formula_of_tall(*arrays: Array) -> Array:
        result_of_formula = formula(*map(flat, arrays, kinds))
        return result_of_formula.reshape(tall(result_of_formula, result))

    def specs_of_tall(*arrays: Array) -> list[Spec]:
        shapes = (Spec(flat_shape(array.shape, kind), array.dtype) for array, kind in zip(arrays, kinds, strict=True))
        (spec,) = specs(*shapes)
        return [Spec(tall(spec, result), spec.dtype)]

    reshaped = [array.reshape(tall(array, kind)) for array, kind in zip(arrays, kinds, strict=True)]
    return flat(kernel(formula_of_tall, specs_of_tall, *reshaped, **attributes), result)
