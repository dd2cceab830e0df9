"""Values for the inputs that an example of a layer describes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from retrograd.network.layer import Input


def draw_input(rng: np.random.Generator, given: Input) -> np.ndarray:
    """Return float64 (or integer, or boolean) values of the kind that an example asks for."""
    return DRAW[given.kind](rng, given)


def _probabilities(rng: np.random.Generator, given: Input) -> np.ndarray:
    positive = rng.uniform(0.1, 1.0, given.shape)
    shares: np.ndarray = positive / positive.sum(-1, keepdims=True)
    return shares


def _mask(rng: np.random.Generator, given: Input) -> np.ndarray:
    mask = rng.random(given.shape) < 0.6
    mask[..., 0] = True
    return mask


DRAW: dict[str, Callable[[np.random.Generator, Input], np.ndarray]] = {
    "real": lambda rng, given: rng.normal(size=given.shape),
    "positive": lambda rng, given: rng.uniform(0.1, 2.0, given.shape),
    "probabilities": _probabilities,
    "labels": lambda rng, given: rng.integers(0, given.classes, given.shape).astype(np.int32),
    "binary": lambda rng, given: rng.integers(0, 2, given.shape).astype(np.float64),
    "signs": lambda rng, given: rng.integers(0, 2, given.shape) * 2.0 - 1.0,
    "mask": _mask,
}
