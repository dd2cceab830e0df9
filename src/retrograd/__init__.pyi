"""The public names and where they live; `__init__.py` reads this list, and type checkers do."""

# data in, finished run out
from retrograd.training.fit import fit as fit
from retrograd.training.run import Run as Run, train as train
from retrograd.training.resume import resume as resume
from retrograd.training.use.predict import Model as Model, load as load
from retrograd.training.use.generate import beam_search as beam_search, generate as generate
from retrograd.training.config.config import (
    RunConfig as RunConfig,
    read_config as read_config,
)
from retrograd.training.config.settings import TrainingSettings as TrainingSettings
from retrograd.data.settings import DataSettings as DataSettings
from retrograd.data.split.settings import SplitSettings as SplitSettings
from retrograd.data.images.settings import ImageSettings as ImageSettings
from retrograd.data.audio.settings import AudioSettings as AudioSettings
from retrograd.data.texts.settings import TextSettings as TextSettings
from retrograd.data.windows.settings import WindowSettings as WindowSettings
from retrograd.data.dataset import Dataset as Dataset

# the network
from retrograd.network.network import Network as Network, Variables as Variables
from retrograd.network.scope import Block as Block, Entry as Entry, Node as Node, named as named
from retrograd.network.blocks import (
    blocks as blocks,
    Branches as Branches,
    Repeat as Repeat,
    Residual as Residual,
    FeedForward as FeedForward,
    TransformerDecoder as TransformerDecoder,
    TransformerEncoder as TransformerEncoder,
)

from retrograd.network.adapt import adapt as adapt

# layers
from retrograd.network.layers import (
    AdaptiveAveragePool as AdaptiveAveragePool,
    AdaptiveMaxPool as AdaptiveMaxPool,
    Add as Add,
    AnchorBoxes as AnchorBoxes,
    Average as Average,
    AveragePool as AveragePool,
    BatchNorm as BatchNorm,
    BestBoxes as BestBoxes,
    Bilinear as Bilinear,
    CellBoxes as CellBoxes,
    CELU as CELU,
    Clip as Clip,
    ColorJitter as ColorJitter,
    Concat as Concat,
    Conv1D as Conv1D,
    Conv1DTranspose as Conv1DTranspose,
    Conv2D as Conv2D,
    Conv2DTranspose as Conv2DTranspose,
    Conv3D as Conv3D,
    Conv3DTranspose as Conv3DTranspose,
    CosineSimilarity as CosineSimilarity,
    Crop as Crop,
    Cutout as Cutout,
    Dense as Dense,
    Dot as Dot,
    Dropout as Dropout,
    ELU as ELU,
    Embedding as Embedding,
    Exponential as Exponential,
    Flatten as Flatten,
    GaussianNoise as GaussianNoise,
    GELU as GELU,
    GlobalAveragePool as GlobalAveragePool,
    GlobalMaxPool as GlobalMaxPool,
    GLU as GLU,
    GroupNorm as GroupNorm,
    GRU as GRU,
    HardSigmoid as HardSigmoid,
    HardSwish as HardSwish,
    Identity as Identity,
    InstanceNorm as InstanceNorm,
    LayerNorm as LayerNorm,
    LeakyReLU as LeakyReLU,
    LearnedPositions as LearnedPositions,
    LocalResponseNorm as LocalResponseNorm,
    LogSigmoid as LogSigmoid,
    LogSoftmax as LogSoftmax,
    LogSumExp as LogSumExp,
    LSTM as LSTM,
    MatchBoxes as MatchBoxes,
    Maximum as Maximum,
    Maxout as Maxout,
    MaxPool as MaxPool,
    Minimum as Minimum,
    Mish as Mish,
    MultiHeadAttention as MultiHeadAttention,
    Multiply as Multiply,
    Normalize as Normalize,
    Pad as Pad,
    Permute as Permute,
    PixelShuffle as PixelShuffle,
    PixelUnshuffle as PixelUnshuffle,
    Positions as Positions,
    PReLU as PReLU,
    RandomCrop as RandomCrop,
    RandomFlip as RandomFlip,
    RandomRotation as RandomRotation,
    RandomScaling as RandomScaling,
    ReLU as ReLU,
    ReLU6 as ReLU6,
    Reshape as Reshape,
    RMSNorm as RMSNorm,
    RNN as RNN,
    RoiAlign as RoiAlign,
    SELU as SELU,
    ShiftBoxes as ShiftBoxes,
    Sigmoid as Sigmoid,
    SiLU as SiLU,
    Snake as Snake,
    Softmax as Softmax,
    Softplus as Softplus,
    Softsign as Softsign,
    Sparsemax as Sparsemax,
    SpatialDropout as SpatialDropout,
    SpectralNorm as SpectralNorm,
    StochasticDepth as StochasticDepth,
    Subtract as Subtract,
    Take as Take,
    Tanh as Tanh,
    TimeShift as TimeShift,
    TokenDropout as TokenDropout,
    Unfold as Unfold,
    Upsample as Upsample,
    WeightNorm as WeightNorm,
)

# a layer of your own
from retrograd.network.layer import (
    Activation as Activation,
    Backward as Backward,
    Context as Context,
    Equations as Equations,
    Forward as Forward,
    Init as Init,
    Input as Input,
    Layer as Layer,
    Spec as Spec,
    Static as Static,
    examples as examples,
    layers as layers,
)
from retrograd.network.own_layers import load_layers as load_layers
from retrograd.checking.contract import check_layer as check_layer

# what a configuration means
from retrograd.explanation.explain import Explanation as Explanation, explain as explain
from retrograd.explanation.manual.pages import manual as manual

