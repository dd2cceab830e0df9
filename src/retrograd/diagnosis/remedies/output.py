"""Remedies that change the output layer and the loss, which belong together."""

from __future__ import annotations

import dataclasses

from typing_extensions import override

from retrograd.diagnosis.edit import is_activation, kind, output_index
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.remedy import Remedy, rearranged, remedies, with_layer
from retrograd.network.scope import Entry
from retrograd.training.config.config import RunConfig, default_loss

UNITS = {
    "binary": 1,
    "multiclass": "classes",
    "multilabel": "classes",
    "regression": "targets",
    "unsupervised": "features",
}


@remedies.register("match_output")
class MatchOutput(Remedy):
    """Give the output layer the units that the task needs and no activation, and use the matching loss."""

    why = "output and loss belong together: logits with cross-entropy, plain numbers with squared error"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        place, task = output_index(config.network), program.dataset.task
        if place is None or task not in UNITS or config.losses:
            return None
        units = program.dataset.sizes.get(str(UNITS[task]), UNITS[task])
        if task == "unsupervised" and (program.numbers is None or units != program.graph.units):
            return None
        last = config.network[place]
        changes = {}
        if kind(last) == "dense" and program.graph.units != units:
            changes["units"] = units
        if getattr(last.layer, "activation", None) is not None:
            changes["activation"] = None
        last = with_layer(last, **changes) if changes else last
        entries = (*config.network[:place], last, *config.network[place + 1 :])
        remaining = [(i, entry) for i, entry in enumerate(entries) if i <= place or not _squashes(entry)]
        default = default_loss(task, config.data)
        loss = config.loss
        if loss is None or type(loss) is not type(default) or not getattr(loss, "from_logits", True):
            loss = None if loss is None else default
        if tuple(entry for _, entry in remaining) == config.network and loss == config.loss:
            return None
        return dataclasses.replace(rearranged(config, remaining), loss=loss)


@remedies.register("mean_loss")
class MeanLoss(Remedy):
    """Average the loss over the batch instead of summing it."""

    why = "a sum multiplies every step by the batch size"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        if config.loss is None or config.loss.reduction == "mean":
            return None
        return dataclasses.replace(config, loss=dataclasses.replace(config.loss, reduction="mean"))


def _squashes(entry: Entry) -> bool:
    """Return whether an entry after the output layer is nonlinear or drops outputs."""
    return is_activation(entry) or kind(entry) == "dropout"
