"""Networks as scikit-learn estimators: `from retrograd.sklearn import Classifier, Regressor`."""

from retrograd.estimator.classifier import Classifier as Classifier
from retrograd.estimator.regressor import Regressor as Regressor

__all__ = ["Classifier", "Regressor"]
