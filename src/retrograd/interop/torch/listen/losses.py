"""The losses that are differentiated, read without waiting for a device between looks."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from retrograd.interop.torch.journal import Journal
from retrograd.interop.torch.nested import first_tensor


class Losses:
    """Reads them into the journal."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.unread: list[tuple[int, Tensor]] = []  # turn and value, on devices that are not to be waited for

    def add(self, tensors: Any, turn: int, wait: bool) -> bool:
        """Note the loss of this turn; return whether it is known to be no finite number."""
        given = first_tensor(tensors)
        if given is None or given.numel() != 1:
            return False
        loss = self.journal.scaling.in_own_units(given)
        if not wait and loss.device.type != "cpu":
            self.unread.append((turn, loss.clone()))
            return False
        value = float(loss)
        self.journal.losses.add(value, turn)
        return not math.isfinite(value)

    def read(self) -> None:
        """Read those that were kept."""
        unread, self.unread = self.unread, []
        for turn, loss in unread:
            self.journal.losses.add(float(loss), turn)
