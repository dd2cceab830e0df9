"""What a network attends to: the attention weights of each head for one row, in `attention.json`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from retrograd.record.checked_json import read_checked, write_checked
from retrograd.record.layout import ATTENTION

MAX_BYTES = 2**24


@dataclass(frozen=True)
class HeadMaps:
    """The attention weights of a node: per head, base64 of [queries, keys] bytes, where 255 means `largest`."""

    node: str
    queries: int
    keys: int
    largest: float
    heads: tuple[str, ...]


@dataclass(frozen=True)
class Attention:
    """The attention maps of the first row of a part of the data."""

    part: str
    maps: tuple[HeadMaps, ...]


def write_attention(folder: Path, attention: Attention) -> None:
    """Write the maps to a run folder.

    Raises:  ResourceError if writing fails
    """
    write_checked(folder / ATTENTION, attention)


def read_attention(folder: Path) -> Attention | None:
    """Return a run's maps; None if there are none.

    Raises:  DataError if the file contains something else
    """
    return read_checked(folder / ATTENTION, Attention, MAX_BYTES)
