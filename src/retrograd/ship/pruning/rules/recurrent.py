"""Recurrent layers: a unit is a row and a column of each gate, in every direction."""

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
    directions = []
    for prefix in layer.prefixes:
        unit = at.units("units", int(layer.units))
        directions.append(unit)
        at.param(prefix + "input_weight", 0, x, reads=True)
        at.param(prefix + "input_weight", 1, tiled(unit, layer.gates))
        at.param(prefix + "recurrent_weight", 0, unit, reads=True)
        at.param(prefix + "recurrent_weight", 1, tiled(unit, layer.gates))
        at.param(prefix + "bias", 0, tiled(unit, layer.gates))
        at.param(prefix + "recurrent_bias", 0, unit)
    states = np.concatenate(directions)
    for spec, labels in zip(at.inputs[1:], others, strict=True):
        if spec.dtype != np.bool_:  # not the mask: an initial state, of all directions side by side
            at.channels.join(labels, states)
    y = states
    if layer.merge != "concat" and len(directions) > 1:
        at.channels.join(*directions)
        y = directions[0]
    return dict.fromkeys((*layer.states, "sequence"), y) if layer.output == "all" else y
