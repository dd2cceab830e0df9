"""Losses that a GradScaler multiplies before the backward pass, so that small gradients survive in half precision."""

from __future__ import annotations

import weakref
from typing import Any

from torch import Tensor
from torch.amp import GradScaler

from retrograd.interop.torch.nested import tensors


class Scaling:
    """Knows whether a loss, and the gradients that stand, are multiplied by a scaler's factor."""

    def __init__(self) -> None:
        self.gradients = False  # are still multiplied
        self._scaler: Any = lambda: None  # weakly
        self._scaled: list[Any] = []  # losses, weakly

    def scaled(self, scaler: GradScaler, outputs: Any) -> None:
        """Note what the scaler multiplied."""
        if scaler.is_enabled():
            self._scaler = weakref.ref(scaler)
            self._scaled = [weakref.ref(each) for each in tensors(outputs)]

    def begin(self, given: Any) -> None:
        """Note a backward pass that begins: the gradients will be multiplied if what is differentiated is."""
        self.gradients = any(self._is_scaled(each) for each in tensors(given))

    def unscaled(self) -> None:
        """Note that the gradients were divided."""
        self.gradients = False

    def factor(self) -> Tensor | None:
        """Return the factor of the gradients that stand; None for those in their own units."""
        scaler = self._scaler()
        return scaler._scale if self.gradients and scaler is not None else None

    def known(self) -> float:
        """Return the factor as a number; 1 where there is no scaler."""
        scaler = self._scaler()
        return 1.0 if scaler is None else float(scaler.get_scale())

    def in_own_units(self, loss: Tensor) -> Tensor:
        """Return a loss as it was before it was multiplied, without waiting for a device."""
        scaler = self._scaler()
        if scaler is None or scaler._scale is None or not self._is_scaled(loss):
            return loss.detach()
        return loss.detach() / scaler._scale.to(loss.device)

    def _is_scaled(self, loss: Tensor) -> bool:
        return any(each() is loss for each in self._scaled)
