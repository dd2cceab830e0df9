"""The weights of a small network at its readings, stored on disk so that the course of the run can be browsed."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import jax
import numpy as np

from retrograd.base.errors import RetrogradError, RetrogradWarning
from retrograd.network.network import Variables
from retrograd.record.logs.weights import MOST_NUMBERS, Arrays
from retrograd.training.loop.saved import named


class Moments:
    """Writes the weights after a step, if they are few. A failure is reported once and does not end the run."""

    def __init__(self, write: Callable[[int, Arrays], object]) -> None:
        self.write = write
        self._has_failed = False

    def __call__(self, step: int, variables: Variables) -> None:
        """Write the weights, and the state of the layers."""
        if self._has_failed or not is_small(variables):
            return
        try:
            self.write(step, arrays_by_name(variables))
        except RetrogradError as error:
            self._has_failed = True
            message = f"the weights at the readings are not saved: {error}"
            warnings.warn(message, RetrogradWarning, stacklevel=2)


def is_small(variables: Variables) -> bool:
    """Return whether the weights are few enough to be kept at every reading; specs suffice."""
    return bool(sum(leaf.size for leaf in jax.tree.leaves(variables)) <= MOST_NUMBERS)


def arrays_by_name(variables: Variables) -> Arrays:
    """Return the arrays of a network by name."""
    return {path.removeprefix("/"): np.asarray(leaf) for path, leaf in named("", variables)}


def variables_from(arrays: Arrays, form: Variables) -> Variables:
    """Return stored weights in the structure of `form`, any weights of the network.

    Raises:  KeyError if they belong to another network
    """
    leaves = [arrays[path.removeprefix("/")].astype(leaf.dtype) for path, leaf in named("", form)]
    variables: Variables = jax.tree.unflatten(jax.tree.structure(form), leaves)
    return variables
