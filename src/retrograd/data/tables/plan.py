"""The plan for tables: the role of each column, the goal, and the fitting of the preprocessing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from retrograd.base.errors import ConfigError, DataError
from retrograd.base.sentence import data_setting, sentence
from retrograd.data.arrays import Arrays
from retrograd.data.cells.kinds import ColumnKind, find_kinds, kinds_notes
from retrograd.data.cells.values import words
from retrograd.data.settings import DataSettings, find_targets
from retrograd.data.split.split import RowLabels
from retrograd.data.table import CellFaults, Cells, Table
from retrograd.data.tables.goal import Goal, Plan, find_goal, unlabelled_note
from retrograd.data.tables.inputs import ArrayInputs, TableInputs, fit_arrays, fit_table
from retrograd.data.tables.inspect import group_notes, inspect_columns
from retrograd.data.tables.multilabel import MultiLabels
from retrograd.data.tables.target import Labels, Quantities
from retrograd.data.tables.typed import TypedTable, complete_rows, typed

Target = Labels | MultiLabels | Quantities | None


@dataclass(frozen=True)
class TablePlan(Plan[TypedTable, tuple[TableInputs, Target]]):
    """The plan for tables: the columns of the network's input and their kinds."""

    features: dict[str, ColumnKind]
    ignored: tuple[str, ...]

    def clean(self, rows: Table) -> TypedTable:
        """Return the usable rows; `missing: drop` excludes those that lack a value."""
        if isinstance(rows, TypedTable):
            return rows
        settings = self.settings
        table = rows.with_missing(settings.missing_values)
        table.require([*self.features, *self.goal.names])
        read = typed(self.goal.labelled(table), self.features, settings.invalid, settings.missing)
        return complete_rows(read) if settings.missing == "drop" else read

    def fit(self, train: TypedTable) -> tuple[TableInputs, Target]:
        """Return inputs and target fitted on (clean) training rows."""
        settings = self.settings
        is_scaled = settings.scale in (None, "standard", "robust", "log", "minmax")
        target = self.goal.fit(train, settings.scale_target or ("standard" if is_scaled else "none"))
        return fit_table(train, self.features, self.ignored, settings, settings.scale or "standard"), target

    def row_labels(self, rows: TypedTable) -> RowLabels | None:
        """Return each row's class, or None without classes."""
        return self.goal.row_labels(rows)

    def split_keys(self, rows: TypedTable) -> np.ndarray | None:
        """Return the times or groups by which the rows are split; None without a split column."""
        return split_keys(rows, self.settings)


@dataclass(frozen=True)
class ArrayPlan(Plan[Arrays, tuple[ArrayInputs, Target]]):
    """The plan for arrays, which are scaled only if the settings say so."""

    def clean(self, rows: Arrays) -> Arrays:
        """Return the rows that have targets; inputs have no missing values."""
        if rows.target is None:
            return rows
        numbered = rows.target.frame.with_row_index("\0row")
        labelled = self.goal.labelled(replace(rows.target, frame=numbered))
        return rows if len(labelled) == len(rows) else rows.take(labelled.frame["\0row"].to_numpy())

    def fit(self, train: Arrays) -> tuple[ArrayInputs, Target]:
        """Return inputs and target fitted on training rows."""
        target = None
        if train.target is not None:
            target = self.goal.fit(train.target, self.settings.scale_target or "none")
        return fit_arrays(train, self.settings), target

    def row_labels(self, rows: Arrays) -> RowLabels | None:
        """Return each row's class, or None without classes."""
        return None if rows.target is None else self.goal.row_labels(rows.target)


def plan_table(table: Table, settings: DataSettings) -> TablePlan:
    """Infer the kinds of a table's columns, and check every cell before anything is fitted.

    Raises:  DataError for columns that do not exist, are empty or contain cells of another kind; for too few classes
    """
    table = table.with_missing(settings.missing_values)
    targets = find_targets(table.names, settings)
    names = _feature_names(table, targets, settings)
    kinds = find_kinds(table, names, settings)
    features = {name: kind for name, kind in kinds.items() if kind.kind != "identifier"}
    if not features:
        beside = f" beside the target {', '.join(targets)}" if targets else ""
        settings_here = map(data_setting, ("target", "features", "exclude", "kinds"))
        cure = f"have: {', '.join(table.names)}; see " + sentence("{}, {}, {} and {}", *settings_here)
        raise DataError(f"no feature columns are left{beside}", where=table.where, cure=cure)
    goal = find_goal(table, targets, settings)
    labelled = goal.labelled(table)
    rows = typed(labelled, features, settings.invalid, settings.missing)
    rows = complete_rows(rows) if settings.missing == "drop" else rows
    hint = "" if settings.targets else " (assumed to be the target; " + data_setting("target") + " selects another)"
    notes = [*goal.notes(hint), *kinds_notes(kinds)]
    notes += table.notes
    if table.form and table.form.unusual():
        notes.append("read as " + ", ".join(f"{name} {value!r}" for name, value in table.form.unusual().items()))
    dated = [name for name, kind in features.items() if kind.kind == "date"]
    values, answers = Cells(features, rows.values.__getitem__), Cells(goal.names, rows.column)
    notes += [finding.sentence for finding in inspect_columns(values, answers, dated)]
    notes += group_notes(table, goal.names, settings)
    if table.names[0] == "column_1":
        first_line = data_setting("header", "true") + " uses the first line as header"
        notes.append("the file has no header: its columns are numbered (" + first_line + ")")
    notes += unlabelled_note(table, goal.names, len(labelled))
    if len(rows) < len(labelled):
        notes.append(f"{len(labelled) - len(rows)} of {len(labelled)} rows are skipped: they lack values")
    ignored = tuple(name for name in table.names if name not in features)
    return TablePlan(settings, goal, tuple(notes), rows, features, ignored)


def plan_arrays(arrays: Arrays, settings: DataSettings) -> ArrayPlan:
    """Infer the target of arrays."""
    if settings.split.column is not None:
        raise ConfigError("arrays have no columns", where="data.split.column", cure="split by another method")
    if arrays.target is None:
        goal = Goal("unsupervised", ())
    else:
        goal = find_goal(arrays.target, arrays.target.names, settings)
    target = arrays.target
    left = () if target is None else unlabelled_note(target, goal.names, len(goal.labelled(target)))
    return ArrayPlan(settings, goal, (*goal.notes(""), *left), arrays).cleaned()


def split_keys(table: Table, settings: DataSettings) -> np.ndarray | None:
    """Return the times or groups by which the rows of a table are split; None without a split column."""
    split = settings.split
    if split.column is None:
        return None
    if split.method == "group":
        keys = words(table.column(split.column)).values
    else:
        kind = find_kinds(table, (split.column,), settings)[split.column]
        keys = kind.parse(table.column(split.column)).values
        if keys.dtype == pl.String:
            raise DataError(f"column '{split.column}' contains neither numbers nor dates", where=table.where)
    faults = CellFaults(table)
    faults.add(split.column, keys.is_null().arg_true(), f"a value to split by ({split.method})")
    faults.raise_any("complete these rows, or split by another method")
    return keys.to_numpy()


def _feature_names(table: Table, targets: tuple[str, ...], settings: DataSettings) -> tuple[str, ...]:
    others = [*targets, *settings.exclude]
    others += [name for name in (settings.weight, settings.split.column) if name is not None]
    for name in (*others, *(settings.features or ())):
        table.column(name)
    return settings.features or tuple(name for name in table.names if name not in others)
