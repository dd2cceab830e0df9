"""A few cells that lie far from all others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.judgement.usual_rows import DOMINATED, dominating
from retrograd.diagnosis.original_unit import inputs_in_own_unit, targets_in_own_unit
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

MOST_FEATURES = 500  # more columns are pixels or tokens, and each needs a sort


@symptoms.register(
    "outliers",
    examples=Examples(
        sick=setup("line", {"wild": 3, "data": {"scale": "standard"}}, network=[*HEAD, {"dense": 1}]),
        healthy=setup("line", {"data": {"scale": "standard"}}, network=[*HEAD, {"dense": 1}]),
        near_miss=setup("line", {"skewed": True, "data": {"scale": "standard"}}, network=[*HEAD, {"dense": 1}]),
    ),
)
class OutlyingCells(Symptom):
    """A few extreme cells make up most of a column's variance: after standardising, all other cells are nearly equal.
    In the target, their squared errors outweigh those of all other rows.
    """

    code = "D14"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the worst input column and the worst target whose variance a few cells dominate."""
        if (
            program.data.x is not None
            and program.dataset.train["x"].ndim == 2
            and program.data.x.shape[1] <= MOST_FEATURES
        ):
            yield from self._worst(program, inputs_in_own_unit(program.dataset, program.data.x), "data.scale")
        if program.data.y is not None and program.dataset.task == "regression":
            yield from self._worst(program, targets_in_own_unit(program.dataset, program.data.y), "data.scale_target")

    def _worst(self, program: Program, columns: np.ndarray, setting: str) -> Iterator[Finding]:
        extremes = {i: pair for i, column in enumerate(columns.T) if (pair := dominating(column)) is not None}
        if not extremes:
            return
        worst = max(extremes, key=lambda i: extremes[i][1])
        is_target = setting == "data.scale_target"
        cells, share = extremes[worst]
        name = "target" if is_target else f"feature {program.data.feature_name(worst)}"
        others = f" (and in {len(extremes) - 1} more columns)" if len(extremes) > 1 else ""
        yield self.finding(
            setting,
            "{name}: {cells}{others}",
            Evidence("share of the variance due to these cells", share, DOMINATED),
            values={"name": name, "cells": cells.words(), "others": others},
            remedies=("robust_target",) if is_target else ("robust_inputs", "code_is_missing"),
            confidence=0.6 + 0.3 * share,
        )
