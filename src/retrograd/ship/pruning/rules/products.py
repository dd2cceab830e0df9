"""Layers that make new channels: dense, convolutions, embedding."""

from __future__ import annotations

import numpy as np

from retrograd.network.layers.convolution.conv1d import Conv1D
from retrograd.network.layers.convolution.conv1d_transpose import Conv1DTranspose
from retrograd.network.layers.convolution.conv2d import Conv2D
from retrograd.network.layers.convolution.conv2d_transpose import Conv2DTranspose
from retrograd.network.layers.convolution.conv3d import Conv3D
from retrograd.network.layers.convolution.conv3d_transpose import Conv3DTranspose
from retrograd.network.layers.convolution.convolution import Convolution
from retrograd.network.layers.convolution.convolution_transpose import ConvolutionTranspose
from retrograd.network.layers.dense import Dense
from retrograd.network.layers.embedding import Embedding
from retrograd.ship.pruning.channels import Labels
from retrograd.ship.pruning.coupling import Place, coupled, grouped, tiled


@coupled.register(Dense)
def dense(at: Place, layer: Dense, x: Labels) -> Labels:
    """W [features, units]."""
    at.param("weight", 0, x, reads=True)
    y = at.units("units")
    at.param("weight", 1, y)
    at.param("bias", 0, y)
    return y


@coupled.register(Embedding)
def embedding(at: Place, layer: Embedding, ids: Labels) -> Labels:
    """W [vocabulary, units]."""
    y = at.units("units")
    at.param("weight", 1, y)
    return y


@coupled.register(Conv1D, Conv2D, Conv3D)
def convolution(at: Place, layer: Convolution, x: Labels) -> Labels:
    """W [*kernel, channels of a group, filters], with filters ordered by group."""
    groups = _groups(layer, x)
    if groups == len(x) > 1:
        y = _depthwise(at, layer, x)
        at.param("weight", -1, y)
    elif groups == 1:
        at.param("weight", -2, x, reads=True)
        y = at.units("filters")
        at.param("weight", -1, y)
    else:
        at.param("weight", -2, grouped(at, x, groups), reads=True)
        y = tiled(at.channels.new(at.length // groups), groups)
        at.size("filters", y)
        at.param("weight", -1, y)
    at.param("bias", 0, y)
    return y


@coupled.register(Conv1DTranspose, Conv2DTranspose, Conv3DTranspose)
def convolution_transpose(at: Place, layer: ConvolutionTranspose, x: Labels) -> Labels:
    """W [*kernel, channels, filters of a group]."""
    groups = _groups(layer, x)
    if groups == len(x) > 1:
        y = _depthwise(at, layer, x)
        at.param("weight", -2, x)
    else:
        grouped(at, x, groups)
        at.param("weight", -2, x, reads=True)
        own = at.channels.new(at.length // groups)
        y = tiled(own, groups)
        at.size("filters", y)
        at.param("weight", -1, own)
    at.param("bias", 0, y)
    return y


def _groups(layer: Convolution | ConvolutionTranspose, x: Labels) -> int:
    return len(x) if isinstance(layer.groups, str) else layer.groups


def _depthwise(at: Place, layer: Convolution | ConvolutionTranspose, x: Labels) -> Labels:
    """Return the output's labels if each channel has its own filters."""
    y = np.repeat(x, at.length // len(x))
    at.size("filters", y, makes=False)
    if not isinstance(layer.groups, str):
        at.size("groups", x, makes=False)
    return y
