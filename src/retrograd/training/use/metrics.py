"""Metrics for classes and quantities: scikit-learn's numbers, without the second that importing it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

LEAST = 1e-15  # smallest probability whose logarithm is taken
BLOCK = 2**18


def regression_metrics(
    truth: np.ndarray, found: np.ndarray | None, full: bool, names: Sequence[str] = ()
) -> dict[str, float]:
    """Return R², and with `full` the mean absolute and root mean squared error in the target's unit.

    Several targets are averaged; with `full` the metrics of each target are included under its name.
    """
    if found is None or len(truth) < 2 or not np.isfinite(found).all():
        return {}
    spread, unexplained = _squares(truth, truth.mean(0)).sum(0), _squares(truth, found).sum(0)
    scores = {"r2": float(np.mean(1 - unexplained / np.where(spread > 0, spread, 1)))}
    if not full:
        return scores
    scores |= _full_regression(truth, found)
    for i, name in enumerate(names if len(names) > 1 else ()):
        target_scores = regression_metrics(truth[:, i : i + 1], found[:, i : i + 1], full)
        scores |= {f"{metric} of {name}": value for metric, value in target_scores.items()}
    return scores


def _squares(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return squared differences, in a single array."""
    difference: np.ndarray = truth - found
    np.square(difference, out=difference)
    return difference


class Judged(NamedTuple):
    """Rows of classes, judged portion by portion: the probabilities of thousands of classes are not kept.

    Of two classes, the probability of the second determines the others; with more, it is not needed.

    Shapes:  true and predicted class [rows], finite [rows]: whether all probabilities are; for two classes positive
             p(second class) [rows], else surprise -log p(true class) [rows], sure p(predicted class) [rows]
    """

    truth: np.ndarray
    found: np.ndarray
    finite: np.ndarray
    positive: np.ndarray | None = None
    surprise: np.ndarray | None = None
    sure: np.ndarray | None = None

    @staticmethod
    def joined(portions: list[Judged]) -> Judged:
        """Return the rows of all portions, merged column by column so that few data exist twice; empties the list."""
        columns = [list(column) for column in zip(*portions, strict=True)]
        portions.clear()
        merged = []
        while columns:
            column = columns.pop(0)
            merged.append(None if column[0] is None else np.concatenate(column))
        return Judged(*merged)  # type: ignore[arg-type]

    def surprises(self) -> np.ndarray:
        """Return -log p(true class) [rows]; the mean over all rows is scikit-learn's log loss."""
        if self.surprise is not None:
            return self.surprise
        surprises = np.empty(len(self.truth))
        for start in range(0, len(surprises), BLOCK):
            rows = slice(start, start + BLOCK)
            surprises[rows] = _surprises(self.truth[rows], self._probabilities(rows))
        return surprises

    def sureness(self) -> np.ndarray:
        """Return p(predicted class) [rows]."""
        if self.sure is not None:
            return self.sure
        assert self.positive is not None
        return np.where(self.found == 1, self.positive, 1 - self.positive)

    def _probabilities(self, rows: slice) -> np.ndarray:
        assert self.positive is not None
        return np.stack([1 - self.positive[rows], self.positive[rows]], 1)


def judged(truth: np.ndarray, probabilities: np.ndarray, binary: bool) -> Judged:
    """Summarise the rows of a portion, given the probabilities [rows, classes]; `binary` if those of a row add to 1 by
    construction, as p and 1 - p.
    """
    numbers = np.min_scalar_type(probabilities.shape[1] - 1)  # one byte for up to 256 classes
    predicted = probabilities.argmax(1)
    finite = np.isfinite(probabilities).all(1)
    rows = Judged(truth.astype(numbers), predicted.astype(numbers), finite)
    if binary:
        return rows._replace(positive=probabilities[:, 1].copy())
    sure = probabilities[np.arange(len(truth)), predicted]
    return rows._replace(surprise=_surprises(truth, probabilities), sure=sure)


