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
    """How the rows are divided into a training, a validation and a test part.

    `auto` is `stratified` for classes and `random` for numbers; with fewer than 10 rows, all are used for training.
    `time` puts the oldest rows (by `column`, or in file order) into training; `group` keeps rows with the same value
    in `column` together; `none` trains on every row. A part that has its own file is not split off; with a validation
    file and `auto`, nothing is split off.
    """

    method: Annotated[
        Literal["auto", "random", "stratified", "time", "group", "none"],
        Words(
            "the method of choosing rows for validation and test",
            why="classes keep their shares; rows with numbers are drawn at random; below 10 rows, nothing is split off",
        ),
    ] = "auto"
    valid: Annotated[
        Fraction,
        Words(
            "share of the rows used for early stopping and for choosing the best weights",
            more="more reliable scores, but fewer rows to learn from",
            less="more rows to learn from, but less reliable scores",
            why="0.15: scores are reliable from a few hundred rows on, and most rows remain to learn from",
        ),
    ] = 0.15
    test: Annotated[
        Fraction,
        Words(
            "share of the rows used once, for the final score",
            more="more reliable scores, but fewer rows to learn from",
            less="more rows to learn from, but less reliable scores",
            why="0.15: the same share as for validation",
        ),
    ] = 0.15
    column: Annotated[str | None, Words("column of times or groups, for the methods `time` and `group`")] = None
    seed: Annotated[
        AnySeed, Words("seed for the split; the same seed gives the same parts", why="any number will do")
    ] = 0

    def rules(self) -> Iterator[Problem]:
        """Yield problems that concern several fields."""
        if self.valid + self.test >= 1:
            yield Problem(
                "valid",
                f"valid and test together take {self.valid + self.test:g} of the rows",
                "leave some for training",
            )
        if self.method == "group" and self.column is None:
            yield Problem("column", "missing", "set the column of the groups")
        if self.column is not None and self.method not in ("time", "group"):
            yield Problem("column", f"not used by the method '{self.method}'", "choose method: time or method: group")
