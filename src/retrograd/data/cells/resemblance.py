"""What a column of words looks like that could not be read as numbers or dates, so that a note can say what to set."""

from __future__ import annotations

import polars as pl

from retrograd.data.cells.dates import find_date
from retrograd.data.cells.dialects import find_candidate, find_units, readable
from retrograd.present.wording import some_of

MANY = 0.5  # share of cells that look like something


def resemblance(cells: pl.Series) -> str:
    """Return what at least half of the cells (none missing) look like, as the end of a sentence; "" for nothing."""
    if cells.dtype != pl.String:
        return ""
    units = find_units(cells)
    if len(units) > 1:
        return f"which look like numbers in several units ({some_of(units, 3)}): write them in one"
    candidate = find_candidate(cells)
    if candidate is not None:
        share = readable(cells, candidate.notation(candidate.evidence.decided or "."))
        if share >= MANY:
            return f"{share:.0%} of which look like numbers (`number` reads them; see `invalid:` for the others)"
    found = find_date(cells, MANY)
    if found is not None:
        return f"most of which look like dates ({found.form} reads them; see `invalid:` for the others)"
    return ""
