"""The learning goal, the rows with targets, and the plan that every kind of data provides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np

from retrograd.base.errors import DataError
from retrograd.base.sentence import data_setting, sentence
from retrograd.data.cells.kinds import ColumnKind, find_kinds, resemblance
from retrograd.data.cells.values import numbers
from retrograd.data.settings import DataSettings, Task
from retrograd.data.split.split import RowLabels
from retrograd.data.table import Table
from retrograd.data.tables.multilabel import JSON, MultiLabels, find_mark, fit_columns, fit_lists
from retrograd.data.tables.target import Labels, Quantities, fit_labels, fit_quantities, quantities
from retrograd.data.tables.task import MOST_CLASSES, find_task
from retrograd.present.wording import listing, some_of

MOST_SHOWN = 3

R = TypeVar("R")
F_co = TypeVar("F_co", covariant=True)


@dataclass(frozen=True)
class Goal:
    """The goal: the task, its target columns and, for classes, their labels, collected from all rows."""

    task: Task
    names: tuple[str, ...]
    labels: Labels | MultiLabels | None = None

    def fit(self, train: Table, scale: str) -> Labels | MultiLabels | Quantities | None:
        """Return the target fitted on training rows; classes need no fitting."""
        if self.labels is not None or not self.names:
            return self.labels
        return fit_quantities(train, self.names, scale)

    def row_labels(self, table: Table) -> RowLabels | None:
        """Return each row's class, for a stratified split; None for other tasks."""
        if not isinstance(self.labels, Labels):
            return None
        names = tuple(str(label) for label in self.labels.classes)
        return RowLabels(self.labels.encode(table).astype(np.int32).ravel(), names)

    def notes(self, hint: str) -> tuple[str, ...]:
        """Return the goal as sentences; `hint` says how the target was found."""
        if not self.names:
            return ("no target: unsupervised",)
        shown = some_of(self.names)
        if self.labels is None:
            return (f"{self.task} of {shown}" + hint,)
        if isinstance(self.labels, MultiLabels):
            return (_multilabel_note(self.labels, hint),)
        if self.labels.one_hot:
            how = f"the single 1 in columns {shown} (" + data_setting("task", "multilabel") + " treats each on its own)"
            return ("multiclass" + hint + ": " + how,)
        is_plain = self.labels.classes == (0, 1)
        one = f"; 1 means {self.labels.classes[1]}" if self.labels.binary and not is_plain else ""
        return (
            f"{len(self.labels.classes):,} classes of {shown}" + hint + f": {some_of(self.labels.classes)}{one}",
            *twin_labels(self.labels.classes),
        )

    def labelled(self, table: Table) -> Table:
        """Return the rows that have targets; an empty list of labels is a target."""
        is_list = isinstance(self.labels, MultiLabels) and self.labels.mark
        return table if is_list else labelled_rows(table, self.names)


@dataclass(frozen=True)
class Plan(ABC, Generic[R, F_co]):
    """How one kind of data is treated: which rows are used, how they are split, what is fitted on the training rows.

    `rows` are those that the plan was made from; `notes` are sentences about assumptions. `is_ordered` if the order
    of the rows matters.
    """

    settings: DataSettings
    goal: Goal
    notes: tuple[str, ...]
    rows: R
    is_ordered: ClassVar[bool] = False

    @abstractmethod
    def clean(self, rows: Any) -> R:
        """Return the usable ones among rows as read or as returned by this plan."""

    @abstractmethod
    def fit(self, train: R) -> F_co:
        """Return inputs and target fitted on training rows."""

    def row_labels(self, rows: R) -> RowLabels | None:
        """Return each row's class, for a stratified split; None without classes."""
        return None

    def split_keys(self, rows: R) -> np.ndarray | None:
        """Return the times or groups by which the rows are split; None if only their number matters."""
        return None

    def with_history(self, rows: R, part: np.ndarray) -> np.ndarray:
        """Return the indices of a part's rows and of the earlier rows that they refer to."""
        return part

    def cleaned(self) -> Self:
        """Return the plan with only its usable rows."""
        return replace(self, rows=self.clean(self.rows))


