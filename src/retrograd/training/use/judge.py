"""Judging the answers for a part of the data row by row: what is confused with what, and which rows are worst."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from retrograd.data.dataset import Dataset
from retrograd.data.tables.multilabel import MultiLabels
from retrograd.data.tables.target import Quantities, exponential
from retrograd.data.windows.levels import at_level
from retrograd.present.numbers import number
from retrograd.present.wording import some_of
from retrograd.record.judged import Judged, Mistaken
from retrograd.training.use.confusion import class_name, confusion, counted, label_counts
from retrograd.training.use.residuals import residuals
from retrograd.training.use.tallies import ClassTally, MaskTally, PlainTally, Tally
from retrograd.training.use.worst import Worst, worst_rows

MOST_TARGETS, MOST_WORDS = 4, 4
LEAST = 1e-300  # a probability, so that its logarithm is finite


class Answers(NamedTuple):
    """The answers for a part: fields of Judged, and the worst rows."""

    fields: dict[str, Any]
    worst: Worst


def judge(part: str, tally: Tally | None, dataset: Dataset) -> Judged | None:
    """Judge the answers for a part from its tally; None if there is nothing to judge.

    Outputs are decoded portion by portion, as they were scored.
    """
    if isinstance(tally, MaskTally):
        return _of_masks(part, tally) if tally.finite else None
    if isinstance(tally, ClassTally):
        answers = _of_classes(tally)
    elif isinstance(tally, PlainTally):
        with np.errstate(all="ignore"):  # non-finite rows count only among the worst rows
            answers = (
                _of_several(tally, tally.target)
                if isinstance(tally.target, MultiLabels)
                else _of_quantities(tally, tally.target)
            )
    else:
        return None
    judged = Judged(part, answers.worst.count, nonfinite=answers.worst.nonfinite, **answers.fields)
    return replace(judged, worst=worst_rows(answers.worst, dataset, part))


def mistaken(tally: Tally | None) -> tuple[Mistaken, ...]:
    """Return the most confused pairs of classes, the most frequent first; empty if there are no classes."""
    if isinstance(tally, MaskTally):
        return _of_masks("", tally).pairs if tally.finite else ()
    return _of_classes(tally).fields["pairs"] if isinstance(tally, ClassTally) else ()


def _of_masks(part: str, tally: MaskTally) -> Judged:
    truth, predicted = np.nonzero(tally.counts)
    fields = counted(truth, predicted, tally.counts[truth, predicted], tally.target.values)
    return Judged(part, int(tally.counts.sum()), "pixels", **fields)


def _of_classes(tally: ClassTally) -> Answers:
    rows, names = tally.rows(), tally.target.classes
    worst = Worst(lambda row: (class_name(names[row["truth"]]), class_name(names[row["answer"]])))
    worst.add(rows.surprises(), rows.finite, truth=rows.truth, answer=rows.found, probability=rows.sureness())
    fields = confusion(rows.truth[rows.finite], rows.found[rows.finite], names)
    return Answers({**fields, "measure": "cross-entropy"}, worst)


def _of_several(tally: PlainTally, target: MultiLabels) -> Answers:
    truths, answers = [], []
    worst = Worst(lambda row: (_labels(row["truth"], target), _labels(row["answer"], target)))
    for output, truth in zip(tally.outputs, tally.truths, strict=True):
        share = np.asarray(target.decode(output, link=tally.link).probabilities)
        has, predicted, finite = truth >= 0.5, share >= 0.5, np.isfinite(output).all(1)
        losses = -np.log(np.maximum(np.where(has, share, 1 - share), LEAST)).mean(1)
        worst.add(losses, finite, truth=has, answer=predicted)
        truths.append(has[finite])
        answers.append(predicted[finite])
    fields = label_counts(np.concatenate(truths), np.concatenate(answers), target.classes)
    return Answers({**fields, "measure": "binary cross-entropy, the mean over labels"}, worst)


def _of_quantities(tally: PlainTally, target: Quantities) -> Answers:
    truths, answers = [], []
    worst = Worst(lambda row: (_values(row["truth"]), _values(row["answer"])))
    for output, scaled, level in zip(tally.outputs, tally.truths, tally.levels, strict=True):
        truth = at_level(target.scaling.undo(scaled), level)
        predicted = at_level(np.asarray(target.decode(output, link=tally.link).values), level)
        finite = np.isfinite(predicted).all(1)
        numbers = exponential(output) if tally.link == "log" else np.asarray(output, np.float64)
        losses = ((numbers - scaled) ** 2).mean(1)
        worst.add(losses, finite, truth=truth, answer=predicted)
        truths.append(truth[finite])
        answers.append(predicted[finite])
    truth, predicted = np.concatenate(truths), np.concatenate(answers)
    count = min(MOST_TARGETS, truth.shape[1]) if len(truth) else 0
    shown = [residuals(class_name(target.names[i]), truth[:, i], predicted[:, i]) for i in range(count)]
    measure = (
        "squared error"
        if set(target.scaling.scale) == {1.0} and target.scaling.is_affine
        else "squared error of the scaled target"
    )
    fields = {"residuals": tuple(shown), "target_count": len(target.names), "measure": measure}
    return Answers(fields, worst)


def _labels(has: np.ndarray, target: MultiLabels) -> str:
    return some_of([class_name(target.classes[i]) for i in np.flatnonzero(has)], MOST_WORDS) or "none"


def _values(values: np.ndarray) -> str:
    return some_of([number(float(value)) for value in values], MOST_WORDS)
