"""Rows that belong together, such as the visits of one patient: split at random, they stand on both sides."""

from __future__ import annotations

import re
from collections.abc import Collection

from retrograd.data.settings import DataSettings
from retrograd.data.table import Table

FEWEST_GROUPS = 10  # fewer values are a category whose every value the network is to know
FEWEST_EACH = 2  # rows of a group, on average
GROUP_NAME = re.compile(
    r"(?i:(^|[_ .-])(patient|subject|person|user|customer|client|household|family|session|device|participant|student|"
    r"animal|donor|speaker|machine|engine|vehicle|hospital|school|group)s?([_ .-]?(id|no|nr|number|code|key))?$"
    r"|[_ .-]id$)|[a-z](Id|ID)$"
)


def group_notes(table: Table, targets: Collection[str], settings: DataSettings) -> tuple[str, ...]:
    """Return a sentence on the first column that names repeated groups, unless the rows are split by a column."""
    split = settings.split
    if split.column is not None or split.method not in ("auto", "random", "stratified"):
        return ()
    for name in table.names:
        if name in targets or not GROUP_NAME.search(name):
            continue
        cells = table.frame[name].drop_nulls()
        different = cells.n_unique()
        if different >= FEWEST_GROUPS and different * FEWEST_EACH <= len(cells) and not cells.dtype.is_float():
            repeats = f"'{name}' repeats ({different} values in {len(cells)} rows)"
            leak = "rows of one value stand in the training and the test part"
            return (f"{repeats}: {leak}; `split: {{method: group, column: {name}}}` keeps them together",)
    return ()
