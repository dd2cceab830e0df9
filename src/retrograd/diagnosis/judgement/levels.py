"""Reference levels: scores of models without a network, so that failure is measured rather than guessed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from retrograd.data.dataset import Dataset
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.judgement.chance import Ranking, ranking, share_by_chance
from retrograd.diagnosis.judgement.score import columns_of, mean_area, r_squared
from retrograd.diagnosis.judgement.usual_rows import UsualRows
from retrograd.diagnosis.original_unit import comparable

MOST_ROWS, MOST_FEATURES = 3_000, 4_000  # beyond that, a sample is used, so that references take seconds
FOLDS = 5  # scikit-learn's default
LUCK = threshold("D07", "chance")
SURER = 0.01  # level of the second test, which is used only if the first one finds nothing
FEWEST_HELD = 30  # minimum number of held-out rows to test for a signal
FEWEST_FOLDED = 100  # minimum number of rows in both parts to test out of fold, with fewer held-out rows
FEW = 16  # maximum number of rows of two-valued features that count as a truth table, even an incomplete one
WORDS = {
    "trivial": "a constant", "linear": "a linear model", "nearest": "a nearest-neighbour model",
    "forest": "a random forest", "by heart": "memorising every row",
}  # fmt: skip


class Levels(NamedTuple):
    """Scores (accuracy, mean AUC, R²) of the references on training and held-out rows, and how likely chance is.

    Without a held-out part, `held_out` is out of fold on the training rows; if these are a complete truth table
    (`whole`), the level `by heart` says what memorising reaches: everything except contradictions.

    `chance` is the share of random pairings of predictions and answers of the held-out rows that fit as well as the
    true ones: the smallest over the references, times their number. With few held-out rows, all rows are used, out of
    fold. None for too few rows. `tested` is the number of rows in the test.
    `ranking` is 2 AUC - 1 (for numbers, the rank correlation) on held-out rows. `errors` are the linear model's errors
    by part: the rows, and for each of them 1 for a wrong class, or the squared error / variance.
    """

    train: dict[str, float]
    held_out: dict[str, float]
    chance: float | None
    rows: int
    ranking: Mapping[str, float] = {}
    whole: bool = False
    errors: Mapping[str, tuple[np.ndarray, np.ndarray]] = {}
    tested: int = 0

    @property
    def trivial(self) -> float:
        """The score of the best constant for the training part."""
        return self.held_out.get("trivial", 0.0)

    @property
    def best(self) -> float:
        """The best held-out score of any reference."""
        return max(self.held_out.values(), default=0.0)

    @property
    def best_name(self) -> str:
        """The reference with the best held-out score."""
        return max(self.held_out, key=lambda name: self.held_out[name], default="")

    @property
    def best_words(self) -> str:
        """The reference with the best held-out score, as text for a sentence."""
        return WORDS.get(self.best_name, self.best_name)


class Rows(NamedTuple):
    """Features [rows, features], answers, and the rows' indices in their part."""

    x: np.ndarray
    y: np.ndarray
    chosen: np.ndarray


class Guess(NamedTuple):
    """A reference's answers, and their ranking scores: a share for each class, or the answers themselves."""

    answers: np.ndarray
    scores: np.ndarray


def reference_levels(dataset: Dataset, seed: int = 0) -> Levels:
    """Fit references on the training part and measure them on the validation part (without one: out of fold).

    trivial: the most frequent class, the mean. linear: logistic or ridge regression on standardised features. nearest:
    5 nearest neighbours. forest: 60 trees. All are scikit-learn's.
    """
    classes = dataset.task in ("binary", "multiclass")
    train_rows = rows_of(dataset, "train", seed)
    valid_rows = None if dataset.valid is None else rows_of(dataset, "valid", seed)
    judged = train_rows if valid_rows is None else valid_rows
    whole = valid_rows is None and is_whole(train_rows.x)
    train, scores, ranks, chances = {}, {}, {}, []
    errors: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name, model in references(classes, len(train_rows.x), seed).items():
        if classes and len(np.unique(train_rows.y)) < 2 and name != "trivial":
            continue
        in_training = fitted(model, train_rows, train_rows.x, classes)
        guess = _guess(model, train_rows, valid_rows, classes, in_training, whole)
        train[name] = _score(in_training.answers, train_rows.y, dataset.task)
        scores[name] = _score(guess.answers, judged.y, dataset.task)
        ranks[name] = ranking(guess.scores, judged.y, classes)
        if name != "trivial" and valid_rows is not None:
            chances.append(_chance_of_ranking(guess, valid_rows.y, classes, seed))
            if dataset.task != "multilabel":  # their score is a ranking
                chances.append(_chance(guess, valid_rows.y, dataset.task, seed))
        if name == "linear":
            errors = {"train": (train_rows.chosen, row_errors(in_training.answers, train_rows.y, classes))}
            if valid_rows is not None:
                errors["valid"] = (valid_rows.chosen, row_errors(guess.answers, valid_rows.y, classes))
    if whole:
        scores["by heart"] = learnable(train_rows.x, train_rows.y, classes, dataset.task == "multilabel")
    luck, tested = (None, 0) if valid_rows is None else _luck(chances, train_rows, valid_rows, classes, seed)
    return Levels(train, scores, luck, len(judged.x), ranks, whole, errors, tested)


