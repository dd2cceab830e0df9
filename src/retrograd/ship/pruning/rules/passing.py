"""Layers that pass channels on: one by one, combined, concatenated, or flattened."""

from __future__ import annotations

import math

import numpy as np

from retrograd.network.layer import Layer
from retrograd.network.layers.activations.along_axis.glu import GLU
from retrograd.network.layers.activations.along_axis.maxout import Maxout
from retrograd.network.layers.activations.learned.prelu import PReLU
from retrograd.network.layers.activations.learned.snake import Snake
from retrograd.network.layers.attention.learned_positions import LearnedPositions
from retrograd.network.layers.merging.add import Add
from retrograd.network.layers.merging.average import Average
from retrograd.network.layers.merging.concat import Concat
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
from retrograd.network.layers.normalisation.rms_norm import RMSNorm
from retrograd.network.layers.pooling.adaptive_average_pool import AdaptiveAveragePool
from retrograd.network.layers.pooling.adaptive_max_pool import AdaptiveMaxPool
from retrograd.network.layers.pooling.average_pool import AveragePool
from retrograd.network.layers.pooling.global_average_pool import GlobalAveragePool
from retrograd.network.layers.pooling.global_max_pool import GlobalMaxPool
from retrograd.network.layers.pooling.max_pool import MaxPool
from retrograd.network.layers.pooling.upsample import Upsample
from retrograd.network.layers.rearranging.flatten import Flatten
from retrograd.network.layers.rearranging.pad import Crop, Pad
from retrograd.network.layers.rearranging.permute import Permute
from retrograd.network.layers.rearranging.reshape import Reshape
from retrograd.network.layers.rearranging.take import Take
from retrograd.ship.pruning.channels import Labels
from retrograd.ship.pruning.coupling import Place, coupled, grouped, passed, tiled

coupled.register(Dropout, GaussianNoise, SpatialDropout, StochasticDepth, MaxPool, AveragePool, Upsample,
                 GlobalAveragePool, GlobalMaxPool, AdaptiveAveragePool, AdaptiveMaxPool)(passed)  # fmt: skip


@coupled.register(PReLU, Snake, LearnedPositions)
def with_a_parameter(at: Place, layer: Layer, x: Labels) -> Labels:
    """The last axis of the parameter has the channels, unless it is one number for all."""
    name = {PReLU: "slope", Snake: "frequency", LearnedPositions: "weight"}[type(layer)]
    if at.shape(name)[-1] == len(x):
        at.param(name, -1, x)
    return x


@coupled.register(BatchNorm, InstanceNorm)
def norm_of_each_channel(at: Place, layer: Layer, x: Labels, *mask: Labels) -> Labels:
    """Scale, bias and running statistics belong to the channels."""
    for name in ("scale", "bias"):
        at.param(name, -1, x)
    for name in ("mean", "var"):
        at.state(name, x)
    return x


@coupled.register(LayerNorm, RMSNorm)
def norm_of_each_row(at: Place, layer: Layer, x: Labels) -> Labels:
    """Without some channels, the others are scaled differently: the result is close, but not equal."""
    for name in ("scale", "bias"):
        at.param(name, -1, x)
    at.coupling.inexact.append(x)
    return x


@coupled.register(GroupNorm)
def norm_of_groups(at: Place, layer: GroupNorm, x: Labels) -> Labels:
    """The same number of channels must stay in each group."""
    for name in ("scale", "bias"):
        at.param(name, -1, x)
    if layer.groups == len(x):  # each channel is a group
        at.size("groups", x, makes=False)
        return x
    grouped(at, x, layer.groups)
    at.coupling.inexact.append(x)
    return x


@coupled.register(Add, Average, Subtract, Multiply, Maximum, Minimum)
def by_element(at: Place, layer: Layer, *inputs: Labels) -> Labels:
    """The channels of all inputs are coupled; an input that is broadcast over channels stays."""
    whole = [x for x in inputs if len(x) == at.length]
    for x in inputs:
        if len(x) < at.length:
            at.freeze(x)
    at.channels.join(*whole)
    return whole[0]


@coupled.register(Concat)
def concat(at: Place, layer: Concat, *inputs: Labels) -> Labels:
    """Labels are concatenated along the channels; along another axis, the channels are coupled."""
    if layer.axis in (-1, len(at.output.shape) - 1):
        return np.concatenate(inputs)
    at.channels.join(*inputs)
    return inputs[0]


@coupled.register(Flatten, Reshape)
def flatten(at: Place, layer: Flatten | Reshape, x: Labels) -> Labels:
    """A channel becomes a feature at each position; with an explicit shape, all channels stay."""
    shape = at.inputs[0].shape
    if len(shape) < 2 or (isinstance(layer, Reshape) and layer.shape != (-1,)):
        frozen: Labels = at.fixed(x)
        return frozen
    return tiled(x, math.prod(shape[1:-1]))


@coupled.register(Permute, Take, Pad, Crop)
def along_other_axes(at: Place, layer: Permute | Take | Pad | Crop, x: Labels) -> Labels:
    """Channels pass through if only other axes are rearranged."""
    axes = len(at.inputs[0].shape)
    if isinstance(layer, Permute):
        passes = layer.axes[-1] == axes - 1
    elif isinstance(layer, Take):
        passes = layer.axis not in (-1, axes - 1)
    else:
        border = layer.padding if isinstance(layer, Pad) else layer.border
        passes = axes > 2 and (isinstance(border, int) or len(border) == axes - 2)
    if passes:
        return x
    frozen: Labels = at.fixed(x)
    return frozen


@coupled.register(GLU)
def glu(at: Place, layer: GLU, x: Labels) -> Labels:
    """A channel and its gate are removed together."""
    if layer.axis not in (-1, len(at.inputs[0].shape) - 1):
        return x
    return grouped(at, x, 2)


@coupled.register(Maxout)
def maxout(at: Place, layer: Maxout, x: Labels) -> Labels:
    """The pieces of one output stay together."""
    pieces = x.reshape(-1, layer.pieces).T
    at.channels.join(*pieces)
    first: Labels = pieces[0]
    return first
