"""Where a network with attention looks: the weights of each head for one row, in `attention.json`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from retrograd.record.checked_json import read_checked, write_checked
from retrograd.record.layout import ATTENTION

MAX_BYTES = 2**24


@dataclass(frozen=True)
class HeadMaps:
    """The weights of a node, a byte for each: base64 of [queries, keys] for each head, 255 for the weight `largest`."""

    node: str
    queries: int
    keys: int
    largest: float
    heads: tuple[str, ...]


@dataclass(frozen=True)
class Attention:
    """The maps of the first row of a part."""

    part: str
    maps: tuple[HeadMaps, ...]


def write_attention(folder: Path, attention: Attention) -> None:
    """Write the maps into a run's folder.

    Raises:  ResourceError when the disk refuses
    """
    write_checked(folder / ATTENTION, attention)


def read_attention(folder: Path) -> Attention | None:
    """Return a run's maps; None where there are none.

    Raises:  DataError for a file that holds something else
    """
    return read_checked(folder / ATTENTION, Attention, MAX_BYTES)
