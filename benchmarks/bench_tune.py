"""Score reached against budget: `retrograd tune`, beside Optuna and random search with PyTorch where it is installed.

python benchmarks/bench_tune.py [--seconds 20] [--seeds 10] [--only iris,wine] [--searchers random] [--json FILE]

Every searcher gets the same seconds for the same network and the same ranges (learning rate, width, weight decay) on
the same training and validation rows; the score is the accuracy, or R2, of its winner on rows that nobody has seen: two
in five, so that chance does not decide. Each seed is another split, which all searchers share, so that their
differences are paired; two searchers are equal on a table if their mean difference is within its standard error.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn import datasets
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split

import retrograd as rg
from retrograd.data.dataset import Dataset, from_arrays

TABLES = {
    "iris": (datasets.load_iris, True),
    "wine": (datasets.load_wine, True),
    "breast_cancer": (datasets.load_breast_cancer, True),
    "digits": (datasets.load_digits, True),
    "diabetes": (datasets.load_diabetes, False),
    "friedman": (lambda return_X_y: datasets.make_friedman1(1000, noise=1.0, random_state=0), False),
    "classes": (
        lambda return_X_y: datasets.make_classification(4000, 20, n_informative=10, n_classes=5, random_state=0),
        True,
    ),
    "quantiles": (
        lambda return_X_y: datasets.make_gaussian_quantiles(n_samples=4000, n_features=8, n_classes=4, random_state=0),
        True,
    ),
}
TEST, VALID = 0.4, 0.25  # shares: of all rows, and of the remaining ones
EPOCHS, BATCH = 54, 32
RATES, WIDTHS, DECAYS = (1e-5, 1.0), (8, 32, 128), (1e-6, 1e-1)
SEARCH = {
    "optimizer.adamw.learning_rate": {"log": list(RATES)},
    "network.0.dense.units": list(WIDTHS),
    "optimizer.adamw.weight_decay": {"log": list(DECAYS)},
}


class Rows(NamedTuple):
    """Standardised rows in three parts, by which statistics of the first."""

    train: tuple[np.ndarray, np.ndarray]
    valid: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    is_class: bool

    def score(self, predicted: np.ndarray) -> float:
        """Return accuracy or R2 on the rows that nobody has seen."""
        return float((accuracy_score if self.is_class else r2_score)(self.test[1], predicted))


def rows_of(name: str, seed: int) -> Rows:
    """Return a table split 45, 15, 40 percent."""
    load, is_class = TABLES[name]
    x, y = load(return_X_y=True)
    first, x_test, y_first, y_test = train_test_split(
        x, y, test_size=TEST, random_state=seed, stratify=y if is_class else None
    )
    x_train, x_valid, y_train, y_valid = train_test_split(first, y_first, test_size=VALID, random_state=seed)
    mean, scale = x_train.mean(0), x_train.std(0)
    scale[scale == 0] = 1.0  # constant columns
    parts = [((part - mean) / scale).astype(np.float32) for part in (x_train, x_valid, x_test)]
    if not is_class:
        centre, spread = y_train.mean(), y_train.std()
        y_train, y_valid, y_test = ((each - centre) / spread for each in (y_train, y_valid, y_test))
    return Rows((parts[0], y_train), (parts[1], y_valid), (parts[2], y_test), is_class)


def own_search(rows: Rows, seconds: float, seed: int, method: str) -> float:
    """Return the score of what a method of retrograd finds."""
    settings = rg.DataSettings(task="multiclass" if rows.is_class else "regression")
    dataset: Dataset = from_arrays(*rows.train, valid=rows.valid, settings=settings)
    last = {"dense": "classes" if rows.is_class else "targets"}
    config = {
        "network": [{"dense": {"units": 32, "activation": "relu", "weight": "glorot_uniform"}}, last],
        "optimizer": {"adamw": {"learning_rate": 1e-3}},
        "training": {"epochs": EPOCHS, "batch_size": BATCH, "seed": seed},
        "search": SEARCH | {"method": method, "seed": seed},
    }
    with tempfile.TemporaryDirectory() as root:
        study = rg.tune(config, dataset=dataset, budget=f"{seconds}s", root=root)
        winner = rg.load(study.folder / "trials" / study.tried[0].run)
        return rows.score(winner.predict(rows.test[0]))


def torch_search(rows: Rows, seconds: float, seed: int, is_random: bool) -> float:
    """Return the score of what Optuna finds with the same network in PyTorch, by TPE with pruning or at random."""
    import optuna
    import torch

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kind = torch.long if rows.is_class else torch.float32
    x, y = torch.tensor(rows.train[0]), torch.tensor(rows.train[1], dtype=kind)
    x_valid, y_valid = torch.tensor(rows.valid[0]), torch.tensor(rows.valid[1], dtype=kind)
    classes = int(y.max()) + 1 if rows.is_class else 1
    loss_of: Callable[..., Any] = torch.nn.functional.cross_entropy if rows.is_class else torch.nn.functional.mse_loss
    best: dict[str, Any] = {"loss": np.inf, "weights": None, "width": WIDTHS[0]}

    def network(width: int) -> Any:
        layers = torch.nn.Linear(x.shape[1], width), torch.nn.Linear(width, classes)
        for layer in layers:  # the initial values of the other searchers' network
            torch.nn.init.xavier_uniform_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
        return torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1])

    def answer(model: Any, x: Any) -> Any:
        return model(x) if rows.is_class else model(x)[:, 0]

    def objective(trial: Any) -> float:
        torch.manual_seed(seed)
        width = trial.suggest_categorical("width", WIDTHS)
        model = network(width)
        rate = trial.suggest_float("rate", *RATES, log=True)
        decay = trial.suggest_float("decay", *DECAYS, log=True)
        optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
        lowest = np.inf
        for epoch in range(EPOCHS):
            for chosen in torch.randperm(len(x)).split(BATCH):
                optimizer.zero_grad()
                loss_of(answer(model, x[chosen]), y[chosen]).backward()
                optimizer.step()
            with torch.no_grad():
                loss = float(loss_of(answer(model, x_valid), y_valid))
            lowest = min(lowest, loss)
            if loss < best["loss"]:
                weights = {name: value.clone() for name, value in model.state_dict().items()}
                best.update(loss=loss, weights=weights, width=width)
            trial.report(loss, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return lowest

    if is_random:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed), pruner=optuna.pruners.NopPruner())
    else:
        pruner = optuna.pruners.SuccessiveHalvingPruner()
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), pruner=pruner)
    study.optimize(objective, timeout=seconds)
    model = network(best["width"])
    model.load_state_dict(best["weights"])
    with torch.no_grad():
        output = answer(model, torch.tensor(rows.test[0])).numpy()
    return rows.score(output.argmax(1) if rows.is_class else output)


def searchers() -> dict[str, Callable[[Rows, float, int], float]]:
    """Return what is compared: two methods of retrograd, and PyTorch with Optuna where both are installed."""
    methods: dict[str, Callable[[Rows, float, int], float]] = {
        method: partial(own_search, method=method) for method in ("halving", "random")
    }
    try:
        import optuna  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        print(f"without Optuna and PyTorch: {error}")
    else:
        methods["torch-tpe"] = partial(torch_search, is_random=False)
        methods["torch-random"] = partial(torch_search, is_random=True)
    return methods


def compared(results: Mapping[str, Mapping[str, Sequence[float]]]) -> Iterator[str]:
    """Yield a line for each other searcher: on how many tables the first one is ahead, equal or behind."""
    first, *others = next(iter(results.values()))
    for other in others:
        counts = Counter()
        for scores in results.values():
            differences = np.subtract(scores[first], scores[other])
            error = np.std(differences, ddof=1) / np.sqrt(len(differences)) if len(differences) > 1 else np.inf
            mean = float(np.mean(differences))
            counts["ahead" if mean > error else "behind" if mean < -error else "equal"] += 1
        yield f"{first} beside {other}: " + ", ".join(f"{counts[word]} {word}" for word in ("ahead", "equal", "behind"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", default="")
    parser.add_argument("--searchers", default="halving,random,torch-tpe,torch-random")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    names = [name for name in TABLES if not chosen.only or name in chosen.only.split(",")]
    results: dict[str, Any] = {}
    for name in names:
        for searcher, search in searchers().items():
            if searcher not in chosen.searchers.split(","):
                continue
            begin = time.perf_counter()
            found = [search(rows_of(name, seed), chosen.seconds, seed) for seed in range(chosen.seeds)]
            used = (time.perf_counter() - begin) / chosen.seeds
            print(
                f"{name:14} {searcher:12} {np.mean(found):.4f} ± {np.std(found):.4f}  {used:.0f} s a search", flush=True
            )
            results.setdefault(name, {})[searcher] = found
    print(*compared(results), sep="\n")
    if chosen.json:
        chosen.json.write_text(json.dumps(results), encoding="utf-8")


if __name__ == "__main__":
    main()
