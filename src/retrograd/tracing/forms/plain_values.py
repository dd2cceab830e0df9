"""A traced step as JSON: arrays in full if small or opened, otherwise shape, statistics and a corner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from retrograd.record.strict_json import write_json
from retrograd.tracing.lines import Summary, summary
from retrograd.tracing.numbers import NodeNumbers, ObjectiveNumbers, ParameterNumbers, StepNumbers
from retrograd.tracing.state import state_json

FULL = 1024  # numbers of an array written in full
OPENED = 100_000  # of an array opened by `node`


def as_json(step: StepNumbers, remarks: tuple[str, ...], replay: Mapping[str, Any] | None, node: str | None) -> str:
    """Return the trace as JSON; `node` omits the other nodes and writes its arrays in full."""
    nodes = [item for item in step.nodes if node in (None, item.path)]
    paths = {item.path for item in nodes}
    optimizer = step.optimizer
    return write_json({
        "name": step.name,
        "step": step.step,
        "steps": step.steps,
        "rows": step.rows,
        "dtype": step.dtype,
        "batch": {name: array(column, node) for name, column in step.columns.items()},
        "nodes": [_node(item, node) for item in nodes],
        "losses": [_loss(objective, node) for objective in step.objectives],
        "loss": step.loss,
        "penalty": step.penalty,
        "optimizer": {
            "kind": optimizer.registered_name,  # type: ignore[attr-defined]
            "formula": optimizer.equation,
            "learning_rate": step.learning_rate,
            "update": step.updates_so_far,
        },
        "parameters": [
            _parameter(item, node) for item in step.parameters if node is None or item.path.rpartition("/")[0] in paths
        ],
        "loss_after": step.loss_after,
        "remarks": list(remarks),
        "replay": replay,
    })  # fmt: skip


def array(value: Any, opened: str | None) -> Any:
    """Return an array as nested lists, or as shape, statistics and corner; the parts of several outputs by name."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {name: array(part, opened) for name, part in value.items()}
    values = np.asarray(value)
    if values.size <= (OPENED if opened else FULL):
        return {"shape": list(values.shape), "values": values.tolist()}
    return _summary(summary(values))


def _summary(short: Summary) -> dict[str, Any]:
    return {
        "shape": list(short.shape),
        "smallest": short.smallest,
        "mean": short.mean,
        "largest": short.largest,
        "rms": short.rms,
        "zeros": short.zeros,
        "nonfinite": short.nonfinite,
        "corner": short.corner.tolist(),
    }


def _node(node: NodeNumbers, opened: str | None) -> dict[str, Any]:
    equations = node.equations
    return {
        "path": node.path,
        "layer": node.layer.kind,
        "inputs": list(node.node.inputs),
        "forward": equations.forward if equations else None,
        "backward": list(equations.backward) if equations else None,
        "derivation": node.layer.derivation,
        "output": array(node.output, opened),
        "delta": array(node.delta, opened),
        "delta_from": [
            {"source": part.source, "output": part.reference, "values": array(part.values, opened)}
            for part in node.contributions
        ],
        "gradients": {name: array(grad, opened) for name, grad in node.grads.items()},
        "state": state_json(node),
    }


def _loss(objective: ObjectiveNumbers, opened: str | None) -> dict[str, Any]:
    return {
        "name": objective.name,
        "kind": objective.loss.kind,
        "inputs": list(objective.references),
        "forward": objective.loss.formulas().forward,
        "backward": list(objective.loss.formulas().backward),
        "value": objective.value,
        "weight": objective.weight,
        "delta": {name: array(start, opened) for name, start in objective.starts.items()},
    }


def _parameter(parameter: ParameterNumbers, opened: str | None) -> dict[str, Any]:
    return {
        "path": parameter.path,
        "frozen": parameter.frozen,
        "before": array(parameter.before, opened),
        "gradient": array(parameter.gradient, opened),
        "gradient_by_use": {node: array(grad, opened) for node, grad in parameter.uses.items()},
        "penalty": array(parameter.penalty, opened),
        "after_stage": {stage: array(value, opened) for stage, value in parameter.stages.items()},
        "moments": {
            symbol: {"before": array(before, opened), "after": array(after, opened)}
            for symbol, (before, after) in parameter.moments.items()
        },
        "update": array(parameter.update, opened),
        "after": array(parameter.after, opened),
    }
