"""Boxes as the target: a grid of cells, each of which may contain the centre of one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import ConfigDict, Field

from retrograd.base.errors import LabelError, ShapeError
from retrograd.base.memory import require_room
from retrograd.data.cells.precision import floats
from retrograd.data.images.rows import Images
from retrograd.data.tables.target import Decoded, Link, softmax
from retrograd.present.wording import some_of

CELL_BYTES = 26  # object, mask, box and class
LEAST_SCORE = 0.5  # minimum score of a predicted box
FEW_SCORE = 0.01  # minimum score of a box for the average precision
MOST_OVERLAP = 0.45  # maximum overlap of two boxes of one class; otherwise only the likelier one is kept
Whole = Annotated[int, Field(gt=0)]


@dataclass(frozen=True)
class Boxes:
    """Objects in a grid: whether a cell contains the centre of an object, the object's box, and its class.

    A box is (x, y, width, height): the position of the centre within its cell, from 0 to 1, and the shares of the
    image's width and height. The network's output for each cell is a logit for an object, a box, and a logit for each
    class, in this order: [rows, cells down, cells across, 5 + classes]. A two-stage detector outputs for each region
    the edges of a box as shares of the image, and logits for the background and each class:
    [rows, regions, 5 + classes].
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    cells: tuple[Whole, Whole]
    kind: Literal["boxes"] = "boxes"

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of the target."""
        return ("cell_object", "cell_filled", "cell_box", "cell_class")

    @property
    def units(self) -> int:
        """The number of class logits that the network needs."""
        return len(self.classes)

    def columns(self, images: Images) -> dict[str, Any]:
        """Return cell_object [rows, down, across, 1] as 0 and 1, cell_filled, the same as a mask without the last axis,
        cell_box [rows, down, across, 4], and cell_class [rows, down, across], -1 in empty cells.

        If two centres are in one cell, the larger object is kept.

        Raises:  LabelError for a class unknown to training
        """
        down, across = self.cells
        needed = len(images) * down * across * CELL_BYTES
        require_room(needed, f"grids of {down} x {across} cells", "data.images.grid", "choose a coarser grid")
        filled = np.zeros((len(images), down, across), bool)
        box = np.zeros((*filled.shape, 4), floats())
        label = np.full(filled.shape, -1, np.int32)
        for row, (objects, (height, width)) in enumerate(zip(images.objects or (), images.sizes, strict=True)):
            for item in sorted(objects, key=lambda b: (b.x_max - b.x_min) * (b.y_max - b.y_min)):
                if item.label not in self.classes:
                    known = some_of(self.classes)
                    raise LabelError(
                        f"a box has the unknown label '{item.label}'",
                        where=images.where,
                        cure=f"known: {known}",
                    )
                x, y = (
                    (item.x_min + item.x_max) / 2 / width * across,
                    (item.y_min + item.y_max) / 2 / height * down,
                )
                place = row, min(int(y), down - 1), min(int(x), across - 1)
                filled[place] = True
                box[place] = (
                    x - place[2],
                    y - place[1],
                    (item.x_max - item.x_min) / width,
                    (item.y_max - item.y_min) / height,
                )
                label[place] = self.classes.index(item.label)
        return {"cell_object": filled[..., None].astype(floats()), "cell_filled": filled, "cell_box": box,
                "cell_class": label}  # fmt: skip

    def decode(self, outputs: np.ndarray, link: Link = "logit") -> Decoded:
        """Return the boxes of each image [objects, 6]: x_min, y_min, x_max, y_max as shares of it, score, class."""
        return Decoded(boxes=[chosen_boxes(*parts) for parts in zip(*self.read(outputs), strict=True)])

    def every(self, outputs: np.ndarray) -> list[np.ndarray]:
        """Return the boxes of each image without those that overlap, including unlikely ones."""
        return [chosen_boxes(*parts, least=FEW_SCORE) for parts in zip(*self.read(outputs), strict=True)]

    def true_boxes(self, columns: Any) -> list[np.ndarray]:
        """Return the true boxes of each image [objects, 5] from the target's columns: edges and class."""
        box, filled = np.asarray(columns["cell_box"], np.float64), np.asarray(columns["cell_filled"])
        logits = np.zeros((*filled.shape, self.units))  # not used
        edges, _, _ = self.read(np.concatenate([np.zeros_like(box[..., :1]), box, logits], -1))
        labels = np.asarray(columns["cell_class"]).reshape(len(box), -1)
        masks = filled.reshape(len(box), -1)
        return [np.column_stack([e[mask], label[mask]]) for e, mask, label in zip(edges, masks, labels, strict=True)]

    def fits(self, shape: Sequence[int]) -> bool:
        """Return whether outputs of this shape, batch first, are boxes of all cells or of regions."""
        return shape[-1] == 5 + self.units and (len(shape) == 3 or tuple(shape[1:-1]) == self.cells)

    def read(self, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return edges [rows, boxes, 4] as shares of the image, scores and classes [rows, boxes], with one box per
        cell, or one per region and class.
        """
        outputs = np.asarray(outputs, np.float64)
        if not self.fits(outputs.shape):
            width = 5 + self.units
            raise ShapeError(
                f"expected outputs (rows, {self.cells[0]}, {self.cells[1]}, {width}): object logit, box, class "
                f"logits; or (rows, regions, {width}): edges, logits of the background and the classes; "
                f"got {outputs.shape}"
            )
        if outputs.ndim == 3:
            return self._of_regions(outputs)
        down, across = self.cells
        y, x = np.mgrid[:down, :across]
        center_x, center_y = (outputs[..., 1] + x) / across, (outputs[..., 2] + y) / down
        half_x, half_y = np.abs(outputs[..., 3]) / 2, np.abs(outputs[..., 4]) / 2
        edges = np.stack([center_x - half_x, center_y - half_y, center_x + half_x, center_y + half_y], -1).clip(0, 1)
        logits = outputs[..., 5:]
        score = softmax(logits).max(-1) / (1 + np.exp(-outputs[..., 0].clip(-500, 500)))
        rows = len(outputs)
        return edges.reshape(rows, -1, 4), score.reshape(rows, -1), logits.argmax(-1).reshape(rows, -1)

    def _of_regions(self, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        scores = softmax(outputs[..., 4:])[..., 1:]
        classes = np.broadcast_to(np.arange(self.units), scores.shape)
        edges = np.repeat(outputs[..., :4], self.units, 1)
        return edges, scores.reshape(len(outputs), -1), classes.reshape(len(outputs), -1)


def fit_boxes(images: Images, cells: tuple[int, int]) -> Boxes:
    """Return the target with the sorted classes of all objects."""
    return Boxes(tuple(sorted({box.label for objects in images.objects or () for box in objects})), cells)


def chosen_boxes(edges: np.ndarray, scores: np.ndarray, classes: np.ndarray, least: float = LEAST_SCORE) -> np.ndarray:
    """Return the boxes [objects, 6] after non-maximum suppression within each class, the likeliest first."""
    order = [i for i in np.argsort(-scores, kind="stable") if scores[i] >= least]
    chosen: list[int] = []
    for i in order:
        rivals = [j for j in chosen if classes[j] == classes[i]]
        if not rivals or overlap(edges[i], edges[rivals]).max() <= MOST_OVERLAP:
            chosen.append(int(i))
    return np.column_stack([edges[chosen], scores[chosen], classes[chosen]]) if chosen else np.empty((0, 6))


def overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the intersection over union of a box with others: 1 if they are equal, 0 if they do not overlap."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    intersection = np.prod((high - low).clip(0), -1)
    areas = np.prod(others[:, 2:] - others[:, :2], -1) + np.prod(box[2:] - box[:2])
    ratios: np.ndarray = intersection / np.maximum(areas - intersection, 1e-12)
    return ratios


def in_pixels(boxes: list[np.ndarray], sizes: np.ndarray) -> list[np.ndarray]:
    """Return boxes in pixels, for images of these heights and widths; their edges are given as shares of the image."""
    factors = [np.array([width, height, width, height, 1, 1]) for height, width in sizes]
    return [edges * factor for edges, factor in zip(boxes, factors, strict=True)]
