"""A run's state at the end of a stretch: with the events, all that a process needs to resume it bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.base.errors import ModelFileError, Problem
from retrograd.network.network import Variables
from retrograd.record.checkpoint import Slice, Slices
from retrograd.record.events import Epoch, Intervention
from retrograd.training.loop.guard import Memory
from retrograd.update.step import Outcome, TrainState

TRAIN, BEST, STEPS = "train", "best", "steps"  # first segments of the arrays' names


@dataclass(frozen=True)
class Saved:
    """A run's state: copied arrays, the guard's memory, the seconds so far, and the events.

    The arrays are the input state of the next step, the best weights unless these are the initial ones, and the
    outcomes of the steps in an unfinished group of epochs. Everything else follows from the events and the seed.
    """

    arrays: Mapping[str, np.ndarray]
    memory: Memory
    seconds: float
    history: Sequence[Epoch] = ()
    interventions: Sequence[Intervention] = ()
    slices: Slices = field(default_factory=dict)  # this process's slices of arrays cut among devices
    best_epoch: Epoch | None = None  # the epoch of the best weights

    @property
    def step(self) -> int:
        """The number of steps taken."""
        return int(self.arrays[f"{TRAIN}/step"])

    @property
    def pending(self) -> int:
        """The number of those of an unfinished group of epochs."""
        return len(self.arrays.get(f"{STEPS}/loss", ()))

    def train(self, form: TrainState) -> TrainState:
        """Return the training state in the structure of `form`, the run's initial one.

        Raises:  ModelFileError naming each array that is missing, unexpected or of another shape
        """
        state: TrainState = _tree(TRAIN, form._replace(key=jax.random.key_data(form.key)), self.arrays)
        return state._replace(key=jax.random.wrap_key_data(state.key))

    def best(self, form: Variables) -> Variables:
        """Return the best weights in the structure of `form`, any weights of the network."""
        best: Variables = _tree(BEST, form, self.arrays)
        return best

    def outcomes(self) -> list[Outcome]:
        """Return the outcome of the steps in the unfinished group of epochs, as a list of one or none."""
        fields: dict[str, Any] = {name: self.arrays.get(f"{STEPS}/{name}") for name in Outcome._fields}
        return [] if fields["loss"] is None else [Outcome(**fields)]


def arrays_of(
    train: TrainState, best: Variables | None, steps: Outcome | None
) -> tuple[dict[str, np.ndarray], dict[str, list[Slice]]]:
    """Return a run's whole arrays by name, and this process's slices of the arrays cut among devices.

    All are copies: the next step reuses the memory of the state.
    """
    parts = {TRAIN: train._replace(key=jax.random.key_data(train.key)), BEST: best, STEPS: steps}
    leaves = {name: leaf for part, tree in parts.items() for name, leaf in named(part, tree)}
    cut = {name for name, leaf in leaves.items() if not getattr(leaf, "is_fully_replicated", True)}
    whole = {name: np.array(leaf) for name, leaf in leaves.items() if name not in cut}
    return whole, {name: slices_of(leaves[name]) for name in sorted(cut)}


def slices_of(array: jax.Array) -> list[Slice]:
    """Return the slices of an array that this process writes; one device writes a slice that several hold."""
    return [
        Slice(
            array.shape,
            tuple(part.indices(size)[:2] for part, size in zip(shard.index, array.shape, strict=True)),
            np.array(shard.data),
        )
        for shard in array.addressable_shards
        if shard.replica_id == 0
    ]


def named(part: str, tree: Any) -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a tree with their paths."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return ((f"{part}/{jax.tree_util.keystr(path, simple=True, separator='/')}", leaf) for path, leaf in leaves)


def _tree(part: str, form: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    expected = dict(named(part, form))
    names = {name for name in arrays if name.startswith(f"{part}/")}
    problems = [Problem(name, "not in this run") for name in sorted(names - set(expected))]
    for name, leaf in expected.items():
        array = arrays.get(name)
        if array is None:
            problems.append(Problem(name, f"missing, expected {leaf.dtype} {leaf.shape}"))
        elif (array.dtype, array.shape) != (leaf.dtype, leaf.shape):
            message = f"expected {leaf.dtype} {leaf.shape}, found {array.dtype} {array.shape}"
            problems.append(Problem(name, message))
    if problems:
        raise ModelFileError([*problems[:-1], problems[-1]._replace(cure="this is the checkpoint of another run")])
    return jax.tree.unflatten(jax.tree.structure(form), [jnp.array(arrays[name]) for name in expected])
