"""Random values for the inputs described by a layer's example."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from retrograd.network.layer import Input


def draw_input(rng: np.random.Generator, spec: Input) -> np.ndarray:
    """Return random values (float64, integer or boolean) of the kind described by an example."""
    return DRAW[spec.kind](rng, spec)


def _probabilities(rng: np.random.Generator, spec: Input) -> np.ndarray:
    positive = rng.uniform(0.1, 1.0, spec.shape)
    shares: np.ndarray = positive / positive.sum(-1, keepdims=True)
    return shares


def _mask(rng: np.random.Generator, spec: Input) -> np.ndarray:
    mask = rng.random(spec.shape) < 0.6
    mask[..., 0] = True
    return mask


DRAW: dict[str, Callable[[np.random.Generator, Input], np.ndarray]] = {
    "real": lambda rng, spec: rng.normal(size=spec.shape),
    "positive": lambda rng, spec: rng.uniform(0.1, 2.0, spec.shape),
    "probabilities": _probabilities,
    "labels": lambda rng, spec: rng.integers(0, spec.classes, spec.shape).astype(np.int32),
    "binary": lambda rng, spec: rng.integers(0, 2, spec.shape).astype(np.float64),
    "signs": lambda rng, spec: rng.integers(0, 2, spec.shape) * 2.0 - 1.0,
    "mask": _mask,
}
