"""The first layers of a chosen network for tables whose rows are more than numbers: texts and embedded categories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

TEXT_UNITS = 32  # numbers that stand for a token
MOST_CATEGORY_UNITS = 50  # numbers that stand for a category, at most; half as many as categories (fastai's early rule)
SMALL = {"normal": 0.05}  # a mean over many tokens begins near 0, as the standardised numbers beside it do


def is_plain(columns: Mapping[str, np.ndarray]) -> bool:
    """Return whether numbers `x` are all that a network would read."""
    return not identifier_columns(columns)


def identifier_columns(columns: Mapping[str, np.ndarray]) -> list[str]:
    """Return the batch columns of identifiers beside `x`."""
    return [name for name, column in columns.items() if name not in ("x", "y") and np.dtype(column.dtype).kind == "i"]


def joined_inputs(columns: Mapping[str, np.ndarray], sizes: Mapping[str, int]) -> list[Any]:
    """Return layers that turn numbers, texts (each a mean of token vectors) and categories into one row of features."""
    network: list[Any] = []
    parts = ["x"] if "x" in columns else []
    for i, name in enumerate(identifier_columns(columns), 1):
        is_text = f"{name}_mask" in columns
        units = TEXT_UNITS if is_text else min(MOST_CATEGORY_UNITS, (sizes[name] + 1) // 2)
        vectors = {"units": units, "vocabulary": name, "weight": SMALL}
        network.append({"embedding": vectors, "name": f"vectors_{i}", "inputs": name})
        if is_text:
            network.append({"global_average_pool": {}, "name": f"mean_{i}", "inputs": [f"vectors_{i}", f"{name}_mask"]})
        parts.append(f"mean_{i}" if is_text else f"vectors_{i}")
    return [*network, {"concat": {}, "inputs": parts}] if len(parts) > 1 else network


def joined_words(columns: Mapping[str, np.ndarray]) -> str:
    """Return in words what `joined_inputs` chose, and why."""
    names = identifier_columns(columns)
    texts = [name for name in names if f"{name}_mask" in columns]
    found = [f"{', '.join(texts)}: the mean of a vector for each token, which learns from few rows"] if texts else []
    others = [name for name in names if name not in texts]
    return "; ".join([*found, *([f"{', '.join(others)}: a vector for each category"] if others else [])])