def _surprises(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    share = np.clip(probabilities[np.arange(len(truth)), truth], LEAST, None)
    share = share / np.clip(probabilities, LEAST, None).sum(1)
    eps = np.finfo(share.dtype).eps
    surprises: np.ndarray = -np.log(np.clip(share, eps, 1 - eps))
    return surprises


def class_metrics(rows: Judged, full: bool, binary: bool) -> dict[str, float]:
    """Return accuracy, and with `full` balanced accuracy, macro F1, log loss, and for two classes ROC AUC."""
    scores = {"accuracy": float((rows.found == rows.truth).mean())}
    return {**scores, **_full_classes(rows, binary)} if full else scores


def label_metrics(truth: np.ndarray, probabilities: np.ndarray, full: bool, names: Sequence[str]) -> dict[str, float]:
    """Return the share of right answers over all labels; with `full` also the share of rows with every label right,
    macro F1, log loss and ROC AUC (means over labels), and the metrics of each label.

    Shapes:  truth, probabilities [rows, labels]
    """
    if not np.isfinite(probabilities).all():
        return {}
    right = (probabilities >= 0.5) == (truth >= 0.5)
    scores = {"accuracy": float(right.mean())}
    if not full:
        return scores
    per_label = [_one_label(truth[:, i] >= 0.5, probabilities[:, i]) for i in range(truth.shape[1])]
    scores["all_right"] = float(right.all(1).mean())
    for metric in ("f1_macro", "log_loss", "roc_auc"):
        known = [label_scores[metric] for label_scores in per_label if metric in label_scores]
        if known:
            scores[metric] = float(np.mean(known))
    for i, name in enumerate(names):
        scores |= {f"accuracy of {name}": float(right[:, i].mean())}
        scores |= {f"{metric.removesuffix('_macro')} of {name}": value for metric, value in per_label[i].items()}
    return scores


def _one_label(truth: np.ndarray, share: np.ndarray) -> dict[str, float]:
    _, f1 = recall_and_f1(truth.astype(int), (share >= 0.5).astype(int), np.array([1]))
    scores = {"f1_macro": f1[0]}
    if len(np.unique(truth)) == 2:
        scores["roc_auc"] = roc_auc(truth, share)
    clipped = np.clip(share, 1e-15, 1 - 1e-15)
    scores["log_loss"] = -np.mean(np.where(truth, np.log(clipped), np.log1p(-clipped)))
    return {name: float(value) for name, value in scores.items()}


def _full_regression(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    error = predicted - truth
    return {
        "mean_absolute_error": float(np.abs(error).mean(0).mean()),
        "root_mean_squared_error": float(np.sqrt(np.square(error, out=error).mean(0)).mean()),
    }


def _full_classes(rows: Judged, binary: bool) -> dict[str, float]:
    present = np.unique(rows.truth)
    recall, f1 = recall_and_f1(rows.truth, rows.found, present)
    scores = {"balanced_accuracy": recall.mean(), "f1_macro": f1.mean(), "log_loss": rows.surprises().mean()}
    if binary and len(present) == 2 and rows.positive is not None:
        scores["roc_auc"] = roc_auc(rows.truth == present[1], rows.positive)
    return {name: float(value) for name, value in scores.items()}


def recall_and_f1(truth: np.ndarray, predicted: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each class's recall and F1, 0 if a class neither occurs nor was predicted.

        recall = right / true,  F1 = 2 right / (true + predicted)

    Shapes:  truth, predicted class numbers [rows], classes [k] -> recall, F1 [k]
    """
    length = 1 + max(int(labels.max(initial=0)) for labels in (truth, predicted, classes))
    actual, answered, right = (
        np.bincount(labels, minlength=length)[classes] for labels in (truth, predicted, truth[truth == predicted])
    )
    return right / np.maximum(actual, 1), 2 * right / np.maximum(actual + answered, 1)


def roc_auc(positive: np.ndarray, score: np.ndarray) -> float:
    """Return how often a positive row scores higher than a negative one; equal scores count half.

        AUC = Σ over positive rows (negative rows below + those equal / 2) / (p n)

    See:  Hanley & McNeil 1982; Mann & Whitney 1947.
    """
    above, below = score[positive], score[~positive]
    above.sort()
    below.sort()
    wins = sum(int(np.searchsorted(below, block, side).sum()) for block in _blocks(above) for side in ("left", "right"))
    return float(wins / 2 / (len(above) * len(below)))


def _blocks(values: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the values in blocks, so that temporary arrays never have their full length."""
    return (values[start : start + BLOCK] for start in range(0, len(values), BLOCK))
