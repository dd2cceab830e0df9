"""Average precision of boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from retrograd.data.images.boxes import overlap

ENOUGH = 0.5  # overlap with a true box of the same class for a predicted box to be right


def average_precision(found: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> float:
    """Return the mean over classes of the area under the precision-recall curve, as in Pascal VOC since 2010.

    Predicted boxes are matched in order of score; a second match of the same true box is wrong.

    Shapes:  per image, found [objects, 6] (x_min, y_min, x_max, y_max, score, class), truth [objects, 5] (no score)
    """
    classes = sorted({int(label) for boxes in truth for label in boxes[:, 4]})
    return float(np.mean([_of_class(label, found, truth) for label in classes])) if classes else 0.0


def _of_class(label: int, found: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> float:
    real = [boxes[boxes[:, 4] == label, :4] for boxes in truth]
    matched = [np.zeros(len(boxes), bool) for boxes in real]
    boxes = [(box[4], image, box[:4]) for image, rows in enumerate(found) for box in rows if box[5] == label]
    right = np.zeros(len(boxes))
    for i, (_, image, box) in enumerate(sorted(boxes, key=lambda row: (-row[0], row[1]))):
        overlaps = overlap(box, real[image]) if len(real[image]) else np.zeros(1)
        best = int(overlaps.argmax())
        if overlaps[best] >= ENOUGH and not matched[image][best]:
            matched[image][best] = True
            right[i] = 1
    recall = np.cumsum(right) / sum(map(len, real))
    precision = np.cumsum(right) / np.arange(1, len(boxes) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0.0) * envelope).sum())
