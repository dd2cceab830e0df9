"""Networks as scikit-learn estimators; `retrograd.sklearn` is the door."""
