"""Losses: layers with a scalar output, one a file; importing this package registers them all."""

from retrograd.network.losses.absolute_error import MeanAbsoluteError
from retrograd.network.losses.binary_cross_entropy import BinaryCrossEntropy
from retrograd.network.losses.cross_entropy import CrossEntropy
from retrograd.network.losses.hinge import Hinge
from retrograd.network.losses.huber import Huber
from retrograd.network.losses.labels import check_labels
from retrograd.network.losses.loss import Loss, losses
from retrograd.network.losses.squared_error import MeanSquaredError

__all__ = [
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Hinge",
    "Huber",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "check_labels",
    "losses",
]
