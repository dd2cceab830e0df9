"""A few cells far from all others."""

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
    """A few wild cells make up most of a column's variance: standardised by it, all other cells become equal. In the
    target, their squared errors outweigh those of all other rows.
    """

    code = "D14"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the worst input column and the worst target with a variance dominated by a few cells."""
        if (
            program.data.x is not None
            and program.dataset.train["x"].ndim == 2
            and program.data.x.shape[1] <= MOST_FEATURES
        ):
            yield from self._worst(program, inputs_in_own_unit(program.dataset, program.data.x), "data.scale")
        if program.data.y is not None and program.dataset.task == "regression":
            yield from self._worst(program, targets_in_own_unit(program.dataset, program.data.y), "data.scale_target")

    def _worst(self, program: Program, columns: np.ndarray, setting: str) -> Iterator[Finding]:
        wild = {i: far for i, column in enumerate(columns.T) if (far := dominating(column)) is not None}
        if not wild:
            return
        worst = max(wild, key=lambda i: wild[i][1])
        is_target = setting == "data.scale_target"
        cells, share = wild[worst]
        name = "target" if is_target else f"feature {program.data.feature_name(worst)}"
        others = f" (and in {len(wild) - 1} more columns)" if len(wild) > 1 else ""
        yield self.finding(
            setting,
            "{name}: {cells}{others}",
            Evidence("share of the variance due to these cells", share, DOMINATED),
            values={"name": name, "cells": cells.words(), "others": others},
            remedies=("robust_target",) if is_target else ("robust_inputs", "code_is_missing"),
            confidence=0.6 + 0.3 * share,
        )
