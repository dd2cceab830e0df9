"""Edited numbers of a step, to see the consequences: weights, inputs, targets."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax.numpy as jnp
import numpy as np

from retrograd.base.errors import UsageError, did_you_mean

NO_EDITS: Mapping[str, float] = MappingProxyType({})
PLACE = re.compile(r"(.+?)(?:\[(\d{1,9}(?:,\d{1,9})*)\])?")


def edited(
    params: Mapping[str, Mapping[str, Any]], rows: Mapping[str, np.ndarray], edits: Mapping[str, float]
) -> tuple[dict[str, dict[str, Any]], dict[str, np.ndarray]]:
    """Return parameters and columns with some of their numbers changed, by place: `hidden/weight[0,1]`, `x[0,2]`.

    Raises:  UsageError for a place that does not exist, and for values that are not finite numbers
    """
    new_params = {node: dict(tensors) for node, tensors in params.items()}
    new_rows = dict(rows)
    known = [*rows, *(f"{node}/{name}" for node, tensors in params.items() for name in tensors)]
    for place, value in edits.items():
        matched = PLACE.fullmatch(place)
        path = matched[1] if matched else place
        node, _, name = path.rpartition("/")
        tensors: dict[str, Any] = new_rows if path in rows else new_params.get(node, {})
        key = path if path in rows else name
        if key not in tensors:
            raise UsageError(f"there is no '{path}'", where=place, cure=did_you_mean(path, known))
        if not math.isfinite(value):
            raise UsageError(f"expected a finite number, found {value}", where=place)
        values = np.array(tensors[key])
        index = tuple(map(int, matched[2].split(","))) if matched and matched[2] else ()
        if len(index) != values.ndim or any(i >= size for i, size in zip(index, values.shape, strict=True)):
            raise UsageError(f"the shape is {list(values.shape)}", where=place, cure="give one index per axis, from 0")
        values[index] = value
        tensors[key] = values if path in rows else jnp.asarray(values)
    return new_params, new_rows
