"""A finished run as a Python object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrograd.data.dataset import Dataset
from retrograd.present.numbers import number
from retrograd.record.events import Epoch, Intervention
from retrograd.training.loop.stop import Stop
from retrograd.training.prepare import PARTS
from retrograd.training.use.predict import Model


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run: its folder, the model with the best weights, the epochs, why it stopped, and the scores."""

    folder: Path
    model: Model
    dataset: Dataset
    history: tuple[Epoch, ...]
    stop: Stop
    best_epoch: int | None
    scores: Mapping[str, Mapping[str, float]]  # part -> metric -> value
    interventions: tuple[Intervention, ...] = ()  # what the guard did
    health: str = ""  # summary of the last health readings

    def __repr__(self) -> str:
        part = next((part for part in reversed(PARTS) if part in self.scores), "train")
        scores = ", ".join(f"{name} {number(value, 4)}" for name, value in list(self.scores.get(part, {}).items())[:2])
        best = "the initial weights" if self.best_epoch is None else f"best epoch {self.best_epoch}"
        config = self.model.config
        return (
            f"<Run {config.name}: {self.dataset.task}, {part} {scores}; {self.stop.reason} after {self.epochs}"
            f" epochs, {best}; {self.folder}>"
        )

    @property
    def epochs(self) -> int:
        """The number of epochs trained; `history` leaves out most of those beyond 10,000."""
        return self.history[-1].epoch if self.history else 0

    def predict(self, data: Any) -> np.ndarray:
        """Return a label or value for each new row (see Model.predict)."""
        predicted: np.ndarray = self.model.predict(data)
        return predicted

    def predict_proba(self, data: Any) -> np.ndarray:
        """Return the probability of each class [rows, classes] (see Model.predict_proba)."""
        return self.model.predict_proba(data)

    def evaluate(self, data: Any, y: Any = None) -> dict[str, float]:
        """Return loss and metrics on rows with targets, or on rows x and targets y."""
        return self.model.evaluate(data, y)
