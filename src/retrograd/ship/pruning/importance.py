"""The importance of each set of channels: by the size of its weights, or by how the loss would change without it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from retrograd.network.layer import Context
from retrograd.network.network import Network, Variables
from retrograd.network.precision import Precision, computing_in, in_precision
from retrograd.propagation.backprop import backprop
from retrograd.propagation.objective import Objective
from retrograd.ship.pruning.coupling import Coupling, Slice

ROWS = 512  # of the training part, on which the loss is differentiated
AT_ONCE = 8  # rows whose products are summed before taking the absolute value; with more, they would cancel


def by_magnitude(coupling: Coupling, variables: Variables) -> dict[int, float]:
    """Return the sum of squared weights of each set, relative in each matrix to the mean over its channels."""
    found: dict[int, float] = defaultdict(float)
    for piece in coupling.slices:
        if piece.part != "params" or (value := np.asarray(variables.params[piece.node][piece.name])).ndim < 2:
            continue
        squares = _over_others(np.square(value, dtype=np.float64), piece.axis)
        _add(found, coupling, piece, squares / max(float(squares.mean()), 1e-300))
    return found


def by_taylor(network: Network, objectives: Sequence[Objective], coupling: Coupling, variables: Variables,
              columns: Mapping[str, Any], precision: Precision) -> dict[int, float]:  # fmt: skip
    """Return how much the loss would change without each set, to first order, summed over portions of rows.

        importance = Σ over portions |Σ over rows and positions of output · delta|

    The delta is what the layers that read the channel propagate back; for a product with W, the sum over rows and
    positions is Σ W · dW over the weights that read it, known from the backward pass. See: Molchanov et al. 2017,
    arXiv:1611.06440, and 2019, arXiv:1906.10771.
    """
    pieces = [piece for piece in coupling.slices if piece.reads]
    slopes = _slopes(network, objectives, pieces)
    found: dict[int, float] = defaultdict(float)
    for batch in portions(columns):
        with computing_in(precision):
            sums = jax.device_get(slopes(*variables, in_precision(batch, precision)))
        total: dict[int, float] = defaultdict(float)
        for piece, values in zip(pieces, sums, strict=True):
            _add(total, coupling, piece, values)
        for root, value in total.items():
            found[root] += abs(value)
    return found


def portions(columns: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a few rows at a time, evenly spaced."""
    rows = len(next(iter(columns.values())))
    size = min(AT_ONCE, rows)
    count = min(ROWS, rows) // size
    for i in range(count):
        first = i * (rows - size) // max(count - 1, 1)
        yield {name: column[first : first + size] for name, column in columns.items()}


def _slopes(network: Network, objectives: Sequence[Objective], pieces: Sequence[Slice]) -> Callable[..., Any]:
    def slopes(params: Any, state: Any, batch: Mapping[str, Any]) -> list[jax.Array]:
        grads = backprop(network, objectives, params, state, Context(), batch).grads
        products = (params[piece.node][piece.name] * grads[piece.node][piece.name] for piece in pieces)
        return [_over_others(product, piece.axis) for piece, product in zip(pieces, products, strict=True)]

    return jax.jit(slopes)


def _over_others(value: Any, axis: int) -> Any:
    """Return the sums over all axes but one."""
    return value.sum(tuple(i for i in range(value.ndim) if i != axis))


def _add(found: dict[int, float], coupling: Coupling, piece: Slice, values: np.ndarray) -> None:
    for root, value in zip(coupling.channels.roots(piece.labels), values, strict=True):
        found[int(root)] += float(value)
