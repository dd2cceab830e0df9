"""Parametrisations: the resulting weights, in the form of the inner layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.network import layers as kinds
from retrograd.network.layers.parametrised.parametrised import Parametrised
from retrograd.ship.onnx.graph import Graph, Value
from retrograd.ship.onnx.registry import Weights, to_onnx


@to_onnx.register(kinds.WeightNorm, kinds.SpectralNorm, settings="layer parameters iterations")
def parametrised(g: Graph, layer: Parametrised, weights: Weights, *inputs: Value) -> Any:
    """Write the inner layer."""
    made: Any = layer.made(weights, weights)[0]  # type: ignore[arg-type]  # arrays of NumPy do as well
    plain = {**weights, **{name: np.asarray(weight) for name, weight in made.items()}}
    return to_onnx.form_of(layer.layer, g.path)(g, layer.layer, plain, *inputs)
