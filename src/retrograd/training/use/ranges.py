"""What a compiled pass cannot report, checked on the host: identifiers, labels and answers outside their range."""

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
    """Check the columns that embeddings read: the device would take the nearest row for an identifier out of range.

    Raises:  LabelError naming the layer, the row and the identifier.
    """
    for node in network.nodes:
        ids = columns.get(node.inputs[0]) if isinstance(node.layer, Embedding) else None
        if ids is None or ids.dtype.kind not in "iu":
            continue
        vocabulary = int(node.layer.vocabulary)  # type: ignore[attr-defined]
        wrong = np.argwhere((ids < 0) | (ids >= vocabulary))
        if len(wrong):
            found, more = ids[tuple(wrong[0])], f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            with located(node):
                raise LabelError(f"id {found} out of range [0, {vocabulary}){more}", where=f"row {wrong[0][0]}")


def check_targets(objective: Objective, units: int, columns: Columns) -> None:
    """Check that the targets are ones that the loss can compare an output of so many units with.

    Raises:  LabelError for a class that has no unit; DataError for an answer that is not from 0 to 1
    """
    target, loss = columns.get(objective.inputs[1]), objective.loss
    if not isinstance(target, np.ndarray):  # none, or masks on disk, whose values were read when the data were
        return
    with located(objective):
        if isinstance(loss, CrossEntropy) and units == 1:
            cure = "choose the loss binary_cross_entropy, or a unit for each class"
            raise ShapeError("a single unit has nothing to be compared with", cure=cure)
        if getattr(loss, "takes_labels", False) and target.dtype.kind in "iu" and units > 1:
            check_labels(target, units, getattr(loss, "ignored", None))
        if isinstance(loss, BinaryCrossEntropy | Focal):
            _check_answers(target)


def _check_answers(target: np.ndarray) -> None:
    wrong = np.argwhere(~((target >= 0) & (target <= 1)))
    if len(wrong):
        cure = "choose the loss mean_squared_error for quantities, cross_entropy for several classes"
        found = f"expected numbers from 0 to 1, found {target[tuple(wrong[0])]:g}"
        raise DataError(found, where=f"row {wrong[0][0]}", cure=cure)
