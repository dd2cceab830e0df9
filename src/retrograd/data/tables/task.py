"""The task: two classes, several classes, several labels at once, or numbers."""

from __future__ import annotations

import polars as pl

from retrograd.base.errors import DataError
from retrograd.base.sentence import data_setting
from retrograd.data.cells.kinds import ColumnKind
from retrograd.data.cells.values import label_words, numbers
from retrograd.data.settings import DataSettings, Task
from retrograd.data.tables.multilabel import are_truths, find_mark

MOST_CLASSES = 20  # integers with more distinct values than this are treated as quantities
ROWS_PER_CLASS = 5  # as are those with fewer rows per value than this


def find_task(targets: list[pl.Series], kinds: list[ColumnKind], settings: DataSettings, where: str) -> Task:
    """Return the task: the chosen one, or the one that the target columns' kinds and values suggest.

    Two distinct integers are two classes; up to 20 are classes if each has 5 rows on average; other numbers are
    quantities. Words and booleans are classes. Several columns of 0 and 1 are labels, or classes if each row has a
    single 1; cells that list labels are labels too.
    """
    if settings.task == "unsupervised" or not targets:
        return "unsupervised"
    if settings.task == "multilabel" or (settings.task == "auto" and are_labels(targets)):
        return "multiclass" if settings.task == "auto" and are_one_hot(targets) else "multilabel"
    if settings.task == "multiclass" and len(targets) > 1 and are_one_hot(targets):
        return "multiclass"
    numeric = all(kind.kind == "number" for kind in kinds)
    if settings.task == "regression" or len(targets) > 1:
        return _regression(numeric, settings, where)
    (target,) = targets
    if numeric and settings.task == "auto" and _is_quantity(numbers(target).values.drop_nulls()):
        return "regression"
    classes = label_words(target.unique(), numeric).drop_nulls().n_unique()
    if settings.task == "binary" and classes > 2:
        cure = "choose " + data_setting("task", "multiclass")
        raise DataError(f"the target '{target.name}' has {classes} classes, not two", where=where, cure=cure)
    return "multiclass" if classes > 2 or settings.task == "multiclass" else "binary"


def are_labels(targets: list[pl.Series]) -> bool:
    """Return whether targets are labels that a row may have or not: columns of 0 and 1, or a column of lists."""
    return are_truths(targets) if len(targets) > 1 else bool(find_mark(targets[0]))


def are_one_hot(targets: list[pl.Series]) -> bool:
    """Return whether each row has a 1 in just one of several columns of 0 and 1."""
    if len(targets) < 2 or not all(column.dtype.is_numeric() or column.dtype == pl.String for column in targets):
        return False
    columns = [numbers(column).values for column in targets]
    if any(column.null_count() or not column.is_in([0.0, 1.0]).all() for column in columns):
        return False
    return bool((sum(columns[1:], columns[0]) == 1).all())


def _regression(numeric: bool, settings: DataSettings, where: str) -> Task:
    if settings.task in ("binary", "multiclass"):
        cure = "choose one class column, or " + data_setting("task", "multilabel") + " for columns of 0 and 1"
        raise DataError("several target columns can only be numbers or labels", where=where, cure=cure)
    if not numeric:
        cure = "choose others with " + data_setting("target") + "; a column of classes needs a separate model"
        raise DataError("regression needs target columns of numbers", where=where, cure=cure)
    return "regression"


def _is_quantity(values: pl.Series) -> bool:
    if not (values.floor() == values).all():
        return True
    different = values.n_unique()
    return different > 2 and (different > MOST_CLASSES or len(values) < different * ROWS_PER_CLASS)
