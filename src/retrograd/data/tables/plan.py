"""The plan for a data set: what each column is for, what is learned, and how training rows become a preprocessing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from retrograd.base.errors import ConfigError, DataError
from retrograd.data.arrays import Arrays
from retrograd.data.cells.kinds import ColumnKind, find_kinds, kinds_notes
from retrograd.data.cells.values import words
from retrograd.data.preprocessing import Preprocessing
from retrograd.data.settings import DataSettings
from retrograd.data.split import RowLabels
from retrograd.data.table import CellFaults, Table
from retrograd.data.tables.goal import Goal, find_goal
from retrograd.data.tables.groups import group_notes
from retrograd.data.tables.inputs import fit_arrays, fit_table, parse_columns
from retrograd.data.tables.inspect import inspect_columns
from retrograd.data.tables.labelled import unlabelled_note
from retrograd.data.tables.task import find_targets
from retrograd.data.windows.dated import dated_notes


@dataclass(frozen=True)
class TablePlan:
    """The plan for tables: which columns the network sees, and of which kind they are."""

    settings: DataSettings
    features: dict[str, ColumnKind]
    ignored: tuple[str, ...]
    goal: Goal
    notes: tuple[str, ...]

    def clean(self, table: Table) -> Table:
        """Return the rows that can be used; with `missing: drop` those that lack a value are left out."""
        table = self.goal.labelled(table.with_missing(self.settings.missing_values))
        return complete_rows(table, self.features, self.settings)

    def fit(self, train: Table) -> Preprocessing:
        """Return the preprocessing fitted on (clean) training rows."""
        settings = self.settings
        is_scaled = settings.scale in (None, "standard", "robust", "minmax")
        target = self.goal.fit(train, settings.scale_target or ("standard" if is_scaled else "none"))
        inputs = fit_table(train, self.features, self.ignored, settings, settings.scale or "standard")
        return Preprocessing(inputs, target, settings.weight)

    def row_labels(self, table: Table) -> RowLabels | None:
        """Return each row's class, or None."""
        return self.goal.row_labels(table)

    def split_keys(self, table: Table) -> np.ndarray | None:
        """Return the moments or groups by which the rows are split; None without a split column."""
        return split_keys(table, self.settings)


@dataclass(frozen=True)
class ArrayPlan:
    """The plan for arrays, which are taken as they are unless the settings say otherwise."""

    settings: DataSettings
    goal: Goal
    notes: tuple[str, ...]

    def clean(self, arrays: Arrays) -> Arrays:
        """Return the rows that have their targets; the inputs have no gaps."""
        if arrays.target is None:
            return arrays
        numbered = arrays.target.frame.with_row_index("\0row")
        kept = self.goal.labelled(replace(arrays.target, frame=numbered))
        return arrays if len(kept) == len(arrays) else arrays.take(kept.frame["\0row"].to_numpy())

    def fit(self, train: Arrays) -> Preprocessing:
        """Return the preprocessing fitted on training rows."""
        target = None
        if train.target is not None:
            target = self.goal.fit(train.target, self.settings.scale_target or "none")
        return Preprocessing(fit_arrays(train, self.settings), target)

    def row_labels(self, arrays: Arrays) -> RowLabels | None:
        """Return each row's class, or None."""
        return None if arrays.target is None else self.goal.row_labels(arrays.target)

    def split_keys(self, arrays: Arrays) -> np.ndarray | None:
        """Return None: arrays have no column to split by."""
        return None


