"""The results of diagnosing and repairing a run: `diagnosis.json` and `repair.json` in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrograd.base.finding import Finding
from retrograd.record.checked_json import read_checked, write_checked
from retrograd.record.layout import DIAGNOSIS, REPAIR

__all__ = ["DIAGNOSIS", "REPAIR", "Examined", "Reason", "Repaired", "Tried"]

MAX_BYTES = 2**22


@dataclass(frozen=True)
class Examined:
    """A diagnosis: whether the program learns, in a word and a sentence, and the findings, most likely cause first."""

    verdict: str
    sentence: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Tried:
    """Remedies tried together: held-out scores of full trials, one per seed, and of short first trials (`glances`); or
    why they could not be trained. `gain` is relative to the original configuration, `spread` is a standard error.
    """

    remedies: tuple[str, ...]
    scores: tuple[float, ...] = ()
    glances: tuple[float, ...] = ()
    mean: float | None = None
    spread: float | None = None
    gain: float | None = None
    accepted: bool = False
    refusal: str = ""


@dataclass(frozen=True)
class Reason:
    """A remedy that helped, and why it does."""

    name: str
    why: str


@dataclass(frozen=True)
class Repaired:
    """A search for a repair: its outcome, the baseline, what was tried, what helped, and the change as a diff.

    `configuration` is the SHA-256 of the repaired file, if one was written; it links runs of that file to this repair.
    """

    sentence: str
    start: Tried | None = None
    tried: tuple[Tried, ...] = ()
    remedies: tuple[Reason, ...] = ()
    updates: int = 0
    difference: str = ""
    configuration: str = ""


def write_examination(path: Path, plain: Mapping[str, Any]) -> None:
    """Write a diagnosis or repair, given as plain values."""
    write_checked(path, plain)


def read_examined(folder: Path) -> Examined | None:
    """Return a run's diagnosis; None if there is none.

    Raises:  DataError if the file contains something else
    """
    return read_checked(folder / DIAGNOSIS, Examined, MAX_BYTES)


def read_repaired(path: Path) -> Repaired | None:
    """Return the repair in a file; None if there is none.

    Raises:  DataError if the file contains something else
    """
    return read_checked(path, Repaired, MAX_BYTES)
