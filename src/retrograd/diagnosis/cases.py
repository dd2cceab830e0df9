"""Small generated data sets for the examples of the symptoms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from retrograd.base.schema import parse
from retrograd.data.dataset import Dataset, from_arrays, from_frame
from retrograd.data.settings import DataSettings

ROWS = 160  # ten batches of 16: enough for every rule, and a run takes milliseconds


def dataset(name: str, **options: Any) -> Dataset:
    """Return a generated data set: `blobs` (3 classes), `halves` (2 classes), `line` and `wave` (quantities),
    `noise` (2 random classes), `rare` (every twentieth row has the second class, whatever its inputs), `codes` (a
    quantity for each of 12 numbers in a table column).

    Options: rows, features, seed, stretch (multiplies x), shift (added to x), target_stretch, target_shift; rounded (x
    to its sign), copies (number of features that repeat others), skewed (lognormal), wild (number of cells of the first
    feature set to 99999), copied_rows, order (sorted by answer), missing (share of the first feature), shift_at_end
    (offset of a separate validation part); and fields of DataSettings under `data`.
    """
    rows, features = options.get("rows", ROWS), options.get("features", 4)
    rng = np.random.default_rng(options.get("seed", 0))
    x = rng.normal(size=(rows, features))
    if name == "codes":
        code = rng.integers(0, 12, rows)
        settings = parse(DataSettings, {"task": "regression", **options.get("data", {})}, "data")
        return from_frame({"x0": code}, rng.normal(size=12)[code], settings=settings)
    task, y = _answers(name, x, rng)
    x, y = _changed(x + 3.0 * np.eye(features)[y] if name == "blobs" else x, y, options)
    x = x * options.get("stretch", 1.0) + options.get("shift", 0.0)
    if "wild" in options:
        x[: options["wild"], 0] = 99999.0
    if task == "regression":
        y = y * options.get("target_stretch", 1.0) + options.get("target_shift", 0.0)
    if "order" in options:
        order = np.argsort(y.reshape(len(y)), kind="stable")
        x, y = x[order], y[order]
    settings = parse(DataSettings, {"task": task, **options.get("data", {})}, "data")
    x = x.astype(np.float32)
    if "missing" in options:
        x[rng.random(rows) < options["missing"], 0] = np.nan
        return from_frame({f"x{i}": column for i, column in enumerate(x.T)}, y, settings=settings)
    if "shift_at_end" in options:
        cut = 3 * rows // 4
        return from_arrays(x[:cut], y[:cut], valid=(x[cut:] + options["shift_at_end"], y[cut:]), settings=settings)
    return from_arrays(x, y, settings=settings)


def _changed(x: np.ndarray, y: np.ndarray, options: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    if options.get("skewed"):
        x = np.exp(1.5 * x)
    if options.get("rounded"):
        x = np.sign(x)
    if "copies" in options:
        x = np.hstack([x, 2 * x[:, : options["copies"]] + 1])
    if options.get("copied_rows"):
        x, y = np.vstack([x, x]), np.concatenate([y, y])
    return x, y


def _answers(name: str, x: np.ndarray, rng: np.random.Generator) -> tuple[str, np.ndarray]:
    rows = len(x)
    if name == "blobs":
        return "multiclass", np.arange(rows) % 3
    if name == "halves":
        return "binary", (x[:, 0] + x[:, 1] > 0).astype(int)
    if name == "rare":
        return "binary", (np.arange(rows) % 20 == 0).astype(int)
    if name == "noise":
        return "binary", rng.integers(0, 2, rows)
    if name == "wave":
        return "regression", np.sin(2 * x[:, :1]) + x[:, 1:2]
    return "regression", x @ np.linspace(1, 2, x.shape[1])[:, None]
