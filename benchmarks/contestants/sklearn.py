"""scikit-learn's multi-layer perceptron."""

from __future__ import annotations

from typing import Any

import numpy as np
from contestant import Absent, Contestant
from sklearn.neural_network import MLPClassifier
from workloads import RATE, Dense, Workload


class ScikitLearn(Contestant):
    def __init__(self, work: Workload) -> None:
        if not isinstance(work, Dense):
            raise Absent("it has dense networks alone")
        super().__init__(work)
        hidden, classes = work.widths[1:-1], np.arange(work.widths[-1])
        self.model = MLPClassifier(hidden, solver="adam", alpha=0.0, learning_rate_init=RATE, batch_size=work.batch)
        self.model.partial_fit(*self.batches[0], classes=classes)

    def step(self, x: Any, y: Any) -> Any:
        self.model.partial_fit(x, y)
        return self.model.loss_

    def losses(self, steps: int) -> list[float]:
        return []  # its weights are its own
