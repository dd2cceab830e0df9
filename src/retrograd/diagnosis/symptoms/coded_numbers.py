"""Numbers that are names: codes of places, products, models."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.data.tables.columns import NumberColumn
from retrograd.data.tables.inputs import TableInputs
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

GAIN = threshold("D16", "gain")
FEWEST, ROWS = 3, 3  # different values, and rows of each on average: two values are a line
DEGREE = 3  # a polynomial that bends twice: what it cannot follow is hardly a quantity's effect


@symptoms.register(
    "coded_numbers",
    examples=Examples(
        sick=setup("codes", network=[*HEAD, {"dense": 1}]),
        healthy=setup("line", network=[*HEAD, {"dense": 1}]),
        near_miss=setup("codes", {"data": {"kinds": {"x0": "category"}}}, network=[*HEAD, {"dense": 1}]),
    ),
)
class CodedNumbers(Symptom):
    """A number whose order says nothing is a name. As a quantity the network has to bend at every value; as a category
    each value has a weight of its own.

        gain = adjusted R² of the mean of each value - adjusted R² of a cubic polynomial
    """

    code = "D16"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the column that tells most more by its values than by their order."""
        names = coded(program)
        if names:
            worst = max(names, key=lambda name: names[name][0] - names[name][1])
            by_value, by_order = names[worst]
            others = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            yield self.finding(
                "data.kinds",
                "the numbers of {name}{others} look like names: singly they explain {by_value:.0%} of the target, as a "
                "quantity {by_order:.0%}",
                Evidence("variance explained by value - by a cubic", by_value - by_order, GAIN),
                values={"name": worst, "others": others, "by_value": by_value, "by_order": max(by_order, 0.0)},
                remedies=("codes_as_categories",),
                confidence=min(0.85, 0.45 + (by_value - by_order)),
            )


def coded(program: Program) -> dict[str, tuple[float, float]]:
    """Return the number columns that look like codes, and what their values and a cubic of them explain."""
    inputs, x, y = program.dataset.preprocessing.inputs, program.data.x, program.data.y
    if not isinstance(inputs, TableInputs) or x is None or y is None:
        return {}
    answers = np.eye(int(y.max()) + 1)[y] if y.ndim == 1 else y
    total = float(((answers - answers.mean(0)) ** 2).sum())
    names = {}
    for column in inputs.columns if total > 0 else ():
        if not isinstance(column, NumberColumn):
            continue
        cells = x[:, inputs.features.index(column.features[0])]
        values, group = np.unique(cells, return_inverse=True)
        own = column.scaling.undo(values[:, None])
        if not FEWEST <= len(values) <= len(cells) / ROWS or np.abs(own - own.round()).max() > WHOLE:
            continue
        explained = _by_value(group.reshape(-1), answers, total), _by_order(cells, answers, total)
        if explained[0] - explained[1] > GAIN:
            names[column.name] = explained
    return names


WHOLE = 1e-3  # from a whole number, which float32 and a scaling may leave


def _by_value(group: np.ndarray, answers: np.ndarray, total: float) -> float:
    counts = np.bincount(group)
    means = np.stack([np.bincount(group, column) for column in answers.T], 1) / counts[:, None]
    return _adjusted(float(((answers - means[group]) ** 2).sum()), total, len(group), len(counts))


def _by_order(cells: np.ndarray, answers: np.ndarray, total: float) -> float:
    spread = (cells - cells.mean()) / cells.std()
    powers = np.vander(spread, DEGREE + 1)
    left = answers - powers @ np.linalg.lstsq(powers, answers, rcond=None)[0]
    return _adjusted(float((left**2).sum()), total, len(cells), DEGREE + 1)


def _adjusted(left: float, total: float, rows: int, numbers: int) -> float:
    """Return the share of the variance that some fitted numbers explain beyond what as many do by chance."""
    return 1 - left / total * (rows - 1) / max(rows - numbers, 1)
