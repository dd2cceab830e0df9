"""What the outputs of a network are, by the loss that it was trained with."""

from __future__ import annotations

from typing import Any

from retrograd.data.tables.target import Link
from retrograd.network.losses.loss import Loss


def link_of(loss: Loss | Any) -> Link:
    """Return what the outputs of a network trained with this loss are: logits (a hinge's scores count as such), the
    logarithms of rates, or what is asked for itself.
    """
    if getattr(loss, "log_input", False):
        return "log"
    return "logit" if getattr(loss, "from_logits", getattr(loss, "reads_scores", False)) else "identity"
