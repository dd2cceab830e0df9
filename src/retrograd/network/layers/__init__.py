"""Layers, one concept per file; importing this package registers them all."""

from retrograd.network.layers.activations.along_axis.glu import GLU
from retrograd.network.layers.activations.along_axis.log_softmax import LogSoftmax
from retrograd.network.layers.activations.along_axis.maxout import Maxout
from retrograd.network.layers.activations.along_axis.softmax import Softmax
from retrograd.network.layers.activations.along_axis.sparsemax import Sparsemax
from retrograd.network.layers.activations.celu import CELU
from retrograd.network.layers.activations.clip import Clip
from retrograd.network.layers.activations.elu import ELU
from retrograd.network.layers.activations.exponential import Exponential
from retrograd.network.layers.activations.gelu import GELU
from retrograd.network.layers.activations.hard_sigmoid import HardSigmoid
from retrograd.network.layers.activations.hard_swish import HardSwish
from retrograd.network.layers.activations.leaky_relu import LeakyReLU
from retrograd.network.layers.activations.learned.prelu import PReLU
from retrograd.network.layers.activations.learned.snake import Snake
from retrograd.network.layers.activations.log_sigmoid import LogSigmoid
from retrograd.network.layers.activations.mish import Mish
from retrograd.network.layers.activations.relu import ReLU
from retrograd.network.layers.activations.relu6 import ReLU6
from retrograd.network.layers.activations.selu import SELU
from retrograd.network.layers.activations.sigmoid import Sigmoid
from retrograd.network.layers.activations.silu import SiLU
from retrograd.network.layers.activations.softplus import Softplus
from retrograd.network.layers.activations.softsign import Softsign
from retrograd.network.layers.activations.tanh import Tanh
from retrograd.network.layers.attention.learned_positions import LearnedPositions
from retrograd.network.layers.attention.multi_head_attention import MultiHeadAttention
from retrograd.network.layers.attention.positions import Positions
from retrograd.network.layers.augmentation.color_jitter import ColorJitter
from retrograd.network.layers.augmentation.cutout import Cutout
from retrograd.network.layers.augmentation.random_crop import RandomCrop
from retrograd.network.layers.augmentation.random_flip import RandomFlip
from retrograd.network.layers.augmentation.random_rotation import RandomRotation
from retrograd.network.layers.augmentation.random_scaling import RandomScaling
from retrograd.network.layers.augmentation.time_shift import TimeShift
from retrograd.network.layers.augmentation.token_dropout import TokenDropout
from retrograd.network.layers.boxes.anchor_boxes import AnchorBoxes
from retrograd.network.layers.boxes.best_boxes import BestBoxes
from retrograd.network.layers.boxes.cell_boxes import CellBoxes
from retrograd.network.layers.boxes.match_boxes import MatchBoxes
from retrograd.network.layers.boxes.shift_boxes import ShiftBoxes
from retrograd.network.layers.convolution.conv1d import Conv1D
from retrograd.network.layers.convolution.conv1d_transpose import Conv1DTranspose
from retrograd.network.layers.convolution.conv2d import Conv2D
from retrograd.network.layers.convolution.conv2d_transpose import Conv2DTranspose
from retrograd.network.layers.convolution.conv3d import Conv3D
from retrograd.network.layers.convolution.conv3d_transpose import Conv3DTranspose
from retrograd.network.layers.dense import Dense
from retrograd.network.layers.embedding import Embedding
from retrograd.network.layers.identity import Identity
from retrograd.network.layers.merging.add import Add
from retrograd.network.layers.merging.average import Average
from retrograd.network.layers.merging.bilinear import Bilinear
from retrograd.network.layers.merging.concat import Concat
from retrograd.network.layers.merging.cosine_similarity import CosineSimilarity
from retrograd.network.layers.merging.dot import Dot
from retrograd.network.layers.merging.extremes import Maximum, Minimum
from retrograd.network.layers.merging.multiply import Multiply
from retrograd.network.layers.merging.subtract import Subtract
from retrograd.network.layers.noise.dropout import Dropout
from retrograd.network.layers.noise.gaussian_noise import GaussianNoise
from retrograd.network.layers.noise.spatial_dropout import SpatialDropout
from retrograd.network.layers.noise.stochastic_depth import StochasticDepth
from retrograd.network.layers.normalisation.batch_norm import BatchNorm
from retrograd.network.layers.normalisation.group_norm import GroupNorm
from retrograd.network.layers.normalisation.instance_norm import InstanceNorm
from retrograd.network.layers.normalisation.layer_norm import LayerNorm
from retrograd.network.layers.normalisation.local_response_norm import LocalResponseNorm
from retrograd.network.layers.normalisation.rms_norm import RMSNorm
from retrograd.network.layers.parametrised.spectral_norm import SpectralNorm
from retrograd.network.layers.parametrised.weight_norm import WeightNorm
from retrograd.network.layers.pooling.adaptive_average_pool import AdaptiveAveragePool
from retrograd.network.layers.pooling.adaptive_max_pool import AdaptiveMaxPool
from retrograd.network.layers.pooling.average_pool import AveragePool
from retrograd.network.layers.pooling.global_average_pool import GlobalAveragePool
from retrograd.network.layers.pooling.global_max_pool import GlobalMaxPool
from retrograd.network.layers.pooling.max_pool import MaxPool
from retrograd.network.layers.pooling.roi_align import RoiAlign
from retrograd.network.layers.pooling.upsample import Upsample
from retrograd.network.layers.rearranging.flatten import Flatten
from retrograd.network.layers.rearranging.pad import Crop, Pad
from retrograd.network.layers.rearranging.permute import Permute
from retrograd.network.layers.rearranging.pixel_shuffle import PixelShuffle, PixelUnshuffle
from retrograd.network.layers.rearranging.reshape import Reshape
from retrograd.network.layers.rearranging.take import Take
from retrograd.network.layers.rearranging.unfold import Unfold
from retrograd.network.layers.recurrent.gru import GRU
from retrograd.network.layers.recurrent.lstm import LSTM
from retrograd.network.layers.recurrent.rnn import RNN
from retrograd.network.layers.reducing.log_sum_exp import LogSumExp
from retrograd.network.layers.reducing.normalize import Normalize

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "GRU",
    "LSTM",
    "RNN",
    "SELU",
    "AdaptiveAveragePool",
    "AdaptiveMaxPool",
    "Add",
    "AnchorBoxes",
    "Average",
    "AveragePool",
    "BatchNorm",
    "BestBoxes",
    "Bilinear",
    "CellBoxes",
    "Clip",
    "ColorJitter",
    "Concat",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "CosineSimilarity",
    "Crop",
    "Cutout",
    "Dense",
    "Dot",
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
    "LocalResponseNorm",
    "LogSigmoid",
    "LogSoftmax",
    "LogSumExp",
    "MatchBoxes",
    "MaxPool",
    "Maximum",
    "Maxout",
    "Minimum",
    "Mish",
    "MultiHeadAttention",
    "Multiply",
    "Normalize",
    "PReLU",
    "Pad",
    "Permute",
    "PixelShuffle",
    "PixelUnshuffle",
    "Positions",
    "RMSNorm",
    "RandomCrop",
    "RandomFlip",
    "RandomRotation",
    "RandomScaling",
    "ReLU",
    "ReLU6",
    "Reshape",
    "RoiAlign",
    "ShiftBoxes",
    "SiLU",
    "Sigmoid",
    "Snake",
    "Softmax",
    "Softplus",
    "Softsign",
    "Sparsemax",
    "SpatialDropout",
    "SpectralNorm",
    "StochasticDepth",
    "Subtract",
    "Take",
    "Tanh",
    "TimeShift",
    "TokenDropout",
    "Unfold",
    "Upsample",
    "WeightNorm",
]
