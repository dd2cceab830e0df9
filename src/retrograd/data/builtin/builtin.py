"""Built-in data sets: small classics, generated or bundled with scikit-learn."""

from __future__ import annotations

import importlib.util
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from retrograd.base.memory import require_room
from retrograd.data.builtin.generated import SPECIAL, Rows
from retrograd.data.settings import DataSettings, Scale, Task
from retrograd.data.table import Table

TARGET = "y"
MANY = 100_000  # samples; fewer fit in any memory
PROBED = 1000  # samples generated to estimate the memory
COPIES = 2  # of the rows in memory: as generated, and as batches
SPIRAL_TURNS = 1.0  # of each arm; the classic benchmark has three, which small networks take very long to learn
INNER_RADIUS = 0.5  # of the circles; the outer radius is 1


class Builtin(NamedTuple):
    """The rows of a built-in (in tables, the target is the column `y`), and suitable defaults."""

    rows: Rows
    task: Task | None  # None: the usual task for its kind of rows
    scale: Scale | None
    is_truth_table: bool = False  # if so, every row is needed for training


class Generated(NamedTuple):
    """The generator of a data set, with its default size and noise (a standard deviation)."""

    make: Callable[[np.random.Generator, int, float], tuple[np.ndarray, np.ndarray]]
    samples: int
    noise: float
    task: Task = "binary"


def read_builtin(settings: DataSettings) -> Builtin:
    """Return the built-in named by the settings; `samples`, `noise` and `seed` apply to generated ones."""
    name = settings.builtin or ""
    if name in TRUTH_TABLES:
        inputs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        outputs = TRUTH_TABLES[name](inputs[:, 0], inputs[:, 1])
        return Builtin(_table(name, inputs, outputs), "binary", "none", is_truth_table=True)
    if name in GENERATORS:
        make, samples, noise, task = GENERATORS[name]
        rng = np.random.Generator(np.random.PCG64(settings.seed))
        noise = noise if settings.noise is None else settings.noise
        check_samples(make, settings)
        x, y = make(rng, settings.samples or samples, noise)
        return Builtin(_table(name, x, y), task, "none")
    if name in SPECIAL:
        make_rows, samples, noise = SPECIAL[name]
        rng = np.random.Generator(np.random.PCG64(settings.seed))
        noise = noise if settings.noise is None else settings.noise
        check_samples(make_rows, settings)
        return Builtin(make_rows(rng, settings.samples or samples, noise), None, None)
    return _bundled(name)


def check_samples(make: Callable[[np.random.Generator, int, float], object], settings: DataSettings) -> None:
    """Refuse more samples than fit in memory, estimated from a few of them.

    Raises:  ResourceError with the number of bytes
    """
    samples = settings.samples or 0
    if samples <= MANY:
        return
    tracemalloc.start()
    try:
        make(np.random.Generator(np.random.PCG64(0)), PROBED, 0.1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    needed = COPIES * peak // PROBED * samples
    require_room(needed, f"{samples:,} samples", "data.samples", "use fewer samples")


def _circles(rng: np.random.Generator, samples: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    y = np.arange(samples) % 2
    angle = rng.uniform(0, 2 * np.pi, samples)
    radius = np.where(y == 1, INNER_RADIUS, 1.0)
    return _noisy(rng, radius * np.cos(angle), radius * np.sin(angle), noise), y


def _moons(rng: np.random.Generator, samples: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    y = np.arange(samples) % 2
    angle = rng.uniform(0, np.pi, samples)
    x1 = np.where(y == 1, 1 - np.cos(angle), np.cos(angle))
    x2 = np.where(y == 1, 0.5 - np.sin(angle), np.sin(angle))
    return _noisy(rng, x1, x2, noise), y


def _spirals(rng: np.random.Generator, samples: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    y = np.arange(samples) % 2
    radius = np.sqrt(rng.uniform(0.01, 1, samples))
    angle = 2 * np.pi * SPIRAL_TURNS * radius + np.pi * y
    return _noisy(rng, radius * np.cos(angle), radius * np.sin(angle), noise), y


def _sine(rng: np.random.Generator, samples: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    x = rng.uniform(-np.pi, np.pi, samples)
    return x[:, None], np.sin(x) + noise * rng.standard_normal(samples)


def _noisy(rng: np.random.Generator, x1: np.ndarray, x2: np.ndarray, noise: float) -> np.ndarray:
    x = np.column_stack([x1, x2])
    return x + noise * rng.standard_normal(x.shape)


TRUTH_TABLES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "xor": np.bitwise_xor,
    "and": np.bitwise_and,
}
GENERATORS = {
    "circles": Generated(_circles, 500, 0.1),
    "moons": Generated(_moons, 500, 0.15),
    "spirals": Generated(_spirals, 500, 0.02),
    "sine": Generated(_sine, 500, 0.1, "regression"),
}
BUNDLED = ("digits", "iris", "wine", "breast_cancer", "diabetes")
BUILT_IN = (*TRUTH_TABLES, *GENERATORS, *SPECIAL, *BUNDLED)


def _bundled(name: str) -> Builtin:
    if name == "digits" and (file := _digits_file()).is_file():
        pixels = np.loadtxt(file, delimiter=",")
        names = [f"pixel_{row}_{column}" for row in range(8) for column in range(8)]
        return Builtin(_table(name, pixels[:, :-1], pixels[:, -1].astype(int), names), "multiclass", {"divide": 16.0})
    from sklearn import datasets  # takes seconds to import, and only these need it

    bunch = getattr(datasets, f"load_{name}")()
    if name == "diabetes":
        return Builtin(_table(name, bunch.data, bunch.target, bunch.feature_names), "regression", "standard")
    if name == "digits":
        return Builtin(_table(name, bunch.data, bunch.target, bunch.feature_names), "multiclass", {"divide": 16.0})
    labels = np.asarray(bunch.target_names)[bunch.target]
    task: Task = "binary" if len(bunch.target_names) == 2 else "multiclass"
    return Builtin(_table(name, bunch.data, labels, bunch.feature_names), task, "standard")


def _digits_file() -> Path:
    """Return the path of scikit-learn's digits, to read them without importing scikit-learn."""
    package = importlib.util.find_spec("sklearn")
    places = package.submodule_search_locations if package else None
    return Path(places[0] if places else "", "datasets", "data", "digits.csv.gz")


def _table(name: str, x: np.ndarray, y: np.ndarray, features: list[str] | None = None) -> Table:
    names = [str(feature) for feature in features] if features is not None else [f"x{i + 1}" for i in range(x.shape[1])]
    columns = {feature: x[:, i] for i, feature in enumerate(names)}
    return Table(pl.DataFrame({**columns, TARGET: y.tolist()}), name)
