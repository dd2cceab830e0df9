"""Losses: layers with a scalar output, one a file; importing this package registers them all."""

from retrograd.network.losses.absolute_error import MeanAbsoluteError
from retrograd.network.losses.binary_cross_entropy import BinaryCrossEntropy
from retrograd.network.losses.contrastive import Contrastive
from retrograd.network.losses.cross_entropy import CrossEntropy
from retrograd.network.losses.ctc import CTC
from retrograd.network.losses.dice import Dice
from retrograd.network.losses.focal import Focal
from retrograd.network.losses.hinge import Hinge
from retrograd.network.losses.huber import Huber
from retrograd.network.losses.info_nce import InfoNCE
from retrograd.network.losses.kl_divergence import KLDivergence
from retrograd.network.losses.labels import check_labels
from retrograd.network.losses.loss import Loss, losses
from retrograd.network.losses.squared_error import MeanSquaredError
from retrograd.network.losses.triplet import Triplet

__all__ = [
    "CTC",
    "BinaryCrossEntropy",
    "Contrastive",
    "CrossEntropy",
    "Dice",
    "Focal",
    "Hinge",
    "Huber",
    "InfoNCE",
    "KLDivergence",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Triplet",
    "check_labels",
    "losses",
]
