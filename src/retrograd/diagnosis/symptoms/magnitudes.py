"""Quantities that span orders of magnitude, with mostly small values."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.data.tables.scaling import SPAN, spans
from retrograd.diagnosis.data_facts import DataFacts
from retrograd.diagnosis.original_unit import inputs_in_own_unit, takes_logarithms, targets_in_own_unit
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

SCALED = {"scale": "standard", "scale_target": "standard"}


@symptoms.register(
    "magnitudes",
    examples=Examples(
        sick=setup("line", {"skewed": True, "data": SCALED}, network=[*HEAD, {"dense": 1}]),
        healthy=setup("line", {"data": SCALED}, network=[*HEAD, {"dense": 1}]),
        near_miss=setup("line", {"skewed": True, "data": {"scale": "log", "scale_target": "log"}},
                        network=[*HEAD, {"dense": 1}]),
    ),
)  # fmt: skip
class Magnitudes(Symptom):
    """If quantities vary by factors, as prices, counts and concentrations do, a few large values dominate mean,
    deviation and squared error, and all others lie close together. Their logarithms are evenly spread.
    """

    code = "D15"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the feature and the target with the widest span, if no logarithm is taken."""
        data, dataset, fitted = program.data, program.dataset, program.dataset.preprocessing
        if data.x is not None and dataset.train["x"].ndim == 2 and not takes_logarithms(fitted.inputs):
            yield from self._widest(data, inputs_in_own_unit(dataset, data.x), "data.scale")
        if data.y is not None and dataset.task == "regression" and not takes_logarithms(fitted.target):
            yield from self._widest(data, targets_in_own_unit(dataset, data.y), "data.scale_target")

    def _widest(self, data: DataFacts, columns: np.ndarray, setting: str) -> Iterator[Finding]:
        places = np.flatnonzero(spans(columns))
        if not len(places):
            return
        quantiles = {int(i): np.quantile(columns[columns[:, i] > 0, i], (0.01, 0.5, 0.99)) for i in places}
        widest = max(quantiles, key=lambda i: float(quantiles[i][2] / quantiles[i][0]))
        low, middle, high = (float(value) for value in quantiles[widest])
        is_target = setting == "data.scale_target"
        name = "the target" if is_target else f"feature {data.feature_name(widest)}"
        others = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
        yield self.finding(
            setting,
            "{name}{others} spans orders of magnitude: half of the values lie below {middle:.4g}, "
            "one in a hundred above {high:.4g}",
            Evidence("99th / 1st percentile of the positive values", high / low, SPAN),
            values={"name": name, "others": others, "middle": middle, "high": high},
            remedies=("log_target",) if is_target else ("log_inputs", "robust_inputs"),
            confidence=0.4,
        )
