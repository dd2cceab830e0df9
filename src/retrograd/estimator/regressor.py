"""The scikit-learn regressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_array, column_or_1d

from retrograd.estimator.estimator import NetworkEstimator
from retrograd.estimator.rows import as_array


class Regressor(RegressorMixin, NetworkEstimator):
    """A network that predicts one or several quantities; see `NetworkEstimator`.

    model = Regressor(random_state=0).fit(X, y)
    model.score(X, y)
    """

    _task = "regression"
    _has_several: bool

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Regressor:
        """Train on rows X [rows, features], an array or data frame, and y [rows] or [rows, targets]; return self."""
        return super().fit(X, y, sample_weight)  # type: ignore[no-any-return]

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Regressor:
        """Train one epoch on a portion of the rows; return self.

        The first portion determines scaling, network and batch size. The moments of the optimizer are kept from call to
        call, but not in a pickle.
        """
        return self._fit_portion(X, y, sample_weight, 0)  # type: ignore[no-any-return]

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted quantities, float64 [rows], or [rows, targets] if y had several."""
        rows = self._rows_to_predict(X)
        values: Any = np.asarray(self._predictor.decode(rows).values, np.float64)
        predicted: np.ndarray = values if self._has_several else values[:, 0]
        return predicted

    def _targets(self, y: Any, is_known: bool) -> np.ndarray:
        y = as_array(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        checked: np.ndarray = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")
        if is_known and (checked.ndim == 2) != self._has_several:
            raise ValueError("y: the number of targets differs from the first fit")
        self._has_several = checked.ndim == 2
        return checked

    def __sklearn_tags__(self) -> Any:
        """Return the scikit-learn tags: several targets are supported."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
