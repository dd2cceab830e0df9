"""Tables with paths of images or sounds whose settings do not say so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl

from retrograd.base.sentence import data_setting
from retrograd.data.audio.settings import AudioSettings
from retrograd.data.audio.wav import SUFFIXES as SOUND_SUFFIXES
from retrograd.data.decimal_points import FIRST
from retrograd.data.images.decoding import SUFFIXES as IMAGE_SUFFIXES
from retrograd.data.images.settings import ImageSettings
from retrograd.data.settings import DataSettings, find_targets
from retrograd.data.table import Table

KINDS = (  # contents of the files, the section that reads them, its class, their suffixes
    ("images", "images", ImageSettings, IMAGE_SUFFIXES),
    ("sounds", "audio", AudioSettings, SOUND_SUFFIXES),
)


def with_path_column(table: Table, settings: DataSettings) -> tuple[DataSettings, tuple[str, ...]]:
    """Return settings that read the files if their paths are the only column besides the target, and a note.

    If the table has other columns as well, the note only says which setting would read the files.
    """
    if (settings.images or settings.audio or settings.text or settings.windows) is not None:
        return settings, ()
    targets = settings.targets or find_targets(table.names, settings)
    roles = {*targets, *settings.exclude, settings.weight, settings.split.column}
    others = [name for name in settings.features or table.names if name not in roles and name in table.names]
    texts = [name for name in others if table.frame.schema[name] == pl.String and name not in settings.kinds]
    for thing, section, make, suffixes in KINDS:
        name = next((name for name in texts if holds_paths(table, name, suffixes)), None)
        if name is None:
            continue
        column, paths = data_setting(f"{section}.column", name), f"'{name}' contains paths of {thing}"
        if others != [name]:
            return settings, (paths + ": " + column + " learns from them, not the other columns",)
        changes: dict[str, Any] = {section: make(column=name)}
        return replace(settings, **changes), (paths + ", read with " + column,)
    return settings, ()


def holds_paths(table: Table, name: str, suffixes: tuple[str, ...]) -> bool:
    """Return whether all cells of a text column end in one of the suffixes; usually the first ones show they do not."""
    ending = r"(?i)\.(" + "|".join(suffix[1:] for suffix in suffixes) + ")$"
    if not table.some_cells(name, 0, min(FIRST, len(table))).str.contains(ending).all():
        return False
    cells = table.column(name)
    return cells.null_count() < len(cells) and bool(cells.str.contains(ending).all())
