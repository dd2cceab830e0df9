"""The rows with the largest losses, with everything that helps to recognise them."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.data.dataset import Dataset
from retrograd.data.images.inputs import ImageInputs
from retrograd.record.judged import Picture, WorstRow
from retrograd.training.use.confusion import class_name

WORST = 10
MOST_SIDE = 64  # pixels per side of a stored picture

Words = Callable[[dict[str, Any]], tuple[str, str]]


class Worst:
    """Takes the losses of all rows portion by portion, and keeps the largest ones with their columns."""

    def __init__(self, words: Words) -> None:
        self.words = words  # returns the true and the predicted value of a kept row
        self.nonfinite = 0
        self.kept: list[tuple[float, int, dict[str, Any]]] = []  # loss, row, its columns
        self.count = 0

    def add(self, losses: np.ndarray, finite: np.ndarray, **columns: np.ndarray) -> None:
        """Add the losses of a portion, infinite where the output is not finite, and columns of the same rows."""
        losses = np.where(finite, losses, np.inf)
        self.nonfinite += int((~finite).sum())
        chosen = np.argsort(-losses, kind="stable")[:WORST]
        self.kept += [
            (float(losses[i]), self.count + int(i), {name: column[i] for name, column in columns.items()})
            for i in chosen
        ]
        self.kept = sorted(self.kept, key=lambda entry: -entry[0])[:WORST]
        self.count += len(losses)


def worst_rows(worst: Worst, dataset: Dataset, part: str) -> tuple[WorstRow, ...]:
    """Return the rows with the largest losses of a part, the worst first."""
    return tuple(_row(loss, row, values, worst.words, dataset, part) for loss, row, values in worst.kept)


def _row(loss: float, row: int, values: dict[str, Any], words: Words, dataset: Dataset, part: str) -> WorstRow:
    truth, answer = words(values)
    probability = float(values["probability"]) if "probability" in values else None
    if not math.isfinite(loss):
        answer, probability = "not finite", None
    original = dataset.seen.get(part)
    if original is None:
        return WorstRow(f"row {row + 1} of the {part} part", loss, truth, answer, probability)
    cells = {class_name(name): cell for name, cell in original.cells(row).items()}
    picture = original.picture(row)
    inputs = dataset.preprocessing.inputs
    if isinstance(inputs, ImageInputs):
        picture = inputs.scaling.undo(np.asarray(getattr(dataset, part)["x"][np.array([row])])[0])
    return WorstRow(original.place(row), loss, truth, answer, probability, cells, _picture(picture))


def _picture(values: np.ndarray | None) -> Picture | None:
    """Return a picture in 8 bits, scaled from its darkest to its brightest value, at most 64 pixels per side."""
    if values is None or 0 in values.shape:
        return None
    values = np.asarray(values, np.float64)
    every = -(-max(values.shape[:2]) // MOST_SIDE)
    values = values[::every, ::every]
    values = values[..., None] if values.ndim == 2 else values[..., :3] if values.shape[-1] >= 3 else values[..., :1]
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    pixels = np.nan_to_num(255 * (values - low) / ((high - low) or 1.0), nan=0.0, posinf=255, neginf=0)
    height, width, channels = pixels.shape
    text = base64.b64encode(np.round(pixels).clip(0, 255).astype(np.uint8).tobytes()).decode()
    return Picture(width, height, channels, text)
