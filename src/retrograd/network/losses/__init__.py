"""Losses: layers with a scalar output, one per file; importing this package registers them all."""

from retrograd.network.losses.binary_cross_entropy import BinaryCrossEntropy
from retrograd.network.losses.categorical_focal import CategoricalFocal
from retrograd.network.losses.cross_entropy import CrossEntropy
from retrograd.network.losses.ctc import CTC
from retrograd.network.losses.dice import Dice
from retrograd.network.losses.focal import Focal
from retrograd.network.losses.generalized_cross_entropy import GeneralizedCrossEntropy
from retrograd.network.losses.kl_divergence import KLDivergence
from retrograd.network.losses.labels import check_labels
from retrograd.network.losses.loss import Loss, losses
from retrograd.network.losses.margins.categorical_hinge import CategoricalHinge
from retrograd.network.losses.margins.hinge import Hinge
from retrograd.network.losses.margins.hinge_embedding import HingeEmbedding
from retrograd.network.losses.margins.margin_ranking import MarginRanking
from retrograd.network.losses.margins.multi_label_margin import MultiLabelMargin
from retrograd.network.losses.margins.multi_margin import MultiMargin
from retrograd.network.losses.nll import NLL
from retrograd.network.losses.pairs.contrastive import Contrastive
from retrograd.network.losses.pairs.cosine_distance import CosineDistance
from retrograd.network.losses.pairs.cosine_embedding import CosineEmbedding
from retrograd.network.losses.pairs.info_nce import InfoNCE
from retrograd.network.losses.pairs.triplet import Triplet
from retrograd.network.losses.quantities.absolute_error import MeanAbsoluteError
from retrograd.network.losses.quantities.gaussian_nll import GaussianNLL
from retrograd.network.losses.quantities.huber import Huber
from retrograd.network.losses.quantities.log_cosh import LogCosh
from retrograd.network.losses.quantities.logarithmic_error import MeanSquaredLogarithmicError
from retrograd.network.losses.quantities.percentage_error import MeanAbsolutePercentageError
from retrograd.network.losses.quantities.poisson_nll import PoissonNLL
from retrograd.network.losses.quantities.quantile import Quantile
from retrograd.network.losses.quantities.squared_error import MeanSquaredError
from retrograd.network.losses.tversky import Tversky

__all__ = [
    "CTC",
    "NLL",
    "BinaryCrossEntropy",
    "CategoricalFocal",
    "CategoricalHinge",
    "Contrastive",
    "CosineDistance",
    "CosineEmbedding",
    "CrossEntropy",
    "Dice",
    "Focal",
    "GaussianNLL",
    "GeneralizedCrossEntropy",
    "Hinge",
    "HingeEmbedding",
    "Huber",
    "InfoNCE",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MarginRanking",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "MultiLabelMargin",
    "MultiMargin",
    "PoissonNLL",
    "Quantile",
    "Triplet",
    "Tversky",
    "check_labels",
    "losses",
]