def find_goal(table: Table, targets: tuple[str, ...], settings: DataSettings) -> Goal:
    """Return the task and its targets; every target cell is checked."""
    if not targets:
        return Goal("unsupervised", ())
    kinds = [_target_kind(table, name, settings) for name in targets]
    is_list = len(targets) == 1 and settings.task in ("auto", "multilabel") and find_mark(table.column(targets[0]))
    rows = table if is_list else labelled_rows(table, targets)
    task = find_task([rows.column(name) for name in targets], kinds, settings, table.where)
    if task == "unsupervised":
        return Goal(task, ())
    if task == "regression":
        quantities(rows, targets)
        return Goal(task, targets)
    if task == "multilabel":
        fitted = fit_lists(rows, targets[0], is_list) if is_list else fit_columns(rows, targets)
        return Goal(task, targets, fitted)
    if len(targets) > 1:
        classes = tuple(range(len(targets))) if is_anonymous(targets) else targets
        return Goal(task, targets, Labels(targets[0], classes, False, targets))
    refuse_names(rows, targets[0], kinds[0])
    return Goal(task, targets, fit_labels(rows, targets[0], kinds[0].kind == "number", task))


def is_anonymous(names: tuple[str, ...]) -> bool:
    """Return whether columns have generated names: y1, y2, ..."""
    return names == tuple(f"y{i + 1}" for i in range(len(names)))


def refuse_names(rows: Table, name: str, kind: ColumnKind) -> None:
    """Reject a target with words that hardly repeat: they are not classes.

    Raises:  DataError that says what the words look like
    """
    cells = rows.column(name)
    different = cells.n_unique()
    if kind.kind in ("number", "boolean") or different <= MOST_CLASSES or 2 * different <= len(cells):
        return
    like = resemblance(cells) or f"such as '{cells[0]}'"
    cure = sentence(
        "if they are numbers, set {}, with {} for other cells; otherwise choose another target with {}",
        data_setting("kinds", f"{{{name}: number}}"),
        data_setting("invalid", "missing"),
        data_setting("target"),
    )
    raise DataError(
        f"the target '{name}' has {different} distinct texts in {len(cells)} rows, too many for classes, " + like,
        where=rows.where,
        cure=cure,
    )


def _multilabel_note(labels: MultiLabels, hint: str) -> str:
    shown = some_of(labels.classes)
    if not labels.mark:
        numbers = data_setting("task", "regression") + " treats them as numbers"
        return "multilabel" + hint + f": {shown}, each 0 or 1 on its own (" + numbers + ")"
    how = "JSON lists" if labels.mark == JSON else f"lists separated by '{labels.mark}'"
    cells = f"cells are {how}; empty cells have no label"
    single = data_setting("task", "multiclass") + " treats a cell as one class"
    return f"multilabel of {labels.names[0]}" + hint + f": {shown}; {cells} (" + single + ")"


def _target_kind(table: Table, name: str, settings: DataSettings) -> ColumnKind:
    """Return the kind of a target column, which may look like identifiers or texts."""
    if table.column(name).null_count() == len(table):
        cure = "choose another with " + data_setting("target")
        raise DataError(f"the target '{name}' is empty: every cell is missing", where=table.where, cure=cure)
    kind = find_kinds(table, (name,), settings)[name]
    if kind.kind in ("identifier", "text"):
        is_number = not numbers(table.column(name)).bad.any()
        return ColumnKind("number" if is_number else "category")
    return kind


def labelled_rows(table: Table, targets: tuple[str, ...]) -> Table:
    """Return the rows with all targets.

    Raises:  DataError if there are none
    """
    known = [name for name in targets if name in table.names]
    if not known:
        return table
    is_there = np.all([table.column(name).is_not_null().to_numpy() for name in known], axis=0)
    if not is_there.any():
        cure = "choose another with " + data_setting("target")
        raise DataError(f"no row has a value in {listing('column', known)}", where=table.where, cure=cure)
    return table if is_there.all() else table.take(np.flatnonzero(is_there))


def unlabelled_note(table: Table, targets: tuple[str, ...], remaining: int) -> tuple[str, ...]:
    """Return a sentence about omitted rows, if there are any."""
    missing = len(table) - remaining
    if not missing:
        return ()
    which = "no value" if len(targets) == 1 else "not all of the values"
    return (f"{missing} of {len(table)} rows are skipped: they have {which} in the target {some_of(targets)}",)


def twin_labels(labels: tuple[object, ...]) -> tuple[str, ...]:
    """Return a sentence about labels that differ only in case or spaces, if there are any."""
    groups: dict[str, list[str]] = {}
    for label in labels:
        if isinstance(label, str):
            groups.setdefault("".join(label.casefold().split()), []).append(label)
    twins = [" and ".join(f"'{label}'" for label in group) for group in groups.values() if len(group) > 1]
    if not twins:
        return ()
    return (f"labels that differ only in case or spaces are separate classes: {some_of(twins, MOST_SHOWN)}",)
