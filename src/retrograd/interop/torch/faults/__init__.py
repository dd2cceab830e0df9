"""The faults of loops, one file for each family; importing this package registers them."""

from retrograd.interop.torch.fault import loop_faults as faults
from retrograd.interop.torch.faults import (
    data as data,
    gradients as gradients,
    graph as graph,
    loss as loss,
    mode as mode,
    numbers as numbers,
    rate as rate,
    signal as signal,
    symptoms as symptoms,
    updates as updates,
)

__all__ = ["faults"]
