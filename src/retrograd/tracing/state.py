"""The effect of a batch on the state of a layer: batch norm's batch and running mean and variance."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.network.layers.normalisation.batch_norm import BatchNorm
from retrograd.present.exact import Figures
from retrograd.tracing.numbers import NodeNumbers

MOST_FEATURES = 8


def state_table(node: NodeNumbers, f: Figures) -> tuple[tuple[str, ...], list[tuple[str, ...]], str] | None:
    """Return header, rows (one per feature) and a sentence on batch norm's statistics; None for other layers."""
    if not isinstance(node.layer, BatchNorm) or not node.state:
        return None
    x = np.asarray(node.inputs[0])
    if len(node.inputs) > 1:  # a mask
        x = x[np.asarray(node.inputs[1])]
    axes = tuple(range(x.ndim - 1))
    columns = {"batch mean": x.mean(axes), "batch var": x.var(axes)}
    for name in ("mean", "var"):
        before, after = node.state[name]
        columns |= {f"running {name}": before, f"new {name}": after}
    count = x.size // x.shape[-1]
    shown = range(min(x.shape[-1], MOST_FEATURES))
    rows = [(f"[{i}]", *(f.number(float(column[i])) for column in columns.values())) for i in shown]
    momentum = node.layer.momentum
    if momentum is None:  # all batches have equal weight
        momentum = 1 / float(np.asarray(node.state["batches"][1]) or 1)
    return ("", *columns), rows, _rule(node, momentum, count, x.shape[-1], f)


def _rule(node: NodeNumbers, momentum: float, count: int, features: int, f: Figures) -> str:
    more = f"; {features - MOST_FEATURES} more features" if features > MOST_FEATURES else ""
    if all(np.array_equal(before, after) for before, after in node.state.values()):
        return f"normalised with the running statistics, which do not change{more}"
    return (
        f"normalised with the batch's statistics; new = {f.number(1 - momentum)} running + {f.number(momentum)} batch, "
        f"the variance times {count}/{count - 1}{more}"
    )


def state_json(node: NodeNumbers) -> dict[str, Any]:
    """Return each array of a layer's state before and after the step."""
    return {
        name: {"before": np.asarray(before).tolist(), "after": np.asarray(after).tolist()}
        for name, (before, after) in node.state.items()
    }
