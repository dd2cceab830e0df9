"""Reference levels: what can be had without a network, so that failure is measured and not guessed."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from retrograd.data.dataset import Dataset
from retrograd.diagnosis.score import columns_of, r_squared

MOST_ROWS, MOST_FEATURES = 3_000, 4_000  # more than these are sampled: references are to take seconds
SHUFFLES = 400
FEWEST_ROWS = 8  # held-out rows below which nothing is said about chance


class Levels(NamedTuple):
    """Scores (accuracy or R²) on training and held-out rows by reference; and the chance of the best one by luck.

    `chance` is the share of random pairings of the held-out rows' predictions and answers that fit as well: the
    smallest over the references, times their number. None where there are too few rows to say.
    """

    train: dict[str, float]
    held_out: dict[str, float]
    chance: float | None
    rows: int

    @property
    def trivial(self) -> float:
        """The score of the constant that training suggests."""
        return self.held_out.get("trivial", 0.0)

    @property
    def best(self) -> float:
        """The best held-out score of any reference."""
        return max(self.held_out.values(), default=0.0)

    @property
    def best_name(self) -> str:
        """The reference with the best held-out score."""
        return max(self.held_out, key=lambda name: self.held_out[name], default="")


def reference_levels(dataset: Dataset, seed: int = 0) -> Levels:
    """Fit references on the training part and measure them on the validation part (of one part: on that).

    trivial: the most frequent class, the mean. linear: logistic or ridge regression on standardised features. nearest:
    5 nearest neighbours. forest: 60 trees. All are scikit-learn's.
    """
    x, y = _matrix(dataset, "train", seed)
    held_x, held_y = _matrix(dataset, "valid", seed)
    classes = dataset.task in ("binary", "multiclass")
    train, held, chances = {}, {}, []
    for name, model in _references(classes, len(x), seed).items():
        if not classes or len(np.unique(y)) > 1 or name == "trivial":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a reference that has not converged is still a reference
                model.fit(x, y if classes else y.squeeze(-1) if y.shape[1] == 1 else y)
                found, held_found = _shaped(model.predict(x), y), _shaped(model.predict(held_x), held_y)
            train[name] = _score(found, y, classes)
            held[name] = _score(held_found, held_y, classes)
            if name != "trivial":
                chances.append(_chance(held_found, held_y, classes, seed))
    known = [chance for chance in chances if chance is not None]
    luck = min(1.0, min(known) * len(known)) if known and dataset.valid is not None else None
    return Levels(train, held, luck, len(held_x))


def _references(classes: bool, rows: int, seed: int) -> dict[str, Any]:
    from sklearn import dummy, ensemble, linear_model, neighbors
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    near = min(5, rows)
    if classes:
        return {
            "trivial": dummy.DummyClassifier(),
            "linear": make_pipeline(StandardScaler(), linear_model.LogisticRegression(max_iter=300)),
            "nearest": make_pipeline(StandardScaler(), neighbors.KNeighborsClassifier(near)),
            "forest": ensemble.RandomForestClassifier(60, random_state=seed),
        }
    return {
        "trivial": dummy.DummyRegressor(),
        "linear": make_pipeline(StandardScaler(), linear_model.Ridge(1e-3)),
        "nearest": make_pipeline(StandardScaler(), neighbors.KNeighborsRegressor(near)),
        "forest": ensemble.RandomForestRegressor(60, random_state=seed),
    }


def _matrix(dataset: Dataset, part: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features [rows, features] and targets of a part; embedded columns stand as their numbers."""
    columns = columns_of(dataset, part)
    rows = len(columns["y"])
    chosen = np.random.default_rng(seed).permutation(rows)[:MOST_ROWS]
    inputs = [column for name, column in columns.items() if name not in ("y", "sample_weight")]
    x = np.hstack([np.asarray(column[chosen], np.float64).reshape(len(chosen), -1) for column in inputs])
    if x.shape[1] > MOST_FEATURES:
        x = x[:, np.random.default_rng(seed).permutation(x.shape[1])[:MOST_FEATURES]]
    y = np.asarray(columns["y"])[chosen]
    if dataset.task in ("binary", "multiclass"):
        return np.nan_to_num(x), y.reshape(len(y)).astype(int)
    return np.nan_to_num(x), y.reshape(len(y), -1).astype(np.float64)


def _shaped(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.asarray(found).reshape(truth.shape)


def _score(found: np.ndarray, truth: np.ndarray, classes: bool) -> float:
    return float(np.mean(found == truth)) if classes else r_squared(found, truth)


def _chance(found: np.ndarray, truth: np.ndarray, classes: bool, seed: int) -> float | None:
    """Return how often predictions fit answers in random order as well as in theirs."""
    if len(truth) < FEWEST_ROWS:
        return None
    rng = np.random.default_rng(seed)
    own = _score(found, truth, classes)
    as_good = sum(_score(found, truth[rng.permutation(len(truth))], classes) >= own for _ in range(SHUFFLES))
    return (as_good + 1) / (SHUFFLES + 1)
