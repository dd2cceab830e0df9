"""Numbers as they were written: float32 values as the decimals that they represent."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.network.initializers import Constant, Initializer, Values
from retrograd.network.network import Network

MOST_READ = 100_000  # maximum number of values converted to decimals one by one


def as_written(column: Any) -> np.ndarray:
    """Return float32 numbers as the shortest decimals that they represent: 0.1, not 0.10000000149."""
    values = np.asarray(column)
    if values.dtype != np.float32:
        return values.astype(np.float64) if values.dtype.kind == "f" else values
    if values.size > MOST_READ:
        return values.astype(np.float64)
    return np.array([float(str(value)) for value in values.reshape(-1)], np.float64).reshape(values.shape)


def given_params(network: Network, params: Any) -> dict[str, dict[str, Any]]:
    """Return initial parameters in float64: given numbers exactly as written, drawn ones widened."""

    def read(node: str, name: str, value: Any) -> np.ndarray:
        rule = getattr(network.by_name[node].layer, name, None)
        is_written = isinstance(rule, Initializer) and isinstance(rule, (Values, Constant))
        single = np.asarray(value).astype(np.float32)
        # a float64 with more digits was not rounded to float32
        is_rounded = is_written and np.array_equal(single, np.asarray(value))
        return as_written(single) if is_rounded else np.asarray(value, np.float64)

    return {
        node: {name: read(node, name, value) for name, value in node_params.items()}
        for node, node_params in params.items()
    }
