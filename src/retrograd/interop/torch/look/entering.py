"""What is noted when a module is entered: its name, and how far batch norm's averages are from this minibatch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from retrograd.interop.torch.journal import Journal
from retrograd.interop.torch.look.look import Look
from retrograd.interop.torch.nested import first_tensor

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
MOMENTS = 16  # minimum number of values per channel to estimate a variance


class Entering:
    """A hook that notes which module runs."""

    def __init__(self, journal: Journal, look: Look, path: str, opening: bool) -> None:
        self.journal, self.look, self.path, self.opening = journal, look, path, opening

    def __call__(self, module: nn.Module, args: Any) -> None:
        """Note the module."""
        journal = self.journal
        if self.opening:
            self.look.module = self.path
            if torch.is_grad_enabled():
                journal.called.add(self.path)
        x = first_tensor(args)
        if not isinstance(module, BATCH_NORMS) or not module.training or x is None or not x.ndim:
            return
        if len(x) == 1:
            journal.single_row_norms[self.path] += 1
        lag = lagging(module, x.detach())
        momentum = getattr(module, "momentum", None) or 0.0
        if lag is not None:
            journal.norms.add(lambda: (self.path, lag, float(momentum)))


def lagging(norm: Any, x: Tensor) -> float | None:
    """Return the share of channels whose running averages do not fit this minibatch.

    They do not if the means are more than a deviation apart, or the variances differ by more than a factor of four.
    """
    if norm.running_mean is None or norm.momentum is None or x.numel() < MOMENTS * x.shape[1]:
        return None
    with torch.no_grad():
        columns = x.to(torch.float32).transpose(0, 1).flatten(1)
        mean, variance = columns.mean(1), columns.var(1) + norm.eps
        stored = norm.running_var.float() + norm.eps
        apart = (mean - norm.running_mean.float()).abs() > stored.sqrt()
        ratio = variance / stored
        return float((apart | (ratio > 4) | (ratio < 0.25)).float().mean())
