"""Modules that behave differently in training and in evaluation, and their mode during a pass.

It may differ from the model's own flag: loops switch parts of a model, and keep parts in evaluation mode on purpose.
"""

from __future__ import annotations

import inspect
from typing import NamedTuple

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

CHANGING = ("dropout", "droppath", "drop_path", "batchnorm", "stochasticdepth", "rrelu")


class Mode(NamedTuple):
    """The mode of a pass: the model's own flag, and whether some or all changing modules are in training mode."""

    root: bool
    some: bool
    all: bool

    @property
    def blind(self) -> bool:
        """Whether a pass without gradients counts as training mode; parts in training mode after `eval()` do not."""
        return self.some and self.root


class Moods:
    """The changing modules of a model, by path."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.modules = {path or type(module).__name__: module for path, module in model.named_modules()
                        if changes(module)}  # fmt: skip

    def mode(self) -> Mode:
        """Return the current mode; without changing modules, it is the model's own flag."""
        root = self.model.training
        flags = [module.training for module in self.modules.values()]
        return Mode(root, any(flags), all(flags)) if flags else Mode(root, root, root)

    def blind(self) -> bool:
        """Return whether a pass without gradients would now run in training mode by mistake."""
        return self.mode().blind and not self.estimating()

    def kept_still(self) -> bool:
        """Return whether evaluation mode may be intended: no dropout is next to trainable parameters."""
        return not any(self._drops_in_training_part(path) for path in self.modules)

    def _drops_in_training_part(self, path: str) -> bool:
        if not isinstance(self.modules[path], _DropoutNd):
            return False
        parent = self.model.get_submodule(path.rpartition(".")[0])
        return any(p.requires_grad for p in parent.parameters())

    def estimating(self) -> bool:
        """Return whether batch norm weights all batches equally, as when its statistics are re-estimated."""
        norms = [module for module in self.modules.values() if isinstance(module, _BatchNorm)]
        return any(norm.training and norm.track_running_stats and norm.momentum is None for norm in norms)


def changes(module: nn.Module) -> bool:
    """Return whether a module behaves differently in training and in evaluation mode."""
    name = type(module).__name__.lower()
    if any(word in name for word in CHANGING):
        return getattr(module, "p", 1.0) != 0
    if isinstance(module, (nn.RNNBase, nn.MultiheadAttention)):
        return bool(module.dropout)
    return not type(module).__module__.startswith("torch.") and _asks(type(module))


def _asks(kind: type) -> bool:
    """Return whether a class's forward method reads the flag, as in `F.dropout(x, training=self.training)`."""
    try:
        return "self.training" in inspect.getsource(kind.forward)  # type: ignore[attr-defined]
    except (OSError, TypeError, AttributeError):
        return False
