"""Sounds, and the table row that belongs to each of them."""

from __future__ import annotations

import functools
import hashlib
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from retrograd.base.errors import DataError, Problem
from retrograd.base.memory import require_room
from retrograd.base.sentence import data_setting
from retrograd.data.audio.mel import Form, filters, log_mel
from retrograd.data.audio.wav import INTEGERS, Head, read_head, read_samples
from retrograd.data.table import SHOWN, Table, listed
from retrograd.data.tables.paths import shown_paths
from retrograd.present.wording import some_of

CURE = "repair or remove these files"
COMPLEX_BYTES = 16

T = TypeVar("T")


class Features(NamedTuple):
    """Log-mel features [rows, frames, bands], 0 after the end of a sound, and a mask of its frames [rows, frames]."""

    x: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True, eq=False)
class Sounds:
    """Sounds (files, or arrays of samples from -1 to 1), each with a row of the table, if there is one."""

    sources: tuple[Path | np.ndarray, ...]
    where: str
    table: Table | None = None
    rate: int = 0  # of arrays
    _features: dict[tuple[Form, np.dtype], Features] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.sources)

    def take(self, rows: np.ndarray) -> Sounds:
        """Return the rows at these indices, in this order."""
        table = None if self.table is None else self.table.take(rows)
        return Sounds(tuple(self.sources[i] for i in rows), self.where, table, self.rate)

    def numbered(self) -> Sounds:
        """Return the sounds with row numbers in their table, which survive a selection."""
        return self if self.table is None else replace(self, table=self.table.numbered())

    @functools.cached_property
    def heads(self) -> tuple[Head, ...]:
        """The headers of the files.

        Raises:  DataError naming the first files that are not sounds, and the number of others
        """
        return tuple(_each(self.sources, self._head))

    def features(self, form: Form, dtype: DTypeLike) -> Features:
        """Return the features of all sounds in a form, decoded one after another; the result is cached.

        Raises:  DataError naming the files that cannot be decoded
        """
        key = form, np.dtype(dtype)
        if key not in self._features:
            self._features[key] = self._decoded(*key)
        return self._features[key]

    def notes(self, form: Form) -> tuple[str, ...]:
        """Return sentences about how the sounds are converted to a form."""
        seconds, others = form.samples / form.rate, Counter(h.rate for h in self.heads if h.rate != form.rate)
        first = (
            f"{len(self)} sounds at {form.rate:,} samples per second: {form.frames} frames of {form.bands} mel bands"
        )
        mixed = sum(head.channels > 1 for head in self.heads)
        cut = sum(head.seconds > seconds + 0.5 / head.rate for head in self.heads)
        rates = some_of([f"{rate:,}" for rate in sorted(others)])
        return (
            f"{first}, {seconds:.4g} seconds",
            *([f"{mixed} of them have several channels, which are averaged"] if mixed else []),
            *([f"{others.total()} of them are resampled from {rates} samples per second"] if others else []),
            *([f"{cut} of them are longer and are cut (" + data_setting("audio.length", "...") + ")"] if cut else []),
        )

    @property
    def digest(self) -> str:
        """The SHA-256 of the samples or file names and of the table, as hexadecimal text."""
        digest = hashlib.sha256(str(self.rate).encode())
        for source in self.sources:
            digest.update(str(source).encode() if isinstance(source, Path) else np.ascontiguousarray(source).data)
        digest.update(b"" if self.table is None else self.table.digest.encode())
        return digest.hexdigest()

    @property
    def names(self) -> tuple[str, ...] | None:
        """The file names to show next to predictions; None for arrays."""
        paths = [source for source in self.sources if isinstance(source, Path)]
        return shown_paths(paths, self.where) if len(paths) == len(self) else None

    def _head(self, i: int) -> Head:
        source = self.sources[i]
        return read_head(source) if isinstance(source, Path) else Head(self.rate, 1, INTEGERS, 0, 0, len(source))

    def _sound(self, source: Path | np.ndarray, head: Head, form: Form) -> np.ndarray:
        """Return the samples of a sound at the rate of a form, up to its length."""
        most = math.ceil(form.samples * head.rate / form.rate)
        sound = read_samples(source, head, most) if isinstance(source, Path) else source[:most]
        return resampled(sound, head.rate, form.rate)[: form.samples]

    def _decoded(self, form: Form, dtype: np.dtype) -> Features:
        points = 2 * len(filters(form)) - 2
        needed = len(self) * form.frames * form.bands * dtype.itemsize + form.frames * points * COMPLEX_BYTES
        what = f"{len(self)} sounds of {form.frames:,} frames"
        require_room(needed, what, "data.audio.length", "choose a shorter `length`, or fewer `bands`")
        x = np.zeros((len(self), form.frames, form.bands), dtype)
        mask, heads = np.zeros(x.shape[:2], bool), self.heads

        def put(i: int) -> None:
            sound = self._sound(self.sources[i], heads[i], form)
            frames = form.frames_of(len(sound))
            x[i, :frames], mask[i, :frames] = log_mel(sound, form), True

        _each(self.sources, put)
        return Features(x, mask)


def _each(sources: tuple[Path | np.ndarray, ...], answer: Callable[[int], T]) -> list[T]:
    """Return the answer for each source; the errors of all sources are raised together."""
    answers: list[T] = []
    faults: list[Problem] = []
    for i in range(len(sources)):
        try:
            answers.append(answer(i))
        except DataError as error:
            faults += error.problems
    if len(faults) > 1:
        raise DataError(listed(faults[:SHOWN], len(faults), "files", CURE, faults[0].where))
    if faults:
        raise DataError(faults)
    return answers


def resampled(sound: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Return samples at another rate, filtered and interpolated in one step (`scipy.signal.resample_poly`)."""
    if rate == new_rate:
        return sound
    from scipy.signal import resample_poly  # a dependency of scikit-learn; takes a second to import, and few need it

    divisor = math.gcd(rate, new_rate)
    new: np.ndarray = resample_poly(sound, new_rate // divisor, rate // divisor)
    return new
