"""The order of rows: a permutation for each epoch, split into batches of equal size and a smaller rest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from retrograd.base.errors import UsageError

BLOCK_ROWS, WINDOW_BLOCKS = 4096, 64  # rows read together, and blocks whose rows are mixed


class EpochOrder(NamedTuple):
    """Row numbers of the full batches [batches, batch_size], and of the smaller last one [rows], if any."""

    full: np.ndarray
    rest: np.ndarray | None


def epoch_order(
    rows: int, batch_size: int, seed: int, epoch: int, *, shuffle: bool = True, join_single: bool = False
) -> EpochOrder:
    """Return the batches of one epoch, int32; they depend only on seed and epoch, so a resumed run gets the same ones.

    Every row is in exactly one batch. With `join_single`, a single remaining row joins the last full batch, which
    becomes the rest (batch norm cannot train on one row).
    """
    order = _all(rows, batch_size)
    if shuffle:
        _generator(seed, epoch).shuffle(order)
    return _cut(order, batch_size, join_single)


def block_order(
    rows: int, batch_size: int, seed: int, epoch: int, *, shuffle: bool = True, join_single: bool = False
) -> EpochOrder:
    """Return the batches of one epoch over rows on disk; they depend only on seed and epoch, as in `epoch_order`.

    Blocks of 4,096 rows are shuffled, and so are the rows within each window of 64 blocks: a window is read from 64
    places and contains rows from the whole file.
    """
    order = _all(rows, batch_size)
    if shuffle:
        generator = _generator(seed, epoch)
        blocks = generator.permutation(-(-rows // BLOCK_ROWS))
        parts = [order[block * BLOCK_ROWS : (block + 1) * BLOCK_ROWS] for block in blocks]
        order = np.concatenate(parts)
        for start in range(0, rows, WINDOW_BLOCKS * BLOCK_ROWS):
            generator.shuffle(order[start : start + WINDOW_BLOCKS * BLOCK_ROWS])
    return _cut(order, batch_size, join_single)


def batch_counts(rows: int, batch_size: int, join_single: bool = False) -> tuple[int, int]:
    """Return the number of full batches in an epoch, and the number of rows in the smaller last one."""
    batches, remaining = divmod(rows, batch_size)
    if join_single and remaining == 1 and batches:
        batches -= 1
    return batches, rows - batches * batch_size


def _all(rows: int, batch_size: int) -> np.ndarray:
    if rows < 1 or batch_size < 1:
        raise UsageError(f"rows and batch_size must be at least 1, got {rows} and {batch_size}")
    return np.arange(rows, dtype=np.int32)


def _generator(seed: int, epoch: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, epoch])))


def _cut(order: np.ndarray, batch_size: int, join_single: bool) -> EpochOrder:
    batches, _ = batch_counts(len(order), batch_size, join_single)
    cut = batches * batch_size
    return EpochOrder(order[:cut].reshape(batches, batch_size), order[cut:] if cut < len(order) else None)
