"""A table with a column of image paths, whose settings say nothing about images."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from retrograd.data.images.decoding import SUFFIXES
from retrograd.data.images.settings import ImageSettings
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table
from retrograd.data.tables.task import find_targets

ENDING = r"(?i)\.(" + "|".join(suffix[1:] for suffix in SUFFIXES) + ")$"


def with_image_column(table: Table, settings: DataSettings) -> tuple[DataSettings, tuple[str, ...]]:
    """Return settings that read the images where their paths are all there is beside the target, and a sentence.

    Where the table has other columns as well, the sentence only says which setting reads the images.
    """
    if settings.images is not None or settings.text is not None or settings.windows is not None:
        return settings, ()
    targets = settings.targets or find_targets(table.names, settings)
    roles = {*targets, *settings.exclude, settings.weight, settings.split.column}
    others = [name for name in settings.features or table.names if name not in roles and name in table.names]
    found = [name for name in others if name not in settings.kinds and holds_paths(table.column(name))]
    if not found:
        return settings, ()
    say = f"'{found[0]}' holds paths of images: `images: {{column: {found[0]}}}`"
    if others != found[:1]:
        return settings, (f"{say} learns from the images instead of the other columns",)
    return replace(settings, images=ImageSettings(column=found[0])), (f"{say} is what reads them here",)


def holds_paths(column: pl.Series) -> bool:
    """Return whether all cells end as names of image files do."""
    cells = column.drop_nulls()
    return cells.dtype == pl.String and len(cells) > 0 and bool(cells.str.contains(ENDING).all())
