"""Rows that have what is to be learned: those without it are left out, and nothing else is asked of them."""

from __future__ import annotations

import numpy as np
import polars as pl

from retrograd.base.errors import DataError
from retrograd.data.table import Table
from retrograd.present.wording import listing, some_of

MOST_SHOWN = 3


def labelled_rows(table: Table, targets: tuple[str, ...]) -> Table:
    """Return the rows in which no target is missing.

    Raises:  DataError when there is none
    """
    known = [name for name in targets if name in table.names]
    if not known:
        return table
    is_there = table.frame.select(pl.all_horizontal(pl.col(known).is_not_null())).to_series().to_numpy()
    if not is_there.any():
        cure = "name another with `target:`"
        raise DataError(f"no row has a value in {listing('column', known)}", where=table.where, cure=cure)
    return table if is_there.all() else table.take(np.flatnonzero(is_there))


def unlabelled_note(table: Table, targets: tuple[str, ...], kept: int) -> tuple[str, ...]:
    """Return a sentence about the rows that were left out, if there are any."""
    left = len(table) - kept
    if not left:
        return ()
    which = "no value" if len(targets) == 1 else "not all of the values"
    return (f"{left} of {len(table)} rows are left out: they have {which} in the target {some_of(targets)}",)


def twin_labels(labels: tuple[object, ...]) -> tuple[str, ...]:
    """Return a sentence about labels that differ only by capitals or blanks, if there are any."""
    groups: dict[str, list[str]] = {}
    for label in labels:
        if isinstance(label, str):
            groups.setdefault("".join(label.casefold().split()), []).append(label)
    twins = [" and ".join(f"'{label}'" for label in group) for group in groups.values() if len(group) > 1]
    if not twins:
        return ()
    return (f"labels that differ only by capitals or blanks are different classes: {some_of(twins, MOST_SHOWN)}",)
