"""The processes and devices of a run as seen by training: one process with one device is a team of one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.distributed.layout import Layout
from retrograd.distributed.line import Line

Wish = Callable[[], str | None]


class Team:
    """One process with one device: everything is local, and no agreement is needed."""

    rank, size = 0, 1
    layout: Layout | None = None

    @property
    def leads(self) -> bool:
        """Whether this process writes the run."""
        return self.rank == 0

    # ------------------------------------------------------------------------------------------------------- arrays

    def spread(self, tree: Any) -> Any:
        """Place a state that every process has on the devices, as needed for training."""
        return tree

    def whole(self, tree: Any) -> Any:
        """Return a state that this process can use alone; if it is cut, all processes must call this together."""
        return tree

    def on_device(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns, whole on each device."""
        return {name: jnp.asarray(column) for name, column in columns.items()}

    def batch(self, columns: Mapping[str, Any], chosen: np.ndarray) -> dict[str, Any]:
        """Return the minibatch with the given row numbers; a process reads only the rows of its devices."""
        return {name: column[chosen] for name, column in columns.items()}

    def window(self, columns: dict[str, Any]) -> dict[str, Any]:
        """Return the rows of several steps in the form that a dispatch takes."""
        return columns

    def measured(self, batch: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return rows that every process has in the form for evaluation: cut among the devices."""
        return batch

    def fetched(self, tree: Any) -> Any:
        """Return evaluation results for all rows as NumPy arrays."""
        return jax.device_get(tree)

    # ----------------------------------------------------------------------------------------------------- agreement

    def clock(self) -> float:
        """Return the time in seconds of a clock shared by all processes."""
        return time.perf_counter()

    def wishes(self, asked: Wish) -> Wish:
        """Return a function giving the reason to stop, if any process has one."""
        return asked

    def meet(self, where: str) -> None:
        """Wait for the others once per stretch; all must have reached the same result, `where`."""

    def same(self, name: str, value: Any) -> None:
        """Wait for the others, and end all if one of them has a different value."""

    def first(self, name: str, value: Any) -> Any:
        """Return the value of rank 0."""
        return value

    def every(self, name: str, value: Any) -> list[Any]:
        """Return the values of all processes."""
        return [value]


ALONE = Team()


class Crew(Team):
    """Several devices, of one process or of several that agree through `line`."""

    def __init__(self, layout: Layout, line: Line | None = None) -> None:
        self.layout: Layout = layout
        self.line = line
        self.rank, self.size = (line.seat.rank, line.seat.size) if line else (0, 1)
        self.asked: Wish = lambda: None
        self.wish: str | None = None
        self.now, self.begun, self.meetings = 0.0, time.perf_counter(), 0
        self.gathered = jax.jit(lambda tree: tree, out_shardings=layout.whole)

    def spread(self, tree: Any) -> Any:
        """Place a state on the mesh, with parameters and moments cut by the rules."""
        return jax.tree.map(self.layout.placed, tree, self.layout.shardings(tree))

    def whole(self, tree: Any) -> Any:
        """Return a state of whole local arrays; those that are cut are gathered one by one in memory."""

        def local(leaf: Any) -> Any:
            if leaf.is_fully_replicated:
                return leaf.addressable_data(0)
            return np.asarray(self.gathered(leaf))

        return jax.tree.map(local, tree)

    def _replicated(self, tree: Any) -> Any:
        leaves, form = jax.tree.flatten(tree)
        cut = {place: leaf for place, leaf in enumerate(leaves) if not leaf.is_fully_replicated}
        if cut:
            cut = self.gathered(cut)
        return jax.tree.unflatten(form, [cut.get(place, leaf) for place, leaf in enumerate(leaves)])

    def on_device(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns, whole on each device of the mesh."""
        return {name: self.layout.placed(column, self.layout.whole) for name, column in columns.items()}

    def batch(self, columns: Mapping[str, Any], chosen: np.ndarray) -> dict[str, Any]:
        """Return the minibatch cut among the devices; each process reads only its rows."""
        sharding = self.layout.of_rows(len(chosen))

        def rows(column: Any) -> jax.Array:
            shape = (len(chosen), *column.shape[1:])
            return self.layout.filled(shape, sharding, lambda place: np.asarray(column[chosen[place[0]]]))

        return {name: rows(column) for name, column in columns.items()}

    def window(self, columns: dict[str, Any]) -> dict[str, Any]:
        """Return the rows of several steps, whole on each device of the mesh."""
        return self.on_device(columns)

    def measured(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return the rows cut among the devices of the mesh."""
        return {name: self.layout.placed(column, self.layout.of_rows(len(column))) for name, column in batch.items()}

    def fetched(self, tree: Any) -> Any:
        """Return evaluation results for all rows as NumPy arrays."""
        return jax.tree.map(np.asarray, self._replicated(tree))

    def clock(self) -> float:
        """Return the time of the last meeting in seconds, by the clock of rank 0."""
        return self.now if self.line else super().clock()

    def wishes(self, asked: Wish) -> Wish:
        """Return a function giving the reason to stop agreed at the last meeting."""
        self.asked = asked
        return (lambda: self.wish) if self.line else asked

    def meet(self, where: str) -> None:
        """Agree on the time and on a request to stop; a process with another result than rank 0 is named."""
        if self.line is None:
            return
        self.meetings += 1
        value = {"wish": self.asked(), "now": time.perf_counter() - self.begun, "state": where}
        agreed = self.line.ask(f"result of stretch {self.meetings}", "meet", value)
        self.wish, self.now = agreed["wish"], float(agreed["now"])

    def same(self, name: str, value: Any) -> None:
        """Ask the hub to compare."""
        if self.line:
            self.line.ask(name, "same", value)

    def first(self, name: str, value: Any) -> Any:
        """Ask the hub for the value of rank 0."""
        return self.line.ask(name, "first", value) if self.line else value

    def every(self, name: str, value: Any) -> list[Any]:
        """Ask the hub for all values."""
        return list(self.line.ask(name, "every", value)) if self.line else [value]
