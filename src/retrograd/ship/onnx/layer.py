"""One layer alone as an ONNX model, and whether that computes what the layer computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.checking.draw import draw_input
from retrograd.network.layer import Context, Input, Layer, Spec
from retrograd.ship.onnx import forms
from retrograd.ship.onnx.graph import BATCH, Graph, Value, model_of
from retrograd.ship.onnx.registry import Weights, to_onnx
from retrograd.ship.onnx.session import run, session

assert forms.__all__  # importing them files them


def differences(layer: Layer, *inputs: Input | Sequence[int], seed: int = 0) -> dict[str, float]:
    """Return how far the outputs of a layer's ONNX form lie from the layer's, at the batch of the inputs and at twice
    it: the largest difference over the largest output or 1, by `output` and the rows; a wrong shape is infinity.
    """
    rng = np.random.default_rng(seed)
    given = [each if isinstance(each, Input) else Input(tuple(each)) for each in inputs]
    once, again = ([_narrow(draw_input(rng, each)) for each in given] for _ in range(2))
    twice = [np.concatenate(pair) for pair in zip(once, again, strict=True)]
    first, *wanted = jax.device_get(jax.jit(_both, static_argnums=0)(layer, jax.random.key(seed), once, twice))
    specs = [Spec(array.shape, array.dtype) for array in once]
    running = session(layer_model(layer, {**first.params, **first.state}, specs, wanted[0]))
    found: dict[str, float] = {}
    for arrays, ys in zip((once, twice), wanted, strict=True):
        outputs = run(running, {f"x{i}": array for i, array in enumerate(arrays)})
        found |= {f"{name} of {len(arrays[0])} rows": distance(outputs[name], y) for name, y in named(ys).items()}
    return found


def _both(layer: Layer, key: Any, once: list[Any], twice: list[Any]) -> Any:
    """Return first values, all moved so that no term hides, and the outputs for two batches."""
    first = layer.init(key, *(Spec(x.shape, x.dtype) for x in once))
    moved = jax.tree.map(lambda p: p + jax.random.uniform(key, p.shape, p.dtype, 0.1, 0.5), first)
    return moved, *(layer.forward(moved.params, moved.state, Context(), *arrays).y for arrays in (once, twice))


def layer_model(layer: Layer, weights: Weights, specs: Sequence[Spec], output: Any) -> Any:
    """Return a layer as an ONNX model with the inputs x0, x1, ... and the outputs `output` or those of its names."""
    graph = Graph()
    values = [Value(graph.free(f"x{i}"), spec.shape, dtype=np.dtype(spec.dtype).name) for i, spec in enumerate(specs)]
    made = named(to_onnx.write(graph, layer.kind, layer, weights, values, output))
    for name, value in made.items():
        graph.result(value, name)
    outputs = [(name, value.dtype, _free(value.shape)) for name, value in made.items()]
    return model_of(graph, [(value.name, value.dtype, _free(value.shape)) for value in values], outputs)


def distance(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the largest difference over the largest number wanted, or 1."""
    if found.shape != wanted.shape:
        return float("inf")
    if not wanted.size:
        return 0.0
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    apart = np.where(same, 0, np.abs(found - wanted)) / max(1.0, float(np.abs(wanted).max()))
    return float(np.where(np.isnan(apart), np.inf, apart).max())


def named(output: Any) -> dict[str, Any]:
    """Return outputs by name; a single one is called `output`."""
    return dict(output) if isinstance(output, Mapping) else {"output": output}


def _free(shape: Sequence[int]) -> list[Any]:
    return [BATCH, *shape[1:]]


def _narrow(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if jnp.issubdtype(array.dtype, np.floating) else array
