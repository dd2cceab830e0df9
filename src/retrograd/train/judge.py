"""Judging the answers for a part of the data row by row: what is taken for what, and which rows are the worst."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from retrograd.data.dataset import Dataset
from retrograd.data.multilabel import MultiLabels
from retrograd.data.target import Labels, Quantities
from retrograd.data.windows.levels import at_level
from retrograd.record.judged import Judged
from retrograd.record.report_markup import figure
from retrograd.train.confusion import class_name, confusion, counted, label_counts
from retrograd.train.residuals import residuals
from retrograd.train.tallies import MaskTally, PlainTally, Tally
from retrograd.train.worst import Worst, worst_rows

MOST_TARGETS, MOST_WORDS = 4, 4
LEAST = 1e-300  # a probability, so that its logarithm is finite


def judge(part: str, tally: Tally | None, dataset: Dataset) -> Judged | None:
    """Return how a part was answered, from what its scoring has added up; None where there is nothing to judge.

    Outputs are decoded portion by portion, as they were scored.
    """
    if isinstance(tally, MaskTally):
        return _of_masks(part, tally) if tally.finite else None
    if not isinstance(tally, PlainTally) or not tally.outputs:
        return None
    finite = [np.isfinite(output).all(1) for output in tally.outputs]
    target = tally.target
    with np.errstate(all="ignore"):  # rows without a finite output are left out of everything but the worst rows
        if isinstance(target, Labels):
            fields, worst = _of_labels(tally, target, finite)
        elif isinstance(target, MultiLabels):
            fields, worst = _of_several(tally, target, finite)
        else:
            fields, worst = _of_quantities(tally, target, finite)
    rows = sum(map(len, finite))
    judged = Judged(part, rows, nonfinite=rows - int(sum(map(np.sum, finite))), **fields)
    return replace(judged, worst=worst_rows(worst, dataset, part))


def _of_masks(part: str, tally: MaskTally) -> Judged:
    truth, found = np.nonzero(tally.counts)
    fields = counted(truth, found, tally.counts[truth, found], tally.target.values)
    return Judged(part, int(tally.counts.sum()), "pixels", **fields)


def _of_labels(tally: PlainTally, target: Labels, finite: list[np.ndarray]) -> tuple[dict[str, Any], Worst]:
    worst, truths, answers = Worst(), [], []
    for output, truth, there in zip(tally.outputs, tally.truths, finite, strict=True):
        share = np.asarray(target.decode(output, from_logits=tally.from_logits).probabilities)
        numbers, found = truth.reshape(-1).astype(int), share.argmax(1)
        losses = -np.log(np.maximum(share[np.arange(len(share)), numbers], LEAST))
        worst.add(
            np.where(there, losses, np.inf),
            truth=numbers,
            answer=found,
            probability=share[np.arange(len(share)), found],
        )
        truths.append(numbers[there])
        answers.append(found[there])
    worst.words = lambda row: (class_name(target.classes[row["truth"]]), class_name(target.classes[row["answer"]]))
    fields = confusion(np.concatenate(truths), np.concatenate(answers), target.classes)
    return {**fields, "measure": "cross-entropy"}, worst


def _of_several(tally: PlainTally, target: MultiLabels, finite: list[np.ndarray]) -> tuple[dict[str, Any], Worst]:
    worst, truths, answers = Worst(), [], []
    for output, truth, there in zip(tally.outputs, tally.truths, finite, strict=True):
        share = np.asarray(target.decode(output, from_logits=tally.from_logits).probabilities)
        has, found = truth >= 0.5, share >= 0.5
        losses = -np.log(np.maximum(np.where(has, share, 1 - share), LEAST)).mean(1)
        worst.add(np.where(there, losses, np.inf), truth=has, answer=found)
        truths.append(has[there])
        answers.append(found[there])
    worst.words = lambda row: (_labels(row["truth"], target), _labels(row["answer"], target))
    fields = label_counts(np.concatenate(truths), np.concatenate(answers), target.classes)
    return {**fields, "measure": "binary cross-entropy, the mean over labels"}, worst


def _of_quantities(tally: PlainTally, target: Quantities, finite: list[np.ndarray]) -> tuple[dict[str, Any], Worst]:
    worst, truths, answers = Worst(), [], []
    portions = zip(tally.outputs, tally.truths, tally.levels, finite, strict=True)
    for output, scaled, level, there in portions:
        truth = at_level(target.scaling.undo(scaled), level)
        found = at_level(np.asarray(target.decode(output).values), level)
        losses = ((np.asarray(output, np.float64) - scaled) ** 2).mean(1)
        worst.add(np.where(there, losses, np.inf), truth=truth, answer=found)
        truths.append(truth[there])
        answers.append(found[there])
    worst.words = lambda row: (_values(row["truth"]), _values(row["answer"]))
    truth, found = np.concatenate(truths), np.concatenate(answers)
    usable = [i for i in range(truth.shape[1]) if len(truth) and np.isfinite(found[:, i]).all()]
    shown = [residuals(class_name(target.names[i]), truth[:, i], found[:, i]) for i in usable[:MOST_TARGETS]]
    scaled_as = "squared error" if set(target.scaling.scale) == {1.0} else "squared error of the scaled target"
    return {"residuals": tuple(shown), "target_count": len(target.names), "measure": scaled_as}, worst


def _labels(has: np.ndarray, target: MultiLabels) -> str:
    names = [class_name(target.classes[i]) for i in np.flatnonzero(has)]
    more = f" and {len(names) - MOST_WORDS} more" if len(names) > MOST_WORDS else ""
    return ", ".join(names[:MOST_WORDS]) + more if names else "none"


def _values(values: np.ndarray) -> str:
    more = f" and {len(values) - MOST_WORDS} more" if len(values) > MOST_WORDS else ""
    return ", ".join(figure(float(value)) for value in values[:MOST_WORDS]) + more
