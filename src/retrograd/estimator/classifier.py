"""The scikit-learn classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import column_or_1d

from retrograd.estimator.estimator import NetworkEstimator
from retrograd.estimator.rows import as_array

MULTILABEL = "multilabel-indicator"


class Classifier(ClassifierMixin, NetworkEstimator):
    """A network that predicts classes, or several labels per row; see `NetworkEstimator`.

        model = Classifier(epochs=50).fit(X, y)
        model.predict_proba(X)

    `classes_` contains the labels in the column order of `predict_proba`.
    """

    classes_: np.ndarray
    _is_multilabel: bool

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Classifier:
        """Train on rows X [rows, features], an array or data frame, and labels y; return self.

        y contains one label of any type per row [rows], or 0 and 1 for several labels [rows, labels].
        """
        return super().fit(X, y, sample_weight)  # type: ignore[no-any-return]

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Classifier:
        """Train one epoch on a portion of the rows; return self. The first call must name all classes.

        The first portion determines scaling, network and batch size. The moments of the optimizer are kept from call to
        call, but not in a pickle.
        """
        if not hasattr(self, "model_"):
            self.classes_ = np.unique(np.asarray(y) if classes is None else np.asarray(classes))
            self._is_multilabel = False
        elif classes is not None and not np.array_equal(self.classes_, np.unique(np.asarray(classes))):
            raise ValueError(f"classes: expected those of the first call, {self.classes_}, found {classes}")
        if self._is_multilabel or type_of_target(y) == MULTILABEL:
            raise ValueError("partial_fit supports one label per row; for several, use fit with warm_start=True")
        if len(self.classes_) < 2:
            raise ValueError(f"a classifier needs at least 2 classes, found 1 class; name all of them: {self.classes_}")
        return self._fit_portion(X, y, sample_weight, len(self.classes_))  # type: ignore[no-any-return]

    def predict(self, X: Any) -> np.ndarray:
        """Return the most likely label of each row [rows], or 0 or 1 for each label [rows, labels]."""
        rows = self._rows_to_predict(X)
        labels = np.asarray(self._predictor.decode(rows).labels, np.int64)
        return labels if self._is_multilabel else self.classes_[labels]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, float64 [rows, classes]."""
        rows = self._rows_to_predict(X)
        return np.asarray(self._predictor.predict_proba(rows), np.float64)

    @property
    def _task(self) -> str:  # type: ignore[override]
        if getattr(self, "_is_multilabel", False):
            return "multilabel"
        return "binary" if len(getattr(self, "classes_", ())) == 2 else "multiclass"

    def _targets(self, y: Any, is_known: bool) -> np.ndarray:
        y = as_array(y)
        check_classification_targets(y)
        is_multilabel = type_of_target(y) == MULTILABEL
        if is_known and is_multilabel != self._is_multilabel:
            raise ValueError("y: the first fit had one label per row and this one several, or vice versa")
        self._is_multilabel = is_multilabel
        if is_multilabel:
            self.classes_ = unique_labels(y) if not is_known else self.classes_
            return np.asarray(y, np.int64)
        y = column_or_1d(y, warn=True)
        labels, numbers = np.unique(y, return_inverse=True)
        if is_known:
            unknown = np.setdiff1d(labels, self.classes_)
            if len(unknown):
                raise ValueError(f"y contains classes unknown to the first fit: {unknown}; known: {self.classes_}")
            return np.asarray(np.searchsorted(self.classes_, y))
        if len(labels) < 2:
            raise ValueError(f"a classifier needs at least 2 classes, y contains 1 class: {labels[0]!r}")
        self.classes_ = labels
        return np.asarray(numbers)

    def __sklearn_tags__(self) -> Any:
        """Return the scikit-learn tags: several labels per row are supported."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
