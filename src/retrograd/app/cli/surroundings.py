"""Process-wide set-up of the command line: JAX's compilation cache, the allocator, the user's layers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from retrograd.base import allocator
from retrograd.base.compilation.compile_cache import keep_compiled
from retrograd.base.memory import check_device
from retrograd.network.own_layers import load_layers
from retrograd.training.prepare import Prepared, nbytes


def settle(own_layers: Sequence[Path] | None = None, finds_device: bool = True) -> None:
    """Set up the compilation cache and the allocator, and load the user's layers.

    `finds_device=False` leaves the devices to be found later: JAX must not look before the processes have joined.
    """
    allocator.tune()
    if finds_device:
        check_device()
    keep_compiled()
    for file in own_layers or ():
        load_layers(file)


def step_bytes(prepared: Prepared) -> int:
    """Return roughly how many bytes of outputs and deltas a training step holds at once."""
    specs = prepared.network.specs({name: column[:1] for name, column in prepared.dataset.train.items()})
    return 2 * prepared.batch_size * nbytes(specs)
