"""Options shared by several verbs, and parsers that check values before anything is loaded."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from retrograd.app.cli.help import Command
from retrograd.base.errors import UsageError, near_file
from retrograd.base.memory import memory_told
from retrograd.data.patterns import is_pattern, matching

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 80}  # shared by the help of all verbs
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}  # in seconds


def at_least(least: int) -> Callable[[str], int]:
    """Return a parser for integers with this minimum."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise typer.BadParameter(f"expected an integer of at least {least}, found '{text}'") from None
        if number < least:
            raise typer.BadParameter(f"expected at least {least}, found {number}")
        return number

    return parse


def finite_positive(text: str) -> float:
    """Parse a finite number > 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise typer.BadParameter(f"expected a finite number > 0, found '{text}'")
    return number


def share_of(text: str | float) -> float:
    """Parse a fraction in [0, 1): `0.5%`, `0.005`. Numbers are accepted too, because defaults are numbers."""
    text = str(text)
    try:
        share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share < 1:
        raise typer.BadParameter(f"expected a fraction from 0 to below 1 (0.5%, 0.005), found '{text}'")
    return share


@dataclass(frozen=True)
class Allowance:
    """A budget: updates or seconds."""

    updates: int | None = None
    seconds: float | None = None


def updates_or_time(text: str) -> Allowance:
    """Parse a number of updates (`20000`) or a time (`90s`, `2m`, `1h`)."""
    factor = UNITS.get(text[-1:].lower())
    try:
        if factor is None:
            return Allowance(updates=at_least(1)(text))
        return Allowance(seconds=factor * finite_positive(text[:-1]))
    except typer.BadParameter:
        expected = "a number of updates (20000) or a time (90s, 2m, 1h)"
        raise typer.BadParameter(f"expected {expected}, found '{text}'") from None


def seconds_of(text: str | float) -> float:
    """Parse a time (`30`, `90s`, `2m`, `1h`) into seconds. Numbers are accepted too, because defaults are numbers."""
    text = str(text)
    factor = UNITS.get(text[-1:].lower())
    try:
        return finite_positive(text) if factor is None else factor * finite_positive(text[:-1])
    except typer.BadParameter:
        raise typer.BadParameter(f"expected a time (30, 90s, 2m, 1h), found '{text}'") from None


def existing_data(path: Path) -> Path:
    """Return the path if it is a regular file, a folder, or a pattern that matches files.

    Raises:  UsageError for a missing file, a pipe or a device, before anything is opened
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise UsageError("the name is not UTF-8", where=ascii(str(path)), cure="rename the file") from None
    if is_pattern(path) and matching(path):
        return path
    if not path.exists():
        raise UsageError("not found", where=str(path), cure=near_file(path))
    if not path.is_file() and not path.is_dir():
        raise UsageError("not a regular file", where=str(path))
    return path


def existing_file(path: Path) -> Path:
    """Return the path if it is a regular file; a folder is a UsageError too."""
    if existing_data(path).is_dir():
        raise UsageError("not a regular file", where=str(path))
    return path


def command_of(function: Callable[..., object]) -> typer.core.TyperCommand:
    """Turn a verb's function into a command that reports running out of memory as such."""
    guarded = memory_told()(function)
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(cls=Command, context_settings=CONTEXT)(guarded)
    return typer.main.get_command(app)  # type: ignore[return-value]


RunName = Annotated[str, typer.Argument(metavar="RUN", help="a run: its folder, the start of its name, or `last`")]
ModelName = Annotated[
    str,
    typer.Argument(metavar="RUN", help="a run (its folder, the start of its name, or `last`) or a model file"),
]
OwnLayers = Annotated[
    list[Path] | None,
    typer.Option("--layers", metavar="FILE.py", help="load your layers, losses or optimizers from a Python file"),
]
Target = Annotated[str | None, typer.Option(metavar="COLUMN", help="column of the data file to predict")]
Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change a setting, for example training.epochs=5")
]
CellsOption = Annotated[
    Literal["typed", "text"],
    typer.Option("--cells", help="type of a table's cells: numbers and strings, or all text as in a CSV file"),
]
Json = Annotated[bool, typer.Option("--json", show_default=False, help="print one JSON document to standard output")]
RunsRoot = Annotated[Path, typer.Option("--runs", metavar="DIR", help="folder that contains the runs")]
CacheFolder = Annotated[
    Path | None,
    typer.Option("--cache", metavar="DIR", help="folder for the columns of tables too large for memory"),
]
