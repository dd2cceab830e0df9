"""Reads the losses that are differentiated, without waiting for a device between inspections."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from retrograd.interop.torch.journal import Journal
from retrograd.interop.torch.nested import first_tensor


class Losses:
    """Reads losses into the journal."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.unread: list[tuple[int, Tensor]] = []  # turn and value, still on a device

    def add(self, tensors: Any, turn: int, wait: bool) -> bool:
        """Note the loss of this turn; return whether it is known not to be finite."""
        differentiated = first_tensor(tensors)
        if differentiated is None or differentiated.numel() != 1:
            return False
        loss = self.journal.scaling.in_own_units(differentiated)
        if not wait and loss.device.type != "cpu":
            self.unread.append((turn, loss.clone()))
            return False
        value = float(loss)
        self.journal.losses.add(value, turn)
        return not math.isfinite(value)

    def read(self) -> None:
        """Read the losses that were still on a device."""
        unread, self.unread = self.unread, []
        for turn, loss in unread:
            self.journal.losses.add(float(loss), turn)
