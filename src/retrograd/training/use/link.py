"""The link of a network's outputs, given the loss that it was trained with."""

from __future__ import annotations

from typing import Any

from retrograd.data.tables.target import Link
from retrograd.network.losses.loss import Loss


def link_of(loss: Loss | Any) -> Link:
    """Return what a network trained with this loss outputs: logits (including a hinge's scores), log rates, or the
    target itself.
    """
    if getattr(loss, "log_input", False):
        return "log"
    return "logit" if getattr(loss, "from_logits", getattr(loss, "reads_scores", False)) else "identity"
