"""The scale of signals before the first step, predicted layer by layer from the initial weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.network.layer import Activation, Context, Layer, Params
from retrograd.network.layers import Add, Dense, Dropout, Flatten, Identity, LearnedPositions, Reshape
from retrograd.network.layers.convolution.convolution import Convolution
from retrograd.network.layers.normalisation.normalisation import Normalisation

POINTS = 64  # quadrature points


@singledispatch
def predicted(layer: Layer, params: Params, inputs: Sequence[float]) -> float | None:
    """Return the root mean square of the output, given those of the inputs; None if no rule is known."""
    return None


@predicted.register(Dense)
@predicted.register(Convolution)
def _weighted(layer: Layer, params: Params, inputs: Sequence[float]) -> float | None:
    """Sums of fan_in independent products: rms(y)² = fan_in · mean(w²) · rms(x)² + mean(b²)."""
    weight = np.asarray(params["weight"], np.float64)
    fan_in = weight.size / weight.shape[-1]
    bias = float(np.mean(np.square(params["bias"]))) if "bias" in params else 0.0
    return math.sqrt(fan_in * float(np.mean(weight**2)) * inputs[0] ** 2 + bias)


@predicted.register(Activation)
def _activated(layer: Activation, params: Params, inputs: Sequence[float]) -> float | None:
    """E[f(z)²] for a Gaussian z, by quadrature; only for elementwise activations."""
    if params or not layer.by_element:
        return None
    points, weights = np.polynomial.hermite_e.hermegauss(POINTS)
    z = jnp.asarray(points * inputs[0], jnp.float32)[:, None]
    y = np.asarray(layer.forward({}, {}, Context(), z).y, np.float64)[:, 0]
    return math.sqrt(float(np.sum(weights * y**2) / np.sum(weights)))


@predicted.register(Normalisation)
def _normalised(layer: Normalisation, params: Params, inputs: Sequence[float]) -> float | None:
    """Every value is divided by the deviation, so rms(y) is the rms of the scale parameter."""
    return float(np.sqrt(np.mean(np.square(params["scale"])))) if "scale" in params else 1.0


@predicted.register(Add)
def _summed(layer: Add, params: Params, inputs: Sequence[float]) -> float | None:
    """The mean squares of independent signals add up."""
    return math.sqrt(sum(rms**2 for rms in inputs))


@predicted.register(Dropout)
def _dropped(layer: Dropout, params: Params, inputs: Sequence[float]) -> float | None:
    """The values that are not dropped are divided by their share."""
    return inputs[0] / math.sqrt(1 - layer.rate) if type(layer) is Dropout and layer.rate < 1 else None


@predicted.register(Flatten)
@predicted.register(Identity)
@predicted.register(Reshape)
def _unchanged(layer: Layer, params: Params, inputs: Sequence[float]) -> float | None:
    """The values do not change."""
    return inputs[0]


@predicted.register(LearnedPositions)
def _positioned(layer: LearnedPositions, params: Params, inputs: Sequence[float]) -> float | None:
    """Positions are added to the signal."""
    return math.sqrt(inputs[0] ** 2 + float(np.mean(np.square(params["weight"]))))


def rms(value: Any) -> float | None:
    """Return the root mean square of an array; None for integers and for several outputs."""
    if isinstance(value, dict) or not jnp.issubdtype(jnp.result_type(value), jnp.floating):
        return None
    return float(jax.device_get(jnp.sqrt(jnp.mean(jnp.square(value)))))
