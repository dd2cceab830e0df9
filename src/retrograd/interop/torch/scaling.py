"""Losses scaled by a GradScaler before the backward pass, so that small gradients survive in half precision."""

from __future__ import annotations

import weakref
from typing import Any

from torch import Tensor
from torch.amp import GradScaler

from retrograd.interop.torch.nested import tensors


class Scaling:
    """Knows whether a loss and the current gradients are multiplied by a scaler's factor."""

    def __init__(self) -> None:
        self.gradients = False  # whether the current gradients are still scaled
        self._scaler: Any = lambda: None  # weak reference
        self._scaled: list[Any] = []  # weak references to scaled losses

    def scaled(self, scaler: GradScaler, outputs: Any) -> None:
        """Note the losses that a scaler multiplied."""
        if scaler.is_enabled():
            self._scaler = weakref.ref(scaler)
            self._scaled = [weakref.ref(loss) for loss in tensors(outputs)]

    def begin(self, losses: Any) -> None:
        """Note that a backward pass begins: the gradients will be scaled if the losses are."""
        self.gradients = any(self._is_scaled(loss) for loss in tensors(losses))

    def unscaled(self) -> None:
        """Note that the gradients were divided by the factor."""
        self.gradients = False

    def factor(self) -> Tensor | None:
        """Return the factor in the current gradients; None if they are not scaled."""
        scaler = self._scaler()
        return scaler._scale if self.gradients and scaler is not None else None

    def known(self) -> float:
        """Return the factor as a number; 1 without a scaler."""
        scaler = self._scaler()
        return 1.0 if scaler is None else float(scaler.get_scale())

    def in_own_units(self, loss: Tensor) -> Tensor:
        """Return a loss as it was before scaling, without waiting for a device."""
        scaler = self._scaler()
        if scaler is None or scaler._scale is None or not self._is_scaled(loss):
            return loss.detach()
        return loss.detach() / scaler._scale.to(loss.device)

    def _is_scaled(self, loss: Tensor) -> bool:
        return any(reference() is loss for reference in self._scaled)
