"""Score reached against budget: `retrograd tune`, random search, and Optuna with PyTorch where these are installed.

python benchmarks/bench_tune.py [--seconds 60] [--seeds 3] [--only iris,wine] [--searchers halving,optuna] [--json FILE]

Every searcher gets the same seconds for the same network and the same ranges (learning rate, width, weight decay) on
the same training and validation rows; the score is the accuracy, or R2, of its winner on rows that nobody has seen.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable
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
}
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
    """Return a table split 60, 20, 20."""
    load, is_class = TABLES[name]
    x, y = load(return_X_y=True)
    first, x_test, y_first, y_test = train_test_split(
        x, y, test_size=0.2, random_state=seed, stratify=y if is_class else None
    )
    x_train, x_valid, y_train, y_valid = train_test_split(first, y_first, test_size=0.25, random_state=seed)
    mean, scale = x_train.mean(0), x_train.std(0) + 1e-9
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


def optuna_search(rows: Rows, seconds: float, seed: int) -> float:
    """Return the score of what Optuna's TPE finds with the same network in PyTorch."""
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

    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed), pruner=optuna.pruners.SuccessiveHalvingPruner()
    )
    study.optimize(objective, timeout=seconds)
    model = network(best["width"])
    model.load_state_dict(best["weights"])
    with torch.no_grad():
        output = answer(model, torch.tensor(rows.test[0])).numpy()
    return rows.score(output.argmax(1) if rows.is_class else output)


def searchers() -> dict[str, Callable[[Rows, float, int], float]]:
    """Return what is compared; Optuna only where it and PyTorch are installed."""
    methods: dict[str, Callable[[Rows, float, int], float]] = {
        "halving": lambda rows, seconds, seed: own_search(rows, seconds, seed, "halving"),
        "random": lambda rows, seconds, seed: own_search(rows, seconds, seed, "random"),
    }
    try:
        import optuna  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        print(f"without Optuna and PyTorch: {error}")
    else:
        methods["optuna"] = optuna_search
    return methods


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--searchers", default="halving,random,optuna")
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
                f"{name:14} {searcher:8} {np.mean(found):.4f} ± {np.std(found):.4f}  {used:.0f} s a search", flush=True
            )
            results.setdefault(name, {})[searcher] = found
    if chosen.json:
        chosen.json.write_text(json.dumps(results), encoding="utf-8")


if __name__ == "__main__":
    main()
