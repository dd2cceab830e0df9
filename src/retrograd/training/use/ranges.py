"""Checks on the host that a compiled pass cannot make: identifiers, labels and targets outside their range."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from retrograd.base.errors import DataError, LabelError, ShapeError
from retrograd.network.layers.embedding import Embedding
from retrograd.network.located import located
from retrograd.network.losses.binary_cross_entropy import BinaryCrossEntropy
from retrograd.network.losses.cross_entropy import CrossEntropy
from retrograd.network.losses.focal import Focal
from retrograd.network.losses.labels import check_labels
from retrograd.network.network import Network
from retrograd.propagation.objective import Objective

Columns = Mapping[str, np.ndarray]


def check_identifiers(network: Network, columns: Columns) -> None:
    """Check the columns that embeddings read: the device would clamp an identifier out of range to the nearest row.

    Raises:  LabelError naming the layer, the row and the identifier.
    """
    for node in network.nodes:
        ids = columns.get(node.inputs[0]) if isinstance(node.layer, Embedding) else None
        if ids is None or ids.dtype.kind not in "iu":
            continue
        vocabulary = int(node.layer.vocabulary)  # type: ignore[attr-defined]
        wrong = np.argwhere((ids < 0) | (ids >= vocabulary))
        if len(wrong):
            identifier, others = ids[tuple(wrong[0])], f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            with located(node):
                raise LabelError(f"id {identifier} out of range [0, {vocabulary}){others}", where=f"row {wrong[0][0]}")


def check_targets(objective: Objective, units: int, columns: Columns) -> None:
    """Check that the loss can compare the targets with an output of `units` units.

    Raises:  LabelError for a class without a unit; DataError for a target outside 0 to 1
    """
    target, loss = columns.get(objective.inputs[1]), objective.loss
    if not isinstance(target, np.ndarray):  # none, or masks on disk, whose values were checked on reading
        return
    with located(objective):
        if isinstance(loss, CrossEntropy) and units == 1:
            cure = "use the loss binary_cross_entropy, or one unit per class"
            raise ShapeError("cross_entropy needs at least two units: softmax over one unit is constant", cure=cure)
        if getattr(loss, "takes_labels", False) and target.dtype.kind in "iu" and units > 1:
            check_labels(target, units, getattr(loss, "ignored", None))
        if isinstance(loss, BinaryCrossEntropy | Focal):
            _check_answers(target)


def _check_answers(target: np.ndarray) -> None:
    wrong = np.argwhere(~((target >= 0) & (target <= 1)))
    if len(wrong):
        cure = "use the loss mean_squared_error for quantities, cross_entropy for several classes"
        message = f"expected numbers from 0 to 1, found {target[tuple(wrong[0])]:g}"
        raise DataError(message, where=f"row {wrong[0][0]}", cure=cure)
