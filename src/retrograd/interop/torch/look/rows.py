"""The rows of inspected minibatches: which of them recur, with which answers, and out of how many."""

from __future__ import annotations

from collections import Counter
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from retrograd.interop.torch.place import variables

BATCH, FEATURES, ANSWERS = 64, 1024, 8  # rows per batch, features per row, parts per answer that are read
KNOWN, SAMPLE = 20_000, 1500  # rows remembered by hash; rows kept for the signal test
LEAST = 64  # minimum number of rows in which a column must equal the target
HELD = 4  # rows of a batch that are searched for in a longer array
PROBED = 256  # features per row kept for the signal test


class Rows:
    """Hashes of rows with their answers, and a sample of both."""

    def __init__(self) -> None:
        self.looks = self.pure = 0
        self.repeated = self.contradicted = 0
        self.borrowed = 0  # contradictions whose new answer belongs to another row
        self.within = self.within_contradicted = 0  # repeated and contradicted rows inside one batch
        self.batches: set[int] = set()
        self.whole = True  # whether all parts of the answers are read
        self.size = 0  # rows in the largest batch
        self.available: int | None = None  # rows available for training
        self.loader_drops = 0  # rows that a DataLoader drops in every epoch
        self._columns: set[int] | None = None  # input columns that have equalled the target so far
        self._compared = 0  # number of rows compared
        self.labels: dict[int, int] = {}
        self.x: list[np.ndarray] = []
        self.y: list[np.ndarray] = []
        self._known: dict[int, bytes] = {}
        self._answers: set[bytes] = set()

    def add(self, x: Tensor, y: Tensor, line: Any) -> None:
        """Read a minibatch and its answers; another line of the program may have other answers for the same rows."""
        n = len(x)
        if n == 0 or y.ndim == 0 or len(y) != n:
            return
        flat = thinned(x[:BATCH], FEATURES)
        columns = plain(y)[:BATCH].reshape(min(n, BATCH), -1)
        self.whole &= columns.shape[1] <= ANSWERS
        answers = columns[:, :ANSWERS].cpu().numpy()
        self.looks += 1
        self.size = max(self.size, n)
        keys = [hash((line, row.tobytes())) for row in flat]
        self.batches.add(hash(tuple(keys)))
        here: dict[int, bytes] = {}
        for key, answer in zip(keys, (row.tobytes() for row in answers), strict=True):
            if key in here:
                self.within += 1
                self.within_contradicted += here[key] != answer
            elif key in self._known:
                self.repeated += 1
                self.contradicted += self._known[key] != answer
                self.borrowed += self._known[key] != answer and answer in self._answers
            here[key] = answer
        if len(self._known) < KNOWN:
            self._known.update(here)
            self._answers.update(here.values())
        self._count_labels(answers)
        self._compare(flat, answers)
        self._keep(flat, answers)

    def _count_labels(self, answers: np.ndarray) -> None:
        if answers.shape[1] == 1 and answers.dtype.kind in "iub":
            counts = Counter(answers[:, 0].tolist())
            self.pure += len(counts) == 1 and len(answers) >= 8  # with fewer rows, a single class is no surprise
            for label, count in counts.items():
                if label in self.labels or len(self.labels) < 1000:  # with more, they are numbers, not classes
                    self.labels[label] = self.labels.get(label, 0) + count

    def _compare(self, flat: np.ndarray, answers: np.ndarray) -> None:
        if answers.shape[1] == 1 and 1 < flat.shape[1] < FEATURES:
            same = set(np.flatnonzero((flat == answers.astype(flat.dtype)).all(0)).tolist())
            varied = {k for k in same if len(np.unique(flat[:, k])) > 1}
            self._columns = varied if self._columns is None else self._columns & varied
            self._compared += len(flat)

    def leaking(self) -> list[int]:
        """Return the input columns that equal the target in all compared rows, if there are enough rows."""
        return sorted(self._columns or ()) if self._compared >= LEAST else []

    def _keep(self, flat: np.ndarray, answers: np.ndarray) -> None:
        if sum(map(len, self.x)) < SAMPLE:
            stride = -(-flat.shape[1] // PROBED)
            self.x.append(flat[:, ::stride].astype(np.float32))
            self.y.append(answers.astype(np.float64))


def thinned(x: Tensor, features: int) -> np.ndarray:
    """Return the rows as an array, thinned to at most `features` evenly spaced features."""
    flat = plain(x).reshape(len(x), -1)
    return np.ascontiguousarray(flat[:, :: max(1, -(-flat.shape[1] // features))].cpu().numpy())


def plain(x: Tensor) -> Tensor:
    """Return values in a type that NumPy supports."""
    return x.detach().to(torch.float32) if x.dtype == torch.bfloat16 else x.detach()


def fingerprint(x: Tensor) -> int:
    """Return a hash of a minibatch."""
    return hash((tuple(x.shape), thinned(x[:8], FEATURES).tobytes()))


def available(frame: FrameType | None, x: Tensor) -> tuple[int | None, int]:
    """Return the number of rows that the batch was taken from, and the number that a DataLoader drops.

    It comes from a DataLoader with its batch size, or from a variable that contains its rows. Other longer variables of
    the same shape do not count: they may be points to plot, or another part of a split.
    """
    for _ in range(3):
        if frame is None:
            break
        values = variables(frame)
        loaders = [value for value in values if isinstance(value, DataLoader) and hasattr(value.dataset, "__len__")]
        for loader in loaders:
            n, size = len(loader.dataset), loader.batch_size or 1
            if size == len(x):
                return n, (n % size if loader.drop_last else 0)
        lengths = [len(value) for value in values if _alike(value, x) and _holds(value, x)]
        if lengths:
            return max(lengths), 0
        frame = frame.f_back
    return None, 0


def _alike(value: Any, x: Tensor) -> bool:
    shape = tuple(getattr(value, "shape", ())) if isinstance(value, (Tensor, np.ndarray)) else ()
    return len(shape) == x.ndim and shape[1:] == tuple(x.shape[1:]) and shape[0] > len(x)


def _holds(value: Any, x: Tensor) -> bool:
    """Return whether the first rows of a batch are among those of a longer array."""
    array = torch.as_tensor(value).detach()
    array = array.reshape(len(array), -1)
    for row in x.detach()[:HELD].reshape(min(len(x), HELD), -1).to(array.device):
        candidates = array[:, 0].to(row.dtype) == row[0]
        if not bool((array[candidates][:SAMPLE].to(row.dtype) == row).all(1).any()):
            return False
    return True


def moved_channels(x: Tensor) -> tuple[float, float] | None:
    """Return the roughness of images as they are, and when read as channels-last.

    roughness = mean |difference of neighbours| / mean |difference of pixels half an image apart|
    """
    # in smaller images, smoothness says nothing
    if x.ndim != 4 or not 2 <= x.shape[1] <= 4 or min(x.shape[2:]) < 8 or not x.is_floating_point():
        return None
    images = x.detach()[:8].to(torch.float32)
    n, channels, height, width = images.shape
    restored = images.reshape(n, height, width, channels).permute(0, 3, 1, 2)
    return _roughness(images), _roughness(restored)


def _roughness(images: Tensor) -> float:
    near = (images[..., 1:] - images[..., :-1]).abs().mean() + (images[..., 1:, :] - images[..., :-1, :]).abs().mean()
    half = images.shape[-1] // 2
    far = (images[..., half:] - images[..., : images.shape[-1] - half]).abs().mean()
    return float(near / (2 * far + 1e-12))
