"""Which units of an activation are dead or saturated over the rows of a minibatch."""

from __future__ import annotations

import torch
from torch import Tensor

from retrograd.interop.torch.journal import Activity

ACTIVATIONS = {
    "relu": "relu", "relu_": "relu", "leaky_relu": "leaky_relu", "elu": "elu", "gelu": "gelu", "silu": "silu",
    "sigmoid": "sigmoid", "tanh": "tanh", "softmax": "softmax",
}  # fmt: skip
FLAT = 0.05  # of the largest derivative


def activity(name: str, kind: str, y: Tensor) -> Activity:
    """Return the dead and the saturated units; a unit is a column, or a channel of an image or sequence.

    A relu unit is dead if no row makes it positive; a sigmoid or tanh unit is saturated if its mean derivative over the
    rows is below 5 % of the largest possible, 1/4 and 1.
    """
    with torch.no_grad():
        units = y.detach().transpose(0, 1).flatten(1) if y.ndim != 3 else y.detach().flatten(0, 1).T
        nothing = torch.zeros(len(units), dtype=torch.bool, device=y.device)
        dead = (units <= 0).all(1) if kind == "relu" else nothing
        flat = nothing
        if kind == "sigmoid":
            flat = (4 * units * (1 - units)).mean(1) < FLAT
        elif kind == "tanh":
            flat = (1 - units * units).mean(1) < FLAT
        return Activity(name, kind, dead.cpu(), flat.cpu())
