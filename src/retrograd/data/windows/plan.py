"""The plan for windows over a table: which columns go in, which are predicted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from retrograd.base.errors import ConfigError, DataError
from retrograd.data.inputs import fit_table, parse_columns
from retrograd.data.kinds import ColumnKind, find_kinds, kinds_notes
from retrograd.data.plan import Goal
from retrograd.data.preprocessing import Preprocessing
from retrograd.data.scaling import Scaling
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table
from retrograd.data.target import Quantities, fit_quantities
from retrograd.data.task import find_targets
from retrograd.data.windows.inputs import WindowInputs, in_order
from retrograd.data.windows.settings import WindowSettings
from retrograd.data.wording import some_of


@dataclass(frozen=True)
class WindowPlan:
    """The plan for a table whose rows are moments."""

    settings: DataSettings
    own: WindowSettings
    features: dict[str, ColumnKind]
    ignored: tuple[str, ...]
    goal: Goal
    notes: tuple[str, ...]

    def clean(self, table: Table) -> Table:
        """Return the rows in the order of time."""
        return in_order(table.with_missing(self.settings.missing_values), self.own.time)

    def fit(self, train: Table) -> Preprocessing:
        """Return the preprocessing fitted on training rows; a series is scaled alike at each step of the horizon."""
        own, names = self.own, self.goal.names
        columns = fit_table(train, self.features, self.ignored, self.settings, self.settings.scale or "standard")
        inputs = WindowInputs(columns, names, own.history, own.horizon, own.stride, own.time)
        is_scaled = self.settings.scale in (None, "standard", "minmax")
        scale = self.settings.scale_target or ("standard" if is_scaled else "none")
        one = fit_quantities(train, names, scale).scaling
        scaling = Scaling(one.offset * own.horizon, one.scale * own.horizon)
        return Preprocessing(inputs, Quantities(inputs.steps, scaling))

    def row_labels(self, table: Table) -> None:
        """Return None: moments have no classes."""

    def split_keys(self, table: Table) -> np.ndarray | None:
        """Return None: the rows are in the order of time."""
        return None


def plan_windows(table: Table, settings: DataSettings, own: WindowSettings) -> WindowPlan:
    """Find out what the columns of a table are.

    Raises:  ConfigError for a split that would tear windows apart; DataError for targets that are no numbers
    """
    if settings.split.method not in ("auto", "time", "none") or settings.split.column is not None:
        raise ConfigError("windows are split by their own time", where="data.split", cure="leave method and column out")
    if settings.weight is not None:
        raise ConfigError("windows have no weights", where="data.weight", cure="leave it out")
    table = table.with_missing(settings.missing_values)
    targets = find_targets(table.names, replace(settings, task="regression"))
    left_out = {*settings.exclude, own.time}
    names = settings.features or tuple(name for name in table.names if name not in left_out)
    kinds = find_kinds(table, tuple(dict.fromkeys((*names, *targets))), settings)
    words = [name for name in targets if kinds[name].kind not in ("number", "identifier")]
    if words:
        raise DataError(
            f"the target '{words[0]}' holds no numbers", where=table.where, cure="name others with `target:`"
        )
    features = {name: kinds[name] for name in names if kinds[name].kind != "identifier"}
    parse_columns(table, features, settings.invalid, settings.missing)
    ordered = f"ordered by {own.time}" if own.time else "in the order of the file"
    note = f"forecast of {some_of(targets)}: {own.horizon} rows after each {own.history}, {ordered}"
    ignored = tuple(name for name in table.names if name not in features)
    return WindowPlan(settings, own, features, ignored, Goal("regression", targets), (note, *kinds_notes(features)))
