"""Confusion matrices, the most confused pairs among many classes, and two-by-two tables of labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from retrograd.record.judged import LabelCounts, Mistaken

MOST_CLASSES = 20  # in a readable confusion matrix
MOST_PAIRS, MOST_LABELS = 20, 30
MOST_CHARACTERS = 60  # of a class's name


def confusion(truth: np.ndarray, found: np.ndarray, names: Sequence[Any]) -> dict[str, Any]:
    """Return the fields of Judged for class numbers [rows], given the names of the classes.

    With many classes the full matrix is never built: no more pairs occur than there are rows.
    """
    codes = truth.astype(np.int64) * len(names) + found
    if len(names) ** 2 <= len(codes):
        counts = np.bincount(codes)
        codes = np.flatnonzero(counts)
        counts = counts[codes]
    else:
        codes, counts = np.unique(codes, return_counts=True)
    return counted(codes // len(names), codes % len(names), counts, names)


def counted(truth: np.ndarray, found: np.ndarray, counts: np.ndarray, names: Sequence[Any]) -> dict[str, Any]:
    """Return the same fields from the pairs that occur, each argument [pairs]: true class, answer, and count."""
    rows = np.bincount(truth, counts, len(names))
    wrong = np.flatnonzero(truth != found)
    order = wrong[np.lexsort((found[wrong], truth[wrong], -counts[wrong]))]
    pairs = [
        Mistaken(class_name(names[truth[i]]), class_name(names[found[i]]), int(counts[i]),
                 float(counts[i] / rows[truth[i]]))
        for i in order[:MOST_PAIRS]
    ]  # fmt: skip
    fields: dict[str, Any] = {"class_count": len(names), "pairs": tuple(pairs), "pair_count": len(wrong)}
    fields["right"] = int(counts[truth == found].sum())
    if len(names) <= MOST_CLASSES:
        matrix = np.zeros((len(names), len(names)), np.int64)
        matrix[truth, found] = counts
        fields |= {"classes": tuple(map(class_name, names)), "counts": tuple(map(tuple, matrix.tolist()))}
    return fields


def label_counts(truth: np.ndarray, found: np.ndarray, names: Sequence[Any]) -> dict[str, Any]:
    """Return the fields of Judged for labels, bool [rows, labels]; of many labels, those most often wrong."""
    wrong = (truth != found).sum(0)
    shown = np.arange(len(names))
    if len(names) > MOST_LABELS:
        shown = np.argsort(-wrong, kind="stable")[:MOST_LABELS]
    labels = [
        LabelCounts(
            class_name(names[int(i)]),
            hits=int((truth[:, i] & found[:, i]).sum()),
            misses=int((truth[:, i] & ~found[:, i]).sum()),
            false_alarms=int((~truth[:, i] & found[:, i]).sum()),
            rejections=int((~truth[:, i] & ~found[:, i]).sum()),
        )
        for i in shown
    ]
    return {"labels": tuple(labels), "label_count": len(names), "right": int((truth == found).all(1).sum())}


def class_name(label: Any) -> str:
    """Return a label as text, shortened to fit into a table."""
    text = str(label)
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 3]}..."
