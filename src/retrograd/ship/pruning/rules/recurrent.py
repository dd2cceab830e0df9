"""Recurrent layers: a unit is a row and a column of each gate, in each direction."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.network.layers.recurrent.gru import GRU
from retrograd.network.layers.recurrent.lstm import LSTM
from retrograd.network.layers.recurrent.recurrent import Recurrent
from retrograd.network.layers.recurrent.rnn import RNN
from retrograd.ship.pruning.channels import Labels
from retrograd.ship.pruning.coupling import Place, coupled, tiled


@coupled.register(RNN, GRU, LSTM)
def recurrent(at: Place, layer: Recurrent, x: Labels, *others: Labels) -> Any:
    """Input weight [features, gates x units], recurrent weight [units, gates x units]."""
    directions, cells = [], []
    projected = getattr(layer, "projection", None) is not None
    for prefix in layer.prefixes:
        unit = at.units("units", int(layer.units))
        state = at.channels.new(layer.widths[0]) if projected else unit
        if projected:
            at.freeze(state, "the projection sets its width")
            at.param(prefix + "projection_weight", 0, unit, reads=True)
            at.param(prefix + "projection_weight", 1, state)
        directions.append(state)
        cells.append(unit)
        at.param(prefix + "input_weight", 0, x, reads=True)
        at.param(prefix + "input_weight", 1, tiled(unit, layer.gates))
        at.param(prefix + "recurrent_weight", 0, state, reads=True)
        at.param(prefix + "peephole", 0, tiled(unit, 3))
        at.param(prefix + "recurrent_weight", 1, tiled(unit, layer.gates))
        at.param(prefix + "bias", 0, tiled(unit, layer.gates))
        at.param(prefix + "recurrent_bias", 0, unit)
    initial = [labels for spec, labels in zip(at.inputs[1:], others, strict=True) if spec.dtype != np.bool_]
    for labels, of in zip(initial, (directions, cells), strict=False):
        at.channels.join(labels, np.concatenate(of))  # all directions, concatenated
    if layer.merge != "concat" and len(directions) > 1:
        at.channels.join(*directions)
        at.channels.join(*cells)
        directions, cells = directions[:1], cells[:1]
    y = np.concatenate(directions)
    parts = {**dict.fromkeys((*layer.states, "sequence"), y), "cell": np.concatenate(cells)}
    return {name: parts[name] for name in (*layer.states, "sequence")} if layer.output == "all" else y
