"""The `data.split:` section of a configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from retrograd.base.annotations import Words
from retrograd.base.errors import Problem
from retrograd.base.quantities import AnySeed, Fraction
from retrograd.base.schema import Settings


@dataclass(frozen=True)
class SplitSettings(Settings):
    """How the rows are divided into training, validation and test part.

    `auto` is `stratified` for classes and `random` for numbers; fewer than 10 rows all train. `time` puts the oldest
    rows (by `column`, or in the order of the file) into training; `group` keeps rows with the same value in `column`
    together; `none` trains on every row. A part that has its own file is not split off; with a validation file and
    `auto` nothing is.
    """

    method: Annotated[
        Literal["auto", "random", "stratified", "time", "group", "none"],
        Words(
            "the method of choosing rows for validation and test",
            why="classes keep their shares, numbers are drawn at random; a table of fewer than 10 rows trains whole",
        ),
    ] = "auto"
    valid: Annotated[
        Fraction,
        Words(
            "share of the rows that decide early stopping and the best weights",
            more="a steadier measure, fewer rows to learn from",
            less="more rows to learn from, a shakier measure",
            why="enough to measure, few enough to spare",
        ),
    ] = 0.15
    test: Annotated[
        Fraction,
        Words(
            "share of the rows that are scored once, at the end",
            more="a steadier measure, fewer rows to learn from",
            less="more rows to learn from, a shakier measure",
            why="as many as for validation",
        ),
    ] = 0.15
    column: Annotated[str | None, Words("the column of times or groups, for the methods `time` and `group`")] = None
    seed: Annotated[
        AnySeed, Words("seed for the split; the same seed gives the same parts", why="any number will do")
    ] = 0

    def rules(self) -> Iterator[Problem]:
        """Yield problems that concern several fields."""
        if self.valid + self.test >= 1:
            yield Problem(
                "valid", f"valid and test take {self.valid + self.test:g} of the rows", "leave some for training"
            )
        if self.method == "group" and self.column is None:
            yield Problem("column", "missing", "name the column of the groups")
        if self.column is not None and self.method not in ("time", "group"):
            yield Problem("column", f"not used by the method '{self.method}'", "choose method: time or method: group")
