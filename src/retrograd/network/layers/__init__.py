"""Layers, one concept a file; importing this package registers them all."""

from retrograd.network.layers.add import Add
from retrograd.network.layers.concat import Concat
from retrograd.network.layers.dense import Dense
from retrograd.network.layers.dropout import Dropout
from retrograd.network.layers.elu import ELU
from retrograd.network.layers.embedding import Embedding
from retrograd.network.layers.flatten import Flatten
from retrograd.network.layers.gelu import GELU
from retrograd.network.layers.hard_sigmoid import HardSigmoid
from retrograd.network.layers.hard_swish import HardSwish
from retrograd.network.layers.identity import Identity
from retrograd.network.layers.leaky_relu import LeakyReLU
from retrograd.network.layers.log_sigmoid import LogSigmoid
from retrograd.network.layers.log_softmax import LogSoftmax
from retrograd.network.layers.mish import Mish
from retrograd.network.layers.multiply import Multiply
from retrograd.network.layers.prelu import PReLU
from retrograd.network.layers.relu import ReLU
from retrograd.network.layers.relu6 import ReLU6
from retrograd.network.layers.reshape import Reshape
from retrograd.network.layers.selu import SELU
from retrograd.network.layers.sigmoid import Sigmoid
from retrograd.network.layers.silu import SiLU
from retrograd.network.layers.softmax import Softmax
from retrograd.network.layers.softplus import Softplus
from retrograd.network.layers.softsign import Softsign
from retrograd.network.layers.tanh import Tanh

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Add",
    "Concat",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "Multiply",
    "PReLU",
    "ReLU",
    "ReLU6",
    "Reshape",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
]
