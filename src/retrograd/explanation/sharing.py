"""How training is spread over devices: the bytes that each of them stores, and those it transfers per step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax

from retrograd.distributed.layout import axes_of
from retrograd.distributed.settings import DATA, MODEL, Distributed
from retrograd.network.network import Variables
from retrograd.training.prepare import Prepared, nbytes
from retrograd.update.step import TrainState

USUAL = (2, 8, 64)  # numbers of devices shown if the configuration leaves it open


@dataclass(frozen=True)
class Sharing:
    """What each device stores, and what it sends (and receives) per step, in bytes.

    An all-reduce of a gradient of n bytes over D devices takes 2 n (D-1)/D. A sharded parameter takes 3 n (D-1)/D: it
    is gathered for the forward and the backward pass, and its gradient is reduce-scattered.
    """

    devices: int
    parameter_bytes: int
    optimizer_bytes: int
    wire_bytes: int
    cut: int  # number of sharded parameters (scalars)
    parameters: int


def sharing_of(prepared: Prepared, variables: Variables) -> tuple[Sharing, ...]:
    """Return the costs for each number of devices that the configuration allows; empty without `distributed`."""
    settings = prepared.config.distributed
    if settings is None:
        return ()
    state = jax.eval_shape(prepared.stepper().alone.start, variables, jax.random.key(0))
    return tuple(_sharing(settings, state, *extents) for extents in _extents(settings))


def _extents(settings: Distributed) -> Iterator[tuple[int, int]]:
    """Yield the extents of the mesh along data and model."""
    data, model = settings.mesh.data, settings.mesh.model
    if data != -1 and model != -1:
        yield data, model
        return
    known = max(data, model)  # the other axis gets the remaining devices
    for devices in USUAL if settings.processes == "auto" else (int(settings.processes),):
        extent = max(devices // known, 1)
        yield (extent, model) if data == -1 else (data, extent)


def _sharing(settings: Distributed, state: TrainState, data: int, model: int) -> Sharing:
    extents = {DATA: data, MODEL: model}
    parameter_bytes = wire = cut = parameters = 0
    for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]:
        if path[0].name != "params":
            continue
        axes = axes_of(settings.shard, extents, path, leaf.shape)
        slice_bytes = nbytes(leaf) // _parts(axes, extents)
        gathered = slice_bytes * (data if DATA in axes else 1)  # gathered again along data
        parameter_bytes, parameters = parameter_bytes + slice_bytes, parameters + math.prod(leaf.shape)
        cut += math.prod(leaf.shape) if any(axes) else 0
        wire += (3 if DATA in axes else 2) * gathered * (data - 1) // data
    return Sharing(data * model, parameter_bytes, _optimizer_bytes(settings, state, extents), wire, cut, parameters)


def _optimizer_bytes(settings: Distributed, state: TrainState, extents: dict[str, int]) -> int:
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    return sum(
        nbytes(leaf) // _parts(axes_of(settings.shard, extents, path, leaf.shape), extents)
        for path, leaf in leaves
        if path[0].name == "optimizer"
    )


def _parts(axes: Any, extents: dict[str, int]) -> int:
    return math.prod(extents[axis] for axis in axes if axis)