# is the backward pass right?
from retrograd.training.check import check as check
from retrograd.checking.report import CheckReport as CheckReport
from retrograd.checking.check_gradient import check_gradient as check_gradient
from retrograd.checking.gradient_report import GradientReport as GradientReport

# losses
from retrograd.network.losses import (
    Loss as Loss,
    BinaryCrossEntropy as BinaryCrossEntropy,
    CategoricalFocal as CategoricalFocal,
    CategoricalHinge as CategoricalHinge,
    Contrastive as Contrastive,
    CosineDistance as CosineDistance,
    CosineEmbedding as CosineEmbedding,
    CrossEntropy as CrossEntropy,
    CTC as CTC,
    Dice as Dice,
    Focal as Focal,
    GaussianNLL as GaussianNLL,
    GeneralizedCrossEntropy as GeneralizedCrossEntropy,
    Hinge as Hinge,
    HingeEmbedding as HingeEmbedding,
    Huber as Huber,
    InfoNCE as InfoNCE,
    KLDivergence as KLDivergence,
    LogCosh as LogCosh,
    MarginRanking as MarginRanking,
    MeanAbsoluteError as MeanAbsoluteError,
    MeanAbsolutePercentageError as MeanAbsolutePercentageError,
    MeanSquaredError as MeanSquaredError,
    MeanSquaredLogarithmicError as MeanSquaredLogarithmicError,
    MultiLabelMargin as MultiLabelMargin,
    MultiMargin as MultiMargin,
    NLL as NLL,
    PoissonNLL as PoissonNLL,
    Quantile as Quantile,
    Triplet as Triplet,
    Tversky as Tversky,
    losses as losses,
)

# one step by hand: forward, loss, backward, update
from retrograd.propagation.objective import Objective as Objective, evaluate_losses as evaluate_losses
from retrograd.propagation.backprop import (
    Pass as Pass,
    Record as Record,
    backprop as backprop,
    backward as backward,
    forward as forward,
)
from retrograd.diagnosis.diagnose import Diagnosis as Diagnosis, diagnose as diagnose
from retrograd.repairs.repair import Repair as Repair, repair as repair
from retrograd.update.average import Averaging as Averaging
from retrograd.update.step import Stepper as Stepper, apply_gradients as apply_gradients

# what works best
from retrograd.tuning.tune import compare_optimizers as compare_optimizers, tune as tune, tune_rate as tune_rate
from retrograd.tuning.study import Study as Study

# one step with every number
from retrograd.tracing.trace import Trace as Trace, trace as trace

# optimizers, schedules, penalties, initializers
from retrograd.update.optimizer import (
    LearningRate as LearningRate,
    Optimizer as Optimizer,
    optimizers as optimizers,
)
from retrograd.update.schedule import Schedule as Schedule, schedules as schedules
from retrograd.update.adam import (
    Adam as Adam,
    AdamW as AdamW,
    Adamax as Adamax,
    LAMB as LAMB,
    NAdam as NAdam,
    RAdam as RAdam,
)
from retrograd.update.groups import Group as ParameterGroup
from retrograd.update.muon import Muon as Muon
from retrograd.update.resilient import Rprop as Rprop
from retrograd.update.optimizers import (
    ASGD as ASGD,
    Adadelta as Adadelta,
    Adagrad as Adagrad,
    Lion as Lion,
    RMSprop as RMSprop,
    SGD as SGD,
)
from retrograd.update.schedules import (
    Constant as ConstantSchedule,
    Step as StepSchedule,
    Milestones as MilestonesSchedule,
    Exponential as ExponentialSchedule,
    InverseTime as InverseTimeSchedule,
    Linear as LinearSchedule,
    Polynomial as PolynomialSchedule,
    Cosine as CosineSchedule,
    CosineRestarts as CosineRestartsSchedule,
    OneCycle as OneCycleSchedule,
    Cyclic as CyclicSchedule,
)
from retrograd.update.plateau import ReduceOnPlateau as ReduceOnPlateau
from retrograd.update.penalties import L1 as L1, L2 as L2, penalties as penalties
from retrograd.network.initializers import (
    Initializer as Initializer,
    initializers as initializers,
    Constant as Constant,
    GlorotNormal as GlorotNormal,
    GlorotUniform as GlorotUniform,
    HeNormal as HeNormal,
    HeUniform as HeUniform,
    LecunNormal as LecunNormal,
    LecunUniform as LecunUniform,
    Normal as Normal,
    Ones as Ones,
    Orthogonal as Orthogonal,
    TruncatedNormal as TruncatedNormal,
    Uniform as Uniform,
    Values as Values,
    XavierNormal as XavierNormal,
    XavierUniform as XavierUniform,
    Zeros as Zeros,
)

# other places
from retrograd.ship.export import Exported as Exported, export as export
from retrograd.ship.quantization.quantize import Quantized as Quantized, quantize as quantize
from retrograd.ship.onnx.registry import to_onnx as to_onnx
from retrograd.ship.pruning.coupling import coupled as coupled
from retrograd.ship.pruning.prune import prune as prune

# other libraries
from retrograd.interop import torch as torch

# errors, and the process
from retrograd.base.errors import (
    RetrogradError as RetrogradError,
    ConfigError as ConfigError,
    DataError as DataError,
    GradientError as GradientError,
    ModelFileError as ModelFileError,
    NonFiniteError as NonFiniteError,
    ResourceError as ResourceError,
    ShapeError as ShapeError,
    UsageError as UsageError,
    RetrogradWarning as RetrogradWarning,
)
from retrograd.base.compilation.programs import ProgramsInfo as ProgramsInfo, programs as programs
from retrograd.base.compilation.compile_cache import keep_compiled as keep_compiled
from retrograd.base.allocator import tune as tune_allocator

__version__: str
