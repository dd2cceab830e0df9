"""How targets enter a training step: class numbers, or quantities in their own unit."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.base.errors import ConfigError
from retrograd.data.tables.multilabel import MultiLabels
from retrograd.data.tables.target import Labels, Quantities
from retrograd.data.windows.levels import LEVEL
from retrograd.network.losses.cross_entropy import CrossEntropy
from retrograd.ship.onnx.graph import TYPES, Graph, Value
from retrograd.ship.onnx.inputs.door import Entrance
from retrograd.training.use.predict import Model


class Truth:
    """The input `target` of a training step.

    A class is its index in `classes` of the metadata, int64 [rows]; several labels at once are 0 or 1, float32 [rows,
    labels]; quantities are in their own unit, float64 [rows, targets].
    """

    def __init__(self, model: Model) -> None:
        target = model.preprocessing.target
        if not isinstance(target, (Labels, MultiLabels, Quantities)) or LEVEL in model.facts["columns"]:
            raise ConfigError("only labels and quantities of rows can be learned on a device", where=model.config.name,
                              cure="remove --train-step")  # fmt: skip
        self.target = target

    def entrance(self, name: str) -> Entrance:
        """Return the input of the file."""
        if isinstance(self.target, Labels):
            return Entrance(name, "int64", ())
        return Entrance(name, "float32" if isinstance(self.target, MultiLabels) else "float64", (self.target.units,))

    def write(self, g: Graph, name: str, y: Value, loss: Any) -> str:
        """Return the target in the shape of y, as the loss needs it: one-hot for classes, or scaled."""
        g.path = "target"
        shape = (-1, *y.shape[1:])
        if isinstance(self.target, Labels):
            if self.target.binary and not isinstance(loss, CrossEntropy):
                return g.reshape(g.op("Cast", name, to=TYPES["float32"]), *shape)
            return g.op("OneHot", name, np.array([len(self.target.classes)]), np.array([0, 1], np.float32), axis=-1)
        if isinstance(self.target, MultiLabels):
            return g.reshape(name, *shape)
        scaling = self.target.scaling
        values = name
        if not scaling.is_affine:
            low = np.array(scaling.floor)
            logarithm = g.op("Log", g.op("Max", name, np.where(low > 0, low, 1.0)))
            values = g.op("Where", low > 0, logarithm, name)
        scaled = g.op("Div", g.op("Sub", values, np.array(scaling.offset)), np.array(scaling.scale))
        if scaling.clip is not None:
            scaled = g.op("Clip", scaled, np.float64(-scaling.clip), np.float64(scaling.clip))
        return g.reshape(g.op("Cast", scaled, to=TYPES["float32"]), *shape)

    def feed(self, y: np.ndarray) -> np.ndarray:
        """Return the column `y` of a batch in the form of the input."""
        y = np.asarray(y)
        if isinstance(self.target, Labels):
            return y.reshape(len(y)).astype(np.int64)
        y = y.reshape(len(y), self.target.units)
        return y.astype(np.float32) if isinstance(self.target, MultiLabels) else self.target.scaling.undo(y)

    def made_up(self, rows: int, seed: int = 0) -> np.ndarray:
        """Return a generated column `y`."""
        rng, target = np.random.default_rng(seed), self.target
        if isinstance(target, Labels):
            numbers = rng.integers(0, len(target.classes), rows)
            return numbers[:, None].astype(np.float32) if target.binary else numbers.astype(np.int32)
        if isinstance(target, MultiLabels):
            return rng.integers(0, 2, (rows, target.units)).astype(np.float32)
        return rng.normal(size=(rows, target.units)).astype(np.float32)
