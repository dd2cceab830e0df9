"""The defaults of `retrograd train FILE` on tables, beside scikit-learn's MLP, linear models and boosted trees.

python benchmarks/bench_tables.py [--seeds 5] [--data ../shared/data] [--only iris,wine] [--json FILE]

Each seed splits the rows once, 80 to 20; every contestant trains on the same rows and is scored on the same ones:
accuracy for classes, R2 for quantities. A table of a file is used where the file is present.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from sklearn import datasets
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from retrograd.sklearn import Classifier, Regressor

FILES = {  # whether the first line names the columns, and the target's place
    "adult.csv": (False, -1),
    "auto-mpg.csv": (True, 0),
    "pima.csv": (False, -1),
    "sonar.csv": (False, -1),
    "titanic.csv": (True, 1),
}
MISSING = ["", "?", "NA", "NaN"]
MOST_ROWS = 5_000  # of a file: enough to tell contestants apart
NEAR = 0.01  # of the best score


class Table(NamedTuple):
    """Rows, the target, and whether it is a class."""

    name: str
    x: pl.DataFrame
    y: np.ndarray
    is_class: bool


def tables(folder: Path) -> Iterator[Table]:
    """Yield the bundled tables, then those of files that are present."""
    for name, load, is_class in (
        ("iris", datasets.load_iris, True),
        ("wine", datasets.load_wine, True),
        ("breast_cancer", datasets.load_breast_cancer, True),
        ("digits", datasets.load_digits, True),
        ("diabetes", datasets.load_diabetes, False),
    ):
        x, y = load(return_X_y=True)
        yield Table(name, pl.DataFrame(x, schema=[f"x{i}" for i in range(x.shape[1])]), y, is_class)
    for file, (header, target) in FILES.items():
        if (folder / file).exists():
            frame = cleaned(pl.read_csv(folder / file, has_header=header, infer_schema=False))
            chosen = frame.columns[target]
            frame = frame.drop_nulls(chosen)
            frame = frame.sample(MOST_ROWS, seed=0) if len(frame) > MOST_ROWS else frame
            is_class = file != "auto-mpg.csv"
            yield Table(Path(file).stem, frame.drop(chosen), frame[chosen].to_numpy(), is_class)


def cleaned(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table of text without blanks around its cells and with numbers as numbers, as a careful user would."""
    frame = frame.select(pl.all().str.strip_chars().replace(MISSING, None))
    numbers = frame.select(pl.all().cast(pl.Float64, strict=False))
    are_numbers = [numbers[name].null_count() == frame[name].null_count() for name in frame.columns]
    return frame.with_columns(
        numbers[name] for name, is_number in zip(frame.columns, are_numbers, strict=True) if is_number
    )


def contestants(table: Table, seed: int) -> dict[str, Callable[[], Any]]:
    """Return what is compared, by name; the others get the preprocessing that a careful user would write."""
    kind = int(not table.is_class)
    network = (Classifier, Regressor)[kind](random_state=seed)
    mlp = (MLPClassifier, MLPRegressor)[kind](random_state=seed, early_stopping=True, max_iter=500)
    linear = (LogisticRegression(max_iter=2000), RidgeCV(np.logspace(-3, 3, 13)))[kind]
    trees = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)[kind](random_state=seed)
    return {"retrograd": lambda: network, **{
        name: lambda model=model: make_pipeline(encoder(table.x), model)
        for name, model in (("mlp", mlp), ("linear", linear), ("trees", trees))
    }}  # fmt: skip


def encoder(x: pl.DataFrame) -> Any:
    """Return standardised numbers and one column a category; missing values are filled."""
    numbers = [i for i, dtype in enumerate(x.dtypes) if dtype.is_numeric()]
    words = [i for i, dtype in enumerate(x.dtypes) if not dtype.is_numeric()]
    as_floats = FunctionTransformer(lambda cells: cells.astype(float))
    filled = make_pipeline(as_floats, SimpleImputer(strategy="median"), StandardScaler())
    rare = OneHotEncoder(handle_unknown="ignore", min_frequency=5, sparse_output=False)
    named = make_pipeline(SimpleImputer(strategy="constant", fill_value="missing", missing_values=None), rare)
    return make_column_transformer((filled, numbers), (named, words))


def scores(table: Table, seeds: int) -> dict[str, tuple[list[float], float]]:
    """Return each contestant's scores by seed, and its seconds."""
    by_name: dict[str, tuple[list[float], float]] = {}
    for seed in range(seeds):
        rows = np.arange(len(table.y))
        train, test = train_test_split(
            rows, test_size=0.2, random_state=seed, stratify=table.y if table.is_class else None
        )
        for name, make in contestants(table, seed).items():
            inputs = (table.x[train], table.x[test])
            if name != "retrograd":  # by position, whatever scikit-learn's version knows of polars
                inputs = tuple(part.to_numpy().astype(object) for part in inputs)
            begin = time.perf_counter()
            score = make().fit(inputs[0], table.y[train]).score(inputs[1], table.y[test])
            values, seconds = by_name.get(name, ([], 0.0))
            by_name[name] = ([*values, float(score)], seconds + time.perf_counter() - begin)
    return by_name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    only = set(filter(None, chosen.only.split(",")))
    results, ahead, near = {}, 0, 0
    print(f"{'table':14} {'rows':>6}  " + "  ".join(f"{name:>16}" for name in ("retrograd", "mlp", "linear", "trees")))
    for table in tables(chosen.data):
        if only and table.name not in only:
            continue
        by_name = scores(table, chosen.seeds)
        means = {name: float(np.mean(values)) for name, (values, _) in by_name.items()}
        ahead += means["retrograd"] > means["mlp"]
        near += means["retrograd"] >= max(means.values()) - NEAR
        cells = [f"{means[name]:.4f} ±{np.std(best):.3f} {seconds:4.0f}s" for name, (best, seconds) in by_name.items()]
        print(f"{table.name:14} {len(table.y):6}  " + "  ".join(f"{cell:>16}" for cell in cells), flush=True)
        results[table.name] = {name: values for name, (values, _) in by_name.items()}
    print(f"ahead of the MLP on {ahead}, within {NEAR:.0%} of the best on {near} of {len(results)} tables")
    if chosen.json:
        chosen.json.write_text(json.dumps(results), encoding="utf-8")


if __name__ == "__main__":
    main()
