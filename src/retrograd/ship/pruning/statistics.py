"""Running statistics of norms after pruning: those of the original network are out of date."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from retrograd.data.batches import block_order
from retrograd.network.layer import Context
from retrograd.network.network import Variables
from retrograd.network.precision import computing_in, in_precision
from retrograd.propagation.backprop import forward
from retrograd.training.prepare import Prepared

BATCHES = 50  # with the usual momentum of 0.1, only 0.5 % of the previous running mean remains then


def measure_again(prepared: Prepared, variables: Variables) -> Variables:
    """Return the same weights, with running statistics from some batches of the training part."""
    state: dict[str, Any] = {
        node: {name: np.zeros_like(value) if name == "batches" else value for name, value in own.items()}
        for node, own in variables.state.items()
    }
    if not state:
        return variables
    network, key, precision = prepared.network, jax.random.key(0), prepared.config.training.precision

    @jax.jit
    def after(params: Any, state: Any, batch: Any) -> Any:
        return forward(network, params, state, Context(train=True, key=key), batch).state

    for batch in _batches(prepared):
        with computing_in(precision):
            state = after(variables.params, state, in_precision(batch, precision))
    return Variables(variables.params, jax.device_get(state))


def _batches(prepared: Prepared) -> Iterator[dict[str, Any]]:
    """Yield full batches of shuffled rows, over as many epochs as needed."""
    rows, seed = prepared.dataset.rows["train"], prepared.config.training.seed
    epochs = (block_order(rows, prepared.batch_size, seed, epoch).full for epoch in itertools.count())
    for order in itertools.islice(itertools.chain.from_iterable(epochs), BATCHES):
        yield {name: column[np.sort(order)] for name, column in prepared.dataset.train.items()}
