"""Class labels: checks on the host, and reading them inside a compiled pass."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from retrograd.base.errors import DataTypeError, LabelError
from retrograd.base.sentence import entry_setting, sentence

NUMBER_FROM_0 = "number the classes from 0"


class ReadLabels(NamedTuple):
    """Labels that are valid indices, and the weight of each: 1, 0 if ignored, NaN if there is no such class."""

    safe: Array
    valid: Array


def check_labels(labels: np.ndarray, classes: int, ignored: int | None = None) -> None:
    """Check on the host what a compiled pass cannot report.

    Raises:  DataTypeError unless the labels are integers; LabelError for one outside [0, classes) that is not ignored
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise DataTypeError(f"class labels must be integers, found {labels.dtype}", cure=NUMBER_FROM_0)
    wrong = (labels < 0) | (labels >= classes)
    if ignored is not None:
        wrong &= labels != ignored
    if not wrong.any():
        return
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    where = f"row {place[0]}" if len(place) == 1 else f"row {place[0]}, position {', '.join(map(str, place[1:]))}"
    count = int(wrong.sum())
    others = f" (and {count - 1} more)" if count > 1 else ""
    message = f"label {labels[place]} out of range [0, {classes}){others}"
    if labels.min() == 0:
        units = entry_setting("units", "classes")
        cure = sentence(f"give the layer that predicts them {labels.max() + 1} units, or {{}}", units)
    else:
        cure = sentence(NUMBER_FROM_0)
    raise LabelError(message, where=where, cure=cure + ", or set `ignored` to the label that the loss should ignore")


def beside(values: Array, y: Any) -> Array:
    """Return per-class values [classes] shaped to broadcast with a prediction [..., classes]."""
    return values.reshape(*(1,) * (len(y.shape) - 1), -1)


def read_labels(labels: Array, classes: int, ignored: int | None, dtype: np.dtype) -> ReadLabels:
    """Return labels as indices in [0, classes), and the factor of each one's loss.

    A compiled pass cannot raise; NaN poisons the loss rather than silently training on another class.
    """
    labels = jnp.asarray(labels)
    labels = labels.astype(jnp.int64 if labels.dtype.itemsize == 8 else jnp.int32)  # -1 must fit, and `classes`
    known = (labels >= 0) & (labels < classes)
    valid = jnp.where(known, 1.0, jnp.nan)
    if ignored is not None:
        valid = jnp.where(labels == ignored, 0.0, valid)
    return ReadLabels(jnp.clip(labels, 0, classes - 1), valid.astype(dtype))
