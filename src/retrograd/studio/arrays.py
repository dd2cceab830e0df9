"""The large arrays of a traced step, as the page draws them: as heat maps, or as pictures if they are images."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from retrograd.studio.form import PICTURES
from retrograd.tracing.document import FULL, WIDE
from retrograd.tracing.edits import PLACE
from retrograd.tracing.lines import entry
from retrograd.tracing.numbers import StepNumbers, parts

EXACT = 2000  # numbers in all parameters together that are sent with all digits
MOST_NUMBERS = 2**17  # per array; of a larger array, only the first rows are sent

Named = tuple[str, str, np.ndarray]  # the prefix of its numbers' keys, its name, and the array


def arrays_of(step: StepNumbers, stop: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the arrays of a stop, except those that its own tables show in full."""
    named = list(_named(step, stop))
    return [_plain(step, *one) for one in named if one[2].size > FULL or one[2].shape[-1:] > (WIDE,)]


def _named(step: StepNumbers, stop: Mapping[str, str]) -> Iterator[Named]:
    phase, node = stop["phase"], next((node for node in step.nodes if node.path == stop["node"]), None)
    if phase == "input":
        yield from ((f"output:{name}", name, column) for name, column in step.columns.items())
    elif phase == "forward" and node is not None:
        yield from ((f"output:{name}", name, array) for name, array in parts(node.path, node.output))
    elif phase == "backward" and node is not None:
        yield from ((f"delta:{name}", f"δ {name}", array) for name, array in parts(node.path, node.delta))
        owners = dict(node.node.share)
        for name, grad in node.grads.items():
            if name not in owners:
                yield f"grad:{node.path}/{name}", f"∂L/∂ {name}", grad
    elif phase == "update":
        for parameter in step.parameters:
            if parameter.path == stop["title"]:
                yield f"grad:{parameter.path}", parameter.path, parameter.before
                yield f"grad:{parameter.path}", "new - old", parameter.after - parameter.before


def _plain(step: StepNumbers, key: str, name: str, array: np.ndarray) -> dict[str, Any]:
    row = max(1, array[:1].size)
    shown = array[: max(1, MOST_NUMBERS // row)] if array.size > MOST_NUMBERS else array
    values = base64.b64encode(np.ascontiguousarray(shown, "<f4").tobytes()).decode()
    of = "weight" if key.startswith("grad:") else "rows"
    return {"key": key, "name": name, "shape": list(shown.shape), "whole": list(array.shape), "of": of,
            "side": _side(step, key, array), "values": values}  # fmt: skip


def _side(step: StepNumbers, key: str, array: np.ndarray) -> int:
    """Return the side of the square pictures in the rows of data, or in a unit's weights; 0 if there are none."""
    path = key.partition(":")[2]
    if path in step.columns and array.ndim == 2 and array.dtype.kind == "f":
        return PICTURES.get(array.shape[1], (0, 0))[0]
    reader = next((node for node in step.nodes if f"{node.path}/weight" == path), None)
    if reader is None or array.ndim != 2 or reader.node.inputs[0] not in step.columns:
        return 0
    return PICTURES.get(array.shape[0], (0, 0))[0]


def editable(step: StepNumbers, key: str) -> dict[str, Any] | None:
    """Return place and value of an editable number, which is a weight or an input; None for a computed one."""
    kind, _, place = key.partition(":")
    matched = PLACE.fullmatch(place)
    path, index = (matched[1], matched[2] or "") if matched else (place, "")
    at = tuple(map(int, index.split(","))) if index else ()
    if kind == "grad":
        parameter = next((parameter for parameter in step.parameters if parameter.path == path), None)
        return None if parameter is None else {"place": entry(path, at), "value": float(parameter.before[at])}
    if kind == "output" and path in step.columns:
        return {"place": entry(path, at), "value": float(step.columns[path][at])}
    return None


def exact(step: StepNumbers) -> dict[str, Any]:
    """Return the losses and, for a small network, weights, gradients and columns with all digits."""
    digits: dict[str, Any] = {"loss": float(step.loss), "loss_after": float(step.loss_after)}
    if sum(parameter.before.size for parameter in step.parameters) <= EXACT:
        digits["weights"] = {
            p.path: {"before": p.before.tolist(), "gradient": p.gradient.tolist(), "after": p.after.tolist()}
            for p in step.parameters
        }
    digits["columns"] = {
        name: np.asarray(column).tolist() for name, column in step.columns.items() if np.size(column) <= EXACT
    }
    return digits
