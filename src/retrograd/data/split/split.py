"""Dividing rows into training, validation and test parts: index arrays, the same for the same seed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from retrograd.base.errors import DataError
from retrograd.base.sentence import data_setting
from retrograd.data.split.settings import SplitSettings

FEW_ROWS = 10  # minimum for a meaningful validation part


class Split(NamedTuple):
    """Row numbers of the three parts, each in ascending order."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray


class RowLabels(NamedTuple):
    """Each row's class as a number, and the names of the classes."""

    numbers: np.ndarray
    names: tuple[str, ...]


def choose_method(settings: SplitSettings, rows: int, has_classes: bool, has_valid: bool) -> str:
    """Return the chosen method, with `auto` resolved."""
    if settings.method != "auto":
        return settings.method
    if has_valid or rows < FEW_ROWS:
        return "none"
    return "stratified" if has_classes else "random"


def split_rows(
    method: str, settings: SplitSettings, rows: int, labels: RowLabels | None, keys: np.ndarray | None
) -> Split:
    """Split rows into parts by a method; `labels` are the classes of the rows, `keys` their times or groups."""
    valid, test, seed = settings.valid, settings.test, settings.seed
    if method == "none" or not (valid or test):
        return keep_all(rows)
    if method == "stratified":
        if labels is None:
            raise DataError("a stratified split needs classes", cure="choose " + data_setting("split.method", "random"))
        return split_stratified(labels, valid, test, seed)
    if method == "time":
        return split_by_time(np.arange(rows) if keys is None else keys, valid, test)
    if method == "group" and keys is not None:
        return split_by_group(keys, valid, test, seed)
    return split_random(rows, valid, test, seed)


def keep_all(rows: int) -> Split:
    """Return a split that trains on every row."""
    return Split(np.arange(rows), np.arange(0), np.arange(0))


def split_random(rows: int, valid: float, test: float, seed: int) -> Split:
    """Return parts with rows drawn at random."""
    return _cut(_shuffled(rows, seed), valid, test)


def split_stratified(labels: RowLabels, valid: float, test: float, seed: int) -> Split:
    """Return parts in which each class has (nearly) the same share as in all rows.

    Each class is shuffled and spread evenly over [0, 1); cutting all rows in this order cuts every class at the same
    share, and the parts have the exact sizes.

    Raises:  DataError for a class with a single row, which cannot be in two parts
    """
    numbers, names = labels
    counts = np.bincount(numbers)
    if 1 in counts:
        cure = "add rows to it, omit it, or choose " + data_setting("split.method", "random")
        if all(name.replace("-", "").replace(".", "").isdigit() for name in names):
            regression = data_setting("task", "regression")
            cure = "if these are quantities, not classes, choose " + regression + "; otherwise " + cure
        name = names[list(counts).index(1)]
        raise DataError(f"class '{name}' has only 1 row, too few for a stratified split", cure=cure)
    order = _shuffled(len(numbers), seed)
    places, shuffled = np.empty(len(numbers)), numbers[order]
    for number, count in enumerate(counts):
        places[shuffled == number] = (np.arange(count) + 0.5) / count
    del shuffled
    cuts = _cuts(len(order), valid, test)
    parts = np.zeros(len(order), np.int8)
    for cut in cuts:
        parts += _from_rank(places, cut)
    return Split(*(np.sort(order[parts == part]) for part in range(3)))


def _from_rank(places: np.ndarray, cut: int) -> np.ndarray:
    """Return which places have at least the rank `cut` in ascending order, of equal ones the first ones lower; a whole
    order of millions of rows would take more memory.
    """
    if cut == len(places):
        return np.zeros(len(places), bool)
    limit = np.partition(places, cut)[cut]
    is_above: np.ndarray = places > limit
    same = np.flatnonzero(places == limit)
    is_above[same[max(0, cut - np.count_nonzero(places < limit)) :]] = True
    return is_above


def split_by_time(times: np.ndarray, valid: float, test: float) -> Split:
    """Return the oldest rows for training and the newest for the test; rows with the same time stay together."""
    order = np.argsort(times, kind="stable")
    between = np.flatnonzero(np.diff(times[order])) + 1  # where a cut separates no equal times
    allowed = np.concatenate([[0], between, [len(order)]])
    first, second = (allowed[np.abs(allowed - cut).argmin()] for cut in _cuts(len(order), valid, test))
    split = _parts(order, first, second)
    if not len(split.train) or (valid and not len(split.valid)) or (test and not len(split.test)):
        raise DataError("too few distinct times for the parts of a split by time", cure="choose other part sizes")
    return split


def split_by_group(groups: np.ndarray, valid: float, test: float, seed: int) -> Split:
    """Return parts of whole groups: in random order, each group goes to the part that lacks the most rows.

    Raises:  DataError for fewer groups than parts
    """
    names, numbers, counts = np.unique(groups, return_inverse=True, return_counts=True)
    wanted = np.array([1 - valid - test, valid, test]) * len(groups)
    parts = np.flatnonzero(wanted)
    if len(names) < len(parts):
        raise DataError(f"{len(names)} groups cannot fill {len(parts)} parts", cure="set valid or test to 0")
    part_of, filled = np.empty(len(names), int), np.zeros(3)
    for done, group in enumerate(_rng(seed).permutation(len(names))):
        empty = parts[filled[parts] == 0]
        open_parts = empty if len(empty) == len(names) - done else parts  # the last groups go to parts that have none
        part_of[group] = open_parts[(wanted - filled)[open_parts].argmax()]
        filled[part_of[group]] += counts[group]
    return Split(*(np.flatnonzero(part_of[numbers] == part) for part in range(3)))


def _shuffled(rows: int, seed: int) -> np.ndarray:
    """Return the row numbers in random order: those of `permutation`, in half the memory."""
    order = np.arange(rows, dtype=np.int32 if rows < 2**31 else np.int64)
    _rng(seed).shuffle(order)
    return order


def _rng(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def _cuts(rows: int, valid: float, test: float) -> tuple[int, int]:
    """Return the positions, in an order of all rows, where the validation and the test part begin."""
    sizes = [max(1, round(rows * share)) if share else 0 for share in (valid, test)]
    if sum(sizes) >= rows:
        cure = "choose " + data_setting("split", "none") + " to train on every row"
        raise DataError(f"{rows} rows are too few for a training, a validation and a test part", cure=cure)
    return rows - sum(sizes), rows - sizes[1]


def _cut(order: np.ndarray, valid: float, test: float) -> Split:
    return _parts(order, *_cuts(len(order), valid, test))


def _parts(order: np.ndarray, first: int, second: int) -> Split:
    return Split(np.sort(order[:first]), np.sort(order[first:second]), np.sort(order[second:]))
