"""The plan for images: what to learn from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retrograd.base.errors import ConfigError, DataError
from retrograd.data.images.boxes import Boxes, fit_boxes
from retrograd.data.images.decoding import Form
from retrograd.data.images.inputs import ImageInputs, fit_images, image_form, mask_form
from retrograd.data.images.masks import Masks, fit_masks
from retrograd.data.images.rows import Images
from retrograd.data.images.settings import ImageSettings
from retrograd.data.read.folders import LABEL
from retrograd.data.settings import DataSettings, find_targets
from retrograd.data.split.split import RowLabels
from retrograd.data.tables.goal import Goal, Plan, find_goal
from retrograd.data.tables.multilabel import MultiLabels
from retrograd.data.tables.plan import split_keys
from retrograd.data.tables.target import Labels, Quantities
from retrograd.present.wording import some_of

Target = Labels | MultiLabels | Quantities | Masks | Boxes | None


@dataclass(frozen=True)
class ImagePlan(Plan[Images, tuple[ImageInputs, Target]]):
    """The plan for images; the classes of masks and boxes come from all of them."""

    form: Form
    dense: Masks | Boxes | None = None

    def clean(self, rows: Images) -> Images:
        """Return the images; with `unreadable: skip`, those that can be read."""
        section = self.settings.images or ImageSettings()
        return rows.readable(self.form, section.memory) if section.unreadable == "skip" else rows

    def fit(self, train: Images) -> tuple[ImageInputs, Target]:
        """Return inputs and target fitted on training images."""
        inputs = fit_images(train, self.form, self.settings)
        if self.dense is not None or train.table is None:
            return inputs, self.dense
        return inputs, self.goal.fit(train.table, self.settings.scale_target or "standard")

    def row_labels(self, rows: Images) -> RowLabels | None:
        """Return the class of each image, or None."""
        return None if rows.table is None else self.goal.row_labels(rows.table)

    def split_keys(self, rows: Images) -> np.ndarray | None:
        """Return the moments or groups by which the images are split."""
        if rows.table is None:
            if self.settings.split.column is not None:
                raise ConfigError("the images have no columns", where="data.split.column", cure="use another split")
            return None
        return split_keys(rows.table, self.settings)


def plan_images(images: Images, settings: DataSettings) -> ImagePlan:
    """Return the plan: to learn a class or number for each image, its mask, its objects, or the image itself."""
    form = image_form(images, settings)
    goal, dense, (first, *others) = _learned(images, settings, form)
    size = f"{len(images)} images of {form.height} x {form.width} pixels, {form.kind}"
    notes = (first, size, *images.survey.notes(settings.scale is not None), *others)
    return ImagePlan(settings, goal, notes, images, form, dense).cleaned()


def _learned(images: Images, settings: DataSettings, form: Form) -> tuple[Goal, Masks | Boxes | None, tuple[str, ...]]:
    """Return the goal for images, masks or boxes if they are the target, and sentences about the data."""
    section = settings.images or ImageSettings()
    if settings.task == "unsupervised":
        return Goal("unsupervised", ()), None, Goal("unsupervised", ()).notes("")
    if section.cells is not None:
        if images.objects is None:
            cure = "use a table with a path, x_min, y_min, x_max, y_max and a label in each row"
            raise DataError("`grid` is set, but there are no boxes", where=images.where, cure=cure)
        down, across = section.cells
        boxes = fit_boxes(images, section.cells)
        count = sum(map(len, images.objects))
        omitted = count - int(boxes.columns(images)["cell_filled"].sum())
        omitted_note = (f"{omitted} of {count} objects share a cell with a larger one and are omitted",)
        note = f"detection of {some_of(boxes.classes)}: {count} objects in a grid of {down} x {across}"
        return Goal("detection", boxes.names), boxes, (note, *(omitted_note if omitted else ()))
    if images.masks is not None:
        masks = fit_masks(images, mask_form(form), section.memory)
        return Goal("segmentation", ("y",)), masks, (f"segmentation into the pixel values {some_of(masks.values)}",)
    if images.table is None:
        return Goal("unsupervised", ()), None, Goal("unsupervised", ()).notes("")
    table = images.table.with_missing(settings.missing_values)
    usual = (LABEL,) if LABEL in table.names and not settings.targets else find_targets(table.names, settings)
    goal = find_goal(table, usual, settings)
    return goal, None, goal.notes("")
