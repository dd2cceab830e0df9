"""Where a run stands at the end of a stretch: with its events, all that another process needs to go on bit for bit."""

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
    """A run's place: arrays of its own memory, what the guard remembers, the seconds so far, and what has happened.

    The arrays are the state that the next step takes, the best weights unless these are the first ones, and what the
    steps of an unfinished group of epochs reported. Everything else follows from the events, and from the seed.
    """

    arrays: Mapping[str, np.ndarray]
    memory: Memory
    seconds: float
    history: Sequence[Epoch] = ()
    interventions: Sequence[Intervention] = ()
    slices: Slices = field(default_factory=dict)  # this process's, of the arrays that are cut among devices

    @property
    def step(self) -> int:
        """The number of steps that were taken."""
        return int(self.arrays[f"{TRAIN}/step"])

    def train(self, form: TrainState) -> TrainState:
        """Return the state, in the form of a run's first one.

        Raises:  ModelFileError naming each array that is missing, too many or of another shape
        """
        state: TrainState = _tree(TRAIN, form._replace(key=jax.random.key_data(form.key)), self.arrays)
        return state._replace(key=jax.random.wrap_key_data(state.key))

    def best(self, form: Variables) -> Variables:
        """Return the best weights, in the form of any others of the network."""
        best: Variables = _tree(BEST, form, self.arrays)
        return best

    def outcomes(self) -> list[Outcome]:
        """Return what the steps of the unfinished group of epochs reported, as one outcome if there are some."""
        fields: dict[str, Any] = {name: self.arrays.get(f"{STEPS}/{name}") for name in Outcome._fields}
        return [] if fields["loss"] is None else [Outcome(**fields)]


def arrays_of(
    train: TrainState, best: Variables | None, steps: Outcome | None
) -> tuple[dict[str, np.ndarray], dict[str, list[Slice]]]:
    """Return a run's arrays by name, and the slices that are here of those that are cut.

    All are copied: the next step takes the memory of the state.
    """
    parts = {TRAIN: train._replace(key=jax.random.key_data(train.key)), BEST: best, STEPS: steps}
    leaves = {name: leaf for part, tree in parts.items() for name, leaf in named(part, tree)}
    cut = {name for name, leaf in leaves.items() if not getattr(leaf, "is_fully_replicated", True)}
    whole = {name: np.array(leaf) for name, leaf in leaves.items() if name not in cut}
    return whole, {name: slices_of(leaves[name]) for name in sorted(cut)}


def slices_of(array: jax.Array) -> list[Slice]:
    """Return the slices of an array that this process writes: of those that several devices have, one has to."""
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
    """Yield the leaves of a tree, each with its path."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return ((f"{part}/{jax.tree_util.keystr(path, simple=True, separator='/')}", leaf) for path, leaf in leaves)


def _tree(part: str, form: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    wanted = dict(named(part, form))
    of_part = {name for name in arrays if name.startswith(f"{part}/")}
    problems = [Problem(name, "not in this run") for name in sorted(of_part - set(wanted))]
    for name, leaf in wanted.items():
        array = arrays.get(name)
        if array is None:
            problems.append(Problem(name, f"missing, expected {leaf.dtype} {leaf.shape}"))
        elif (array.dtype, array.shape) != (leaf.dtype, leaf.shape):
            message = f"expected {leaf.dtype} {leaf.shape}, found {array.dtype} {array.shape}"
            problems.append(Problem(name, message))
    if problems:
        raise ModelFileError([*problems[:-1], problems[-1]._replace(cure="this is the place of another run")])
    return jax.tree.unflatten(jax.tree.structure(form), [jnp.array(arrays[name]) for name in wanted])
