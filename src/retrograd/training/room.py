"""Whether a run fits into memory, estimated from shapes before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax

from retrograd.base.memory import available_bytes, out_of_memory
from retrograd.update.step import TrainState


def check_room(train: TrainState, outputs: Mapping[str, Any], factor: float) -> None:
    """Refuse a run whose parameters, gradients, moments and one batch's outputs do not fit: the least that it needs.

    `outputs` are specs of each node's output, `factor` times as large in a batch.

    Raises:  ResourceError naming what takes most of it.
    """
    parts = {f"{node}/{name}": nbytes(leaf) for node, own in train.params.items() for name, leaf in own.items()}
    needed = 2 * sum(parts.values()) + nbytes(train.optimizer)  # as many gradients as parameters
    parts |= {f"the output of {node}": int(factor * nbytes(spec)) for node, spec in outputs.items()}
    needed += sum(parts[f"the output of {node}"] for node in outputs)
    available = available_bytes()
    if available is not None and needed > available:
        largest = max(parts, key=lambda name: parts[name])
        raise out_of_memory(needed, f"training (the most: {largest}, {parts[largest]:,})")


def nbytes(tree: Any) -> int:
    """Return the bytes of arrays or specs."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
