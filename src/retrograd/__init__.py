"""Retrograd: neural networks whose backward pass you can read, see, prove and repair.

The public names. Each is imported where it is first used, so that `import retrograd` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    # data in, finished run out
    "train.fit": ("fit",),
    "train.run": ("Run", "train"),
    "train.predict": ("Model", "load"),
    "train.config": ("RunConfig", "TrainingSettings", "read_config"),
    "data.settings": ("DataSettings", "SplitSettings"),
    "data.dataset": ("Dataset",),
    # the network
    "network.network": ("Network",),
    "network.scope": ("Block", "Entry", "Node", "named"),
    "network.blocks": ("Branches", "Repeat", "Residual"),
    "network.layer": ("Activation", "Backward", "Context", "Equations", "Forward", "Init", "Input", "Layer", "Spec",
                      "Static", "examples", "layers"),
    "network.losses.loss": ("Loss", "losses"),
    "network.initializers": ("Initializer", "initializers"),
    # one step by hand: forward, loss, backward, update
    "backprop.backprop": ("Objective", "Pass", "backprop", "backward", "compare", "forward"),
    "backprop.contract": ("check_layer",),
    "update.step": ("Stepper", "update"),
    "update.penalties": ("L1", "L2"),
    "base.allocator": (),
}  # fmt: skip
_WHOLE = ("network.layers", "network.losses", "update.optimizers", "update.schedules", "network.initializers")
_FOUND = {name: f"retrograd.{home}" for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_FOUND)]


def __getattr__(name: str) -> Any:
    if name in _FOUND:
        return getattr(importlib.import_module(_FOUND[name]), name)
    if name[:1].isupper():
        for home in _WHOLE:
            module = importlib.import_module(f"retrograd.{home}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module 'retrograd' has no attribute '{name}'")