def plan_table(table: Table, settings: DataSettings) -> TablePlan:
    """Find out what the columns of a table are, and check every cell before anything is fitted.

    Raises:  DataError for columns that do not exist, are empty or hold cells of another kind; for too few classes
    """
    table = table.with_missing(settings.missing_values)
    targets = find_targets(table.names, settings)
    names = _feature_names(table, targets, settings)
    kinds = find_kinds(table, names, settings)
    features = {name: kind for name, kind in kinds.items() if kind.kind != "identifier"}
    if not features:
        beside = f" beside the target {', '.join(targets)}" if targets else ""
        cure = f"have: {', '.join(table.names)}; see `target:`, `features:`, `exclude:` and `kinds:`"
        raise DataError(f"no feature columns are left{beside}", where=table.where, cure=cure)
    goal = find_goal(table, targets, settings)
    labelled = goal.labelled(table)
    rows = complete_rows(labelled, features, settings)
    parsed = parse_columns(rows, features, settings.invalid, settings.missing)
    hint = "" if settings.targets else " (assumed to be the target; `target:` names another)"
    notes = [*goal.notes(hint), *kinds_notes(kinds)]
    notes += table.notes
    if table.form and table.form.unusual():
        notes.append("read as " + ", ".join(f"{name} {value!r}" for name, value in table.form.unusual().items()))
    dated = [name for name, kind in features.items() if kind.kind == "date"]
    answers = {name: rows.column(name) for name in goal.names}
    notes += [str(found) for found in inspect_columns(parsed, answers, dated)]
    notes += group_notes(table, goal.names, settings)
    notes += dated_notes(table, features, targets, goal.task == "regression", settings)
    if table.names[0] == "column_1":
        notes.append("the file has no header: its columns are numbered (`header: true` takes the first line as one)")
    notes += unlabelled_note(table, goal.names, len(labelled))
    if len(rows) < len(labelled):
        notes.append(f"{len(labelled) - len(rows)} of {len(labelled)} rows are left out: they lack values")
    ignored = tuple(name for name in table.names if name not in features)
    return TablePlan(settings, features, ignored, goal, tuple(notes))


def plan_arrays(arrays: Arrays, settings: DataSettings) -> ArrayPlan:
    """Find out what the target of arrays is."""
    if settings.split.column is not None:
        raise ConfigError("arrays have no columns", where="data.split.column", cure="split otherwise")
    if arrays.target is None:
        goal = Goal("unsupervised", ())
    else:
        goal = find_goal(arrays.target, arrays.target.names, settings)
    target = arrays.target
    left = () if target is None else unlabelled_note(target, goal.names, len(goal.labelled(target)))
    return ArrayPlan(settings, goal, (*goal.notes(""), *left))


def complete_rows(table: Table, features: dict[str, ColumnKind], settings: DataSettings) -> Table:
    """Return the table, with `missing: drop` without the rows that lack a feature."""
    if settings.missing != "drop":
        return table
    values = parse_columns(table, features, settings.invalid, settings.missing)
    is_complete = np.all([column.is_not_null().to_numpy() for column in values.values()], axis=0)
    if not is_complete.any():
        raise DataError("empty: every row lacks a value", where=table.where, cure="choose `missing: mean`")
    return table if is_complete.all() else table.take(np.flatnonzero(is_complete))


def split_keys(table: Table, settings: DataSettings) -> np.ndarray | None:
    """Return the moments or groups by which the rows of a table are split; None without a split column."""
    split = settings.split
    if split.column is None:
        return None
    if split.method == "group":
        keys = words(table.column(split.column)).values
    else:
        kind = find_kinds(table, (split.column,), settings)[split.column]
        keys = kind.parse(table.column(split.column)).values
        if keys.dtype == pl.String:
            raise DataError(f"column '{split.column}' holds neither numbers nor dates", where=table.where)
    faults = CellFaults(table)
    faults.add(split.column, keys.is_null().arg_true(), f"a value to split by ({split.method})")
    faults.raise_any("complete these rows, or split otherwise")
    return keys.to_numpy()


def _feature_names(table: Table, targets: tuple[str, ...], settings: DataSettings) -> tuple[str, ...]:
    others = [*targets, *settings.exclude]
    others += [name for name in (settings.weight, settings.split.column) if name is not None]
    for name in (*others, *(settings.features or ())):
        table.column(name)
    return settings.features or tuple(name for name in table.names if name not in others)
