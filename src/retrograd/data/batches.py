"""In which order rows are seen: a permutation for each epoch, cut into batches of equal size and a rest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from retrograd.base.errors import UsageError


class EpochOrder(NamedTuple):
    """Row numbers of the full batches [batches, batch_size] and of the smaller last one [rows], if there is one."""

    full: np.ndarray
    rest: np.ndarray | None


def epoch_order(
    rows: int, batch_size: int, seed: int, epoch: int, *, shuffle: bool = True, join_single: bool = False
) -> EpochOrder:
    """Return the batches of one epoch, int32; they depend on seed and epoch alone, so a resumed run sees the same.

    Every row is in exactly one batch. With `join_single` a single row left over joins the batch before it, which then
    is the rest (batch norm cannot train on one row).
    """
    if rows < 1 or batch_size < 1:
        raise UsageError(f"rows and batch_size must be at least 1, got {rows} and {batch_size}")
    order = np.arange(rows, dtype=np.int32)
    if shuffle:
        np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, epoch]))).shuffle(order)
    batches, left = divmod(rows, batch_size)
    if join_single and left == 1 and batches:
        batches -= 1
    cut = batches * batch_size
    return EpochOrder(order[:cut].reshape(batches, batch_size), order[cut:] if cut < rows else None)
