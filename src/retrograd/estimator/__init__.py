"""Networks as scikit-learn estimators, exported by `retrograd.sklearn`."""
