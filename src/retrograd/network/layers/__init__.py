"""Layers, one concept a file; importing this package registers them all."""

from retrograd.network.layers.adaptive_average_pool import AdaptiveAveragePool
from retrograd.network.layers.add import Add
from retrograd.network.layers.average_pool import AveragePool
from retrograd.network.layers.batch_norm import BatchNorm
from retrograd.network.layers.concat import Concat
from retrograd.network.layers.conv1d import Conv1D
from retrograd.network.layers.conv2d import Conv2D
from retrograd.network.layers.conv2d_transpose import Conv2DTranspose
from retrograd.network.layers.dense import Dense
from retrograd.network.layers.dropout import Dropout
from retrograd.network.layers.elu import ELU
from retrograd.network.layers.embedding import Embedding
from retrograd.network.layers.exponential import Exponential
from retrograd.network.layers.flatten import Flatten
from retrograd.network.layers.gaussian_noise import GaussianNoise
from retrograd.network.layers.gelu import GELU
from retrograd.network.layers.global_average_pool import GlobalAveragePool
from retrograd.network.layers.global_max_pool import GlobalMaxPool
from retrograd.network.layers.group_norm import GroupNorm
from retrograd.network.layers.gru import GRU
from retrograd.network.layers.hard_sigmoid import HardSigmoid
from retrograd.network.layers.hard_swish import HardSwish
from retrograd.network.layers.identity import Identity
from retrograd.network.layers.instance_norm import InstanceNorm
from retrograd.network.layers.layer_norm import LayerNorm
from retrograd.network.layers.leaky_relu import LeakyReLU
from retrograd.network.layers.learned_positions import LearnedPositions
from retrograd.network.layers.log_sigmoid import LogSigmoid
from retrograd.network.layers.log_softmax import LogSoftmax
from retrograd.network.layers.lstm import LSTM
from retrograd.network.layers.max_pool import MaxPool
from retrograd.network.layers.mish import Mish
from retrograd.network.layers.multi_head_attention import MultiHeadAttention
from retrograd.network.layers.multiply import Multiply
from retrograd.network.layers.positions import Positions
from retrograd.network.layers.prelu import PReLU
from retrograd.network.layers.relu import ReLU
from retrograd.network.layers.relu6 import ReLU6
from retrograd.network.layers.reshape import Reshape
from retrograd.network.layers.rms_norm import RMSNorm
from retrograd.network.layers.rnn import RNN
from retrograd.network.layers.selu import SELU
from retrograd.network.layers.sigmoid import Sigmoid
from retrograd.network.layers.silu import SiLU
from retrograd.network.layers.softmax import Softmax
from retrograd.network.layers.softplus import Softplus
from retrograd.network.layers.softsign import Softsign
from retrograd.network.layers.spatial_dropout import SpatialDropout
from retrograd.network.layers.stochastic_depth import StochasticDepth
from retrograd.network.layers.tanh import Tanh
from retrograd.network.layers.upsample import Upsample

__all__ = [
    "ELU",
    "GELU",
    "GRU",
    "LSTM",
    "RNN",
    "SELU",
    "AdaptiveAveragePool",
    "Add",
    "AveragePool",
    "BatchNorm",
    "Concat",
    "Conv1D",
    "Conv2D",
    "Conv2DTranspose",
    "Dense",
    "Dropout",
    "Embedding",
    "Exponential",
    "Flatten",
    "GaussianNoise",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "GroupNorm",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNorm",
    "LayerNorm",
    "LeakyReLU",
    "LearnedPositions",
    "LogSigmoid",
    "LogSoftmax",
    "MaxPool",
    "Mish",
    "MultiHeadAttention",
    "Multiply",
    "PReLU",
    "Positions",
    "RMSNorm",
    "ReLU",
    "ReLU6",
    "Reshape",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "SpatialDropout",
    "StochasticDepth",
    "Tanh",
    "Upsample",
]
