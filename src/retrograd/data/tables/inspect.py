"""Suspicious columns of a table: copies of one another, row names, features that reveal the target."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

import numpy as np
import polars as pl

from retrograd.base.finding import Finding
from retrograd.base.sentence import data_setting, sentence
from retrograd.data.cells.values import is_constant, numbers, words
from retrograd.data.settings import DataSettings
from retrograd.data.table import Cells, Table
from retrograd.data.tables.outliers import outliers
from retrograd.present.wording import listing

FEWEST_ROWS = 20  # with fewer rows, a distinct number in every row means nothing
FEWEST_GROUPS = 10  # fewer distinct values are a category, all of whose values the network should know
FEWEST_EACH = 2  # rows of a group, on average
SAMPLE = 10_000  # evenly spaced rows, on which a property of every row is checked first
GROUP_NAME = re.compile(
    r"(?i:(^|[_ .-])(patient|subject|person|user|customer|client|household|family|session|device|participant|student|"
    r"animal|donor|speaker|machine|engine|vehicle|hospital|school|group)s?([_ .-]?(id|no|nr|number|code|key))?$"
    r"|[_ .-]id$)|[a-z](Id|ID)$"
)


def inspect_columns(
    features: Mapping[str, pl.Series], targets: Mapping[str, pl.Series], dated: Collection[str] = ()
) -> tuple[Finding, ...]:
    """Return findings on parsed feature columns (`dated` ones are days) and raw target columns, most serious first."""
    plain = Cells((name for name in features if name not in dated), features.__getitem__)
    return (
        *leaks(features, targets),
        *one_hot_parts(features, targets),
        *extreme_cells(features),
        *row_names(plain),
        *duplicates(features),
    )


def leaks(features: Mapping[str, pl.Series], targets: Mapping[str, pl.Series]) -> Iterator[Finding]:
    """Yield the features that repeat a target: the same values, or other names for the same classes."""
    for target, answers in targets.items():
        sample, text = words(_sample(answers)).values, None
        for name, cells in features.items():
            if not _renames(_sample(cells), sample):
                continue
            text = words(answers).values if text is None else text
            if not _renames(cells, text):
                continue
            own_words = words(cells).values
            if text.n_unique() < len(text) or own_words.equals(text):
                how = "is the same as" if own_words.equals(text) else "encodes the same as"
                removed = "remove it with " + data_setting("exclude")
                message = f"{how} the target '{target}', so the network would just copy it; " + removed
                yield Finding("target_leak", f"column '{name}'", message, severity="fault")


def one_hot_parts(features: Mapping[str, pl.Series], targets: Mapping[str, pl.Series]) -> Iterator[Finding]:
    """Yield features that together reveal a target: in each row, either one of them or the target has the only 1."""
    if len(targets) != 1:
        return
    (target, cells), *_ = targets.items()
    if not _is_zero_or_one(sample := numbers(_sample(cells)).values):
        return
    hot = sample.to_numpy()
    others: list[str] = []
    for name in reversed(tuple(features)):  # the columns of a variable are side by side
        if not (hot == 0).any():
            break
        if not _is_zero_or_one(part := _sample(features[name])):
            continue
        values = part.cast(pl.Float64).to_numpy()
        if not (hot * values).any():
            others.append(name)
            hot = hot + values
    others.reverse()
    if (hot == 1).all() and len(others) > 1 and _adds_to_one(cells, others, features):
        cure = data_setting("target", f"[{', '.join([*others, target])}]") + " treats them as classes"
        message = f"in each row, one of them or the target '{target}' has the only 1, which reveals the answer; " + cure
        yield Finding("target_leak", listing("column", others), message, severity="fault")


def _adds_to_one(cells: pl.Series, others: Collection[str], features: Mapping[str, pl.Series]) -> bool:
    return bool((sum(map(features.__getitem__, others), numbers(cells).values) == 1).all())


def _is_zero_or_one(cells: pl.Series) -> bool:
    return cells.dtype.is_numeric() and not cells.null_count() and set(cells.unique().to_list()) == {0, 1}


def _renames(cells: pl.Series, text: pl.Series) -> bool:
    """Return whether two columns distinguish the same rows; if so in all rows, then also in any sample of them."""
    classes = text.n_unique()
    return cells.n_unique() == classes == pl.DataFrame({"own": cells, "target": text}).n_unique()


def _sample(cells: pl.Series) -> pl.Series:
    return cells.gather_every(max(1, len(cells) // SAMPLE))


def extreme_cells(features: Mapping[str, pl.Series]) -> Iterator[Finding]:
    """Yield a finding on the column with the most extreme cells, and how many other columns have some."""
    columns = {name: outliers(cells.to_numpy()) for name, cells in features.items() if cells.dtype.is_numeric()}
    extreme = [(abs(far.farthest) / (far.high - far.low), name) for name, far in columns.items() if far is not None]
    if extreme:
        _, name = max(extreme, key=lambda pair: pair[0])
        worst = columns[name]
        assert worst is not None
        robust = data_setting("scale", "robust"), data_setting("clip", "5")
        cure = sentence("{} with {} keeps them from dominating the rest", *robust)
        if worst.is_code:
            cure = data_setting("missing_values") + f" with '{worst.farthest:g}' treats them as missing"
        more = len(extreme) - 1
        others = f"; {more} more column{' has' if more == 1 else 's have'} such cells" if more else ""
        yield Finding("outliers", f"column '{name}'", f"{worst.words()}{others}: " + cure)


def row_names(features: Mapping[str, pl.Series]) -> Iterator[Finding]:
    """Yield a finding on the columns of integers that differ in every row, such as customer numbers."""
    names = [name for name, cells in features.items() if _is_row_name(cells)]
    if names:
        removed = "remove it with " + data_setting("exclude")
        message = "a different integer in every row: if it only identifies the rows, " + removed
        yield Finding("row_name", listing("column", names), message)


def duplicates(features: Mapping[str, pl.Series]) -> Iterator[Finding]:
    """Yield a finding on each column that repeats an earlier one."""
    samples = {name: _key(_sample(cells)) for name, cells in features.items()}
    alike = Counter(samples.values())
    first: dict[int, list[str]] = {}
    for name in (name for name, key in samples.items() if alike[key] > 1):
        cells = features[name]
        if is_constant(cells):  # `fit_table` warns about it
            continue
        key = _key(cells)
        same = next((other for other in first.get(key, []) if features[other].equals(cells)), None)
        if same is None:
            first.setdefault(key, []).append(name)
        else:
            message = f"the same as '{same}' in every row; remove one of them with " + data_setting("exclude")
            yield Finding("duplicate_column", f"column '{name}'", message)


def _key(cells: pl.Series) -> int:
    """Return a number that equal columns share; hashing the bytes of numbers is faster than an expression."""
    return hash(cells.to_numpy().tobytes()) if cells.dtype.is_numeric() else int(cells.hash().implode().hash()[0])


def _is_row_name(cells: pl.Series) -> bool:
    if len(cells) < FEWEST_ROWS or not cells.dtype.is_numeric() or cells.null_count():
        return False
    return all(_are_distinct_integers(values) for values in (_sample(cells), cells))


def _are_distinct_integers(cells: pl.Series) -> bool:
    values = cells.to_numpy()
    return bool((values == np.floor(values)).all()) and cells.n_unique() == len(cells)


def group_notes(table: Table, targets: Collection[str], settings: DataSettings) -> tuple[str, ...]:
    """Return a sentence on the first column that names repeated groups, unless the rows are split by a column."""
    split = settings.split
    if split.column is not None or split.method not in ("auto", "random", "stratified"):
        return ()
    for name in table.names:
        if name in targets or not GROUP_NAME.search(name):
            continue
        cells = table.column(name).drop_nulls()
        different = cells.n_unique()
        if different >= FEWEST_GROUPS and different * FEWEST_EACH <= len(cells) and not cells.dtype.is_float():
            repeats = f"'{name}' repeats ({different} values in {len(cells)} rows)"
            leak = "rows with the same value are in both the training and the test part"
            grouped = data_setting("split", f"{{method: group, column: {name}}}")
            return (f"{repeats}: {leak}; " + grouped + " keeps them together",)
    return ()
