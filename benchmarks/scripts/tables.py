"""What the PyTorch and the Keras script share: the table as arrays, in three parts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def load(folder: Path) -> tuple[dict[str, Any], list[tuple[np.ndarray, np.ndarray]]]:
    """Return the task, and inputs and targets of training, validation and test part."""
    task = json.loads((folder / "task.json").read_text())
    frame = pd.read_csv(folder / "data.csv")
    y = frame.pop("target").to_numpy(np.int64 if task["classes"] else np.float32)
    x = pd.get_dummies(frame).to_numpy(np.float32)
    order = np.random.default_rng(0).permutation(len(x))
    count = round(0.15 * len(x))
    train = order[2 * count :]
    mean, spread = x[train].mean(axis=0), x[train].std(axis=0)
    x = (x - mean) / np.where(spread == 0, 1, spread)
    if not task["classes"]:
        y = ((y - y[train].mean()) / y[train].std())[:, None]
    return task, [(x[rows], y[rows]) for rows in (train, order[count : 2 * count], order[:count])]


def score(task: dict[str, Any], outputs: np.ndarray, y: np.ndarray) -> float:
    """Return accuracy, or R²."""
    if task["classes"]:
        return float((outputs.argmax(axis=1) == y).mean())
    return float(1 - ((outputs - y) ** 2).sum() / ((y - y.mean()) ** 2).sum())