def references(classes: bool, rows: int, seed: int) -> dict[str, Any]:
    """Return the reference models by name."""
    from sklearn import dummy, ensemble, linear_model, neighbors
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    near = max(1, min(5, rows - rows // FOLDS - 1))  # scikit-learn's five, or fewer for small folds
    if classes:
        return {
            "trivial": dummy.DummyClassifier(),
            # three times the default limit, which wide tables exceed
            "linear": make_pipeline(StandardScaler(), linear_model.LogisticRegression(max_iter=300)),
            "nearest": make_pipeline(StandardScaler(), neighbors.KNeighborsClassifier(near)),
            # 60 trees instead of the default 100, so that a reference takes seconds
            "forest": ensemble.RandomForestClassifier(60, random_state=seed),
        }
    return {
        "trivial": dummy.DummyRegressor(),
        # the penalty only guards against linearly dependent columns
        "linear": make_pipeline(StandardScaler(), linear_model.Ridge(1e-3)),
        "nearest": make_pipeline(StandardScaler(), neighbors.KNeighborsRegressor(near)),
        "forest": ensemble.RandomForestRegressor(60, random_state=seed),
    }


def fitted(model: Any, train_rows: Rows, x: np.ndarray, classes: bool) -> Guess:
    """Fit a reference on rows and return its answers for other rows."""
    y = train_rows.y if classes or train_rows.y.shape[1] > 1 else train_rows.y.squeeze(-1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a model that has not converged is still a reference
        model.fit(train_rows.x, y)
        answers = np.asarray(model.predict(x))
        if not classes:
            answers = answers.reshape(len(x), train_rows.y.shape[1])
            return Guess(answers, answers)
        scores = np.zeros((len(x), train_rows.y.max() + 1))
        scores[:, model.classes_] = model.predict_proba(x)
    return Guess(answers, scores)


def out_of_fold(model: Any, train_rows: Rows, classes: bool) -> Guess:
    """Return a reference's answers for each row, fitted on the other folds."""
    from sklearn.model_selection import KFold

    answers = np.zeros(train_rows.y.shape, train_rows.y.dtype if classes else np.float64)
    scores = np.zeros((len(train_rows.y), train_rows.y.max() + 1)) if classes else answers
    for others, fold in KFold(min(FOLDS, len(train_rows.x)), shuffle=True, random_state=0).split(train_rows.x):
        part = Rows(train_rows.x[others], train_rows.y[others], others)
        if classes and len(np.unique(part.y)) < 2:
            answers[fold] = part.y[0]
            continue
        guess = fitted(model, part, train_rows.x[fold], classes)
        answers[fold] = guess.answers
        scores[fold, : guess.scores.shape[1]] = guess.scores
    return Guess(answers, scores)


def is_whole(x: np.ndarray) -> bool:
    """Return whether rows are a truth table rather than a sample of a larger domain.

    They are if they contain all combinations of several features' values, or are a few rows of two-valued features.
    """
    counts = [count for count in (len(np.unique(column)) for column in x.T) if count > 1]
    if len(counts) < 2:
        return False
    if len(x) <= FEW and max(counts) == 2:
        return True
    return math.prod(counts) <= len(x) and len(np.unique(x, axis=0)) == math.prod(counts)


def learnable(x: np.ndarray, y: np.ndarray, classes: bool, labels: bool = False) -> float:
    """Return the score of memorising every row: 1, less what rows that contradict each other cost."""
    _, group = np.unique(x, axis=0, return_inverse=True)
    group = group.reshape(-1)
    if classes:
        counts = np.zeros((group.max() + 1, y.max() + 1))
        np.add.at(counts, (group, y), 1)
        return float(counts.max(1).sum() / len(y))
    size = np.bincount(group)[:, None]
    means = np.stack([np.bincount(group, column) for column in y.T], 1) / size
    return mean_area(means[group], y) if labels else r_squared(means[group], y)


def rows_of(dataset: Dataset, part: str, seed: int) -> Rows:
    """Return features and targets of at most 3,000 rows of a part; embedded columns are represented by their numbers.

    Rows with an extreme target that outweighs all others are omitted.
    """
    columns = columns_of(dataset, part)
    usual = UsualRows(dataset)
    usual_rows = np.flatnonzero(usual.of(np.asarray(columns["y"]))) if usual.ranges else np.arange(len(columns["y"]))
    chosen = np.random.default_rng(seed).permutation(usual_rows)[:MOST_ROWS]
    inputs = [column for name, column in columns.items() if name not in ("y", "sample_weight")]
    x = np.hstack([np.asarray(column[chosen], np.float64).reshape(len(chosen), -1) for column in inputs])
    if x.shape[1] > MOST_FEATURES:
        x = x[:, np.random.default_rng(seed).permutation(x.shape[1])[:MOST_FEATURES]]
    y = np.asarray(columns["y"])[chosen]
    if dataset.task in ("binary", "multiclass"):
        return Rows(np.nan_to_num(x), y.reshape(len(y)).astype(int), chosen)
    return Rows(np.nan_to_num(x), comparable(dataset, y.reshape(len(y), -1).astype(np.float64)), chosen)


def row_errors(answers: np.ndarray, y: np.ndarray, classes: bool) -> np.ndarray:
    """Return for each row 1 for a wrong class, or the squared error / variance, averaged over targets."""
    if classes:
        return np.asarray(answers != y, np.float64)
    spread = y.var(0)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(((answers - y) ** 2 / np.where(spread > 0, spread, 1)).mean(1))


def _guess(
    model: Any, train_rows: Rows, valid_rows: Rows | None, classes: bool, in_training: Guess, whole: bool
) -> Guess:
    """Return the answers by which a reference is judged: for held-out rows, out of fold, or for all rows."""
    if valid_rows is not None:
        return fitted(model, train_rows, valid_rows.x, classes)
    return in_training if whole else out_of_fold(model, train_rows, classes)


def _score(answers: np.ndarray, truth: np.ndarray, task: str) -> float:
    if task == "multilabel":
        return mean_area(answers, truth)
    return r_squared(answers, truth) if task == "regression" else float(np.mean(answers == truth))


def _chance(guess: Guess, truth: np.ndarray, task: str, seed: int) -> float | None:
    """Return how often predictions score as well on shuffled answers as on the true ones."""
    return share_by_chance(lambda answers: _score(guess.answers, answers, task), truth, seed)


def _chance_of_ranking(guess: Guess, truth: np.ndarray, classes: bool, seed: int) -> float | None:
    """Return the same for the ranking: with a rare class, no answer beats "never", but class shares may rank well."""
    return share_by_chance(Ranking(guess.scores, truth, classes).of, truth, seed)


def _luck(
    chances: list[float | None], train_rows: Rows, valid_rows: Rows, classes: bool, seed: int
) -> tuple[float | None, int]:
    """Return the probability that the best reference is mere luck, and the number of rows tested.

    With few held-out rows, all rows are tested out of fold; with many and no signal, the training rows as well.
    """
    luck, few = _smallest(chances), len(valid_rows.x) < FEWEST_HELD
    if few and len(train_rows.x) + len(valid_rows.x) >= FEWEST_FOLDED:
        both = Rows(*(np.concatenate(pair) for pair in zip(train_rows, valid_rows, strict=True)))
        return _chance_out_of_fold(both, classes, seed), len(both.x)
    if not few and luck is not None and luck > LUCK:
        others = (_chance_out_of_fold(train_rows, classes, seed), _chance_of_one(train_rows, classes))
        luck = min((chance for chance in others if chance is not None and chance <= SURER), default=luck)
    return luck, len(valid_rows.x)


def _chance_of_one(rows: Rows, classes: bool) -> float | None:
    """Return the p-value of the single feature most related to the answer, times the number of features.

    Models that have to choose miss a few informative features among hundreds. Tested by F, for one feature and target.
    """
    from sklearn.feature_selection import f_classif, f_regression

    x = rows.x[:, rows.x.std(0) > 0]
    if not x.shape[1] or (classes and len(np.unique(rows.y)) < 2) or len(x) < FEWEST_HELD:
        return None
    with np.errstate(all="ignore"):
        targets = [rows.y] if classes else [y for y in rows.y.T if y.std() > 0]
        chances = [(f_classif if classes else f_regression)(x, y)[1] for y in targets]
    smallest = [float(np.nanmin(chance)) for chance in chances if np.isfinite(chance).any()]
    return min(1.0, min(smallest) * x.shape[1] * len(smallest)) if smallest else None


def _chance_out_of_fold(rows: Rows, classes: bool, seed: int) -> float | None:
    """Return the probability that the out-of-fold ranking of rows is mere luck."""
    if (classes and len(np.unique(rows.y)) < 2) or len(rows.x) < FOLDS:
        return None
    models = references(classes, len(rows.x), seed)
    return _smallest([_chance_of_ranking(out_of_fold(models[name], rows, classes), rows.y, classes, seed)
                      for name in ("linear", "forest")])  # fmt: skip


def _smallest(chances: list[float | None]) -> float | None:
    """Return the smallest of several probabilities, times their number, since one of many is small by luck."""
    tested = [chance for chance in chances if chance is not None]
    return min(1.0, min(tested) * len(tested)) if tested else None
