"""The course of a run: its rows in order, cut into dispatches, and the points where training is inspected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from retrograd.data.batches import EpochOrder, batch_counts, block_order, epoch_order
from retrograd.data.mapped_columns import exceeds_page_cache, is_mapped, release
from retrograd.data.prefetch import ahead, is_streamed
from retrograd.distributed.team import ALONE, Team
from retrograd.network.precision import in_precision
from retrograd.training.config.settings import TrainingSettings
from retrograd.update.step import Stepper, TrainState

LOOK_STEPS = 448  # between two inspections in a long epoch: the most that is lost, or twice as much near its end
FEW_LOOK_STEPS = 16  # where steps are slow: fewer say too little about how training goes
LOOK_OPERATIONS = 4e12  # about 20 s of a CPU: what an interrupt or a crash costs with a large network


class Window(NamedTuple):
    """The input of a dispatch of several steps: columns, and the row numbers of each minibatch in them."""

    columns: Mapping[str, Any]
    order: np.ndarray


class Course:
    """The rows of a run in training order.

    Many small steps share one dispatch, even across epochs if nothing is measured in between. A stretch, which is a
    group of epochs or a few hundred steps of a long one, ends where training is inspected.
    """

    def __init__(
        self,
        stepper: Stepper,
        settings: TrainingSettings,
        columns: Mapping[str, Any],
        held_out: bool,
        team: Team = ALONE,
    ) -> None:
        self.settings, self.team = settings, team
        self.columns = in_precision(dict(columns), settings.precision)
        self.rows = len(next(iter(self.columns.values())))
        self.batch_size = settings.batch_rows(self.rows)
        self.in_blocks = reads_in_blocks(columns)
        self.mixes_batch = any(node.layer.mixes_batch for node in stepper.network)
        batches, rest = batch_counts(self.rows, self.batch_size, self.mixes_batch)
        self.steps = batches + (rest > 0)  # per epoch
        self.shares = np.full(self.steps, float(self.batch_size))  # rows of each step
        if rest:
            self.shares[-1] = rest
        if any(getattr(objective.loss, "reduction", "mean") == "sum" for objective in stepper.objectives):
            self.shares[:] = 1.0  # a sum is not a mean over rows
        self.measures_groups = not held_out and not rest  # epochs may share a dispatch
        self.per_dispatch, self.look_steps = 1, LOOK_STEPS

    def begin(self, stepper: Stepper, train: TrainState) -> None:
        """Decide how many steps share a dispatch, and if it is many, move the columns to the device.

        Several processes stop here if their programs differ.
        """
        first = {name: column[: self.batch_size] for name, column in self.columns.items()}
        self.per_dispatch = stepper.steps_per_dispatch(train, first)
        self.look_steps = look_steps(stepper.cost(train, first).operations)
        if self.team.size > 1:
            self.team.same("program (digest)", stepper.fingerprint(train, first))
        if is_streamed(self.columns):
            self.per_dispatch = 1
        if self.per_dispatch > 1 and not is_mapped(self.columns):  # minibatches are gathered on the device
            self.on_device = self.team.on_device(self.columns)

    def rests(self) -> None:
        """Release the pages of mapped columns, which are not needed while the weights are scored."""
        release(self.columns)

    @property
    def group(self) -> int:
        """The number of epochs between two measurements."""
        together = self.per_dispatch // self.steps if self.measures_groups else 1
        return max(self.settings.evaluate_every, together)

    def order(self, epoch: int) -> EpochOrder:
        """Return the row numbers of one epoch's minibatches."""
        settings = self.settings
        order = block_order if self.in_blocks else epoch_order
        return order(
            self.rows, self.batch_size, settings.seed, epoch, shuffle=settings.shuffle, join_single=self.mixes_batch
        )

    def stretches(self, epochs: range, done: int = 0) -> Iterator[list[np.ndarray]]:
        """Yield the row numbers of each stretch's dispatches, after the first `done` steps of these epochs."""
        orders = [self.order(epoch) for epoch in epochs]
        left = after(dispatches(orders, self.per_dispatch), done)
        return stretches(left, len(epochs) * self.steps - done, self.look_steps)

    def portions(self, stretch: Sequence[np.ndarray]) -> Iterator[Any]:
        """Yield the input of each dispatch, a Window or a minibatch, read or decoded ahead while steps run."""
        if is_streamed(self.columns) or is_mapped(self.columns):
            return ahead(self._portion, stretch)
        return map(self._portion, stretch)

    def _portion(self, order: np.ndarray) -> Any:
        if order.ndim == 1:
            return self.team.batch(self.columns, order)
        if not is_mapped(self.columns):
            return Window(self.on_device, order)
        return Window(
            self.team.window(self.batch(order.ravel())),
            np.arange(order.size, dtype=order.dtype).reshape(order.shape),
        )

    def batch(self, chosen: np.ndarray) -> dict[str, Any]:
        """Return the whole minibatch with the given row numbers."""
        return {name: column[chosen] for name, column in self.columns.items()}

    def batches(self, stretch: Sequence[np.ndarray], steps: range) -> Iterator[dict[str, Any]]:
        """Yield the minibatches of the given steps of a stretch."""
        return (self.batch(chosen) for chosen in islice(minibatches(stretch), steps.start, steps.stop))

    def first_batch(self, epoch: int) -> dict[str, Any]:
        """Return the first minibatch of an epoch."""
        return self.batch(next(dispatches([self.order(epoch)], 1)))


def reads_in_blocks(columns: Mapping[str, Any]) -> bool:
    """Return whether rows are shuffled in blocks on this machine: those of files that exceed half its memory."""
    return is_mapped(columns) and exceeds_page_cache(columns)


def dispatches(orders: Sequence[EpochOrder], steps: int) -> Iterator[np.ndarray]:
    """Yield the row numbers of each dispatch: [steps, batch] for several steps, [batch] for a single one.

    Where a smaller batch ends each epoch, no dispatch spans two epochs.
    """
    apart = [[order] for order in orders]
    for together in apart if any(order.rest is not None for order in orders) else [list(orders)]:
        full = together[0].full if len(together) == 1 else np.concatenate([order.full for order in together])
        yield from full if steps == 1 else (full[i : i + steps] for i in range(0, len(full), steps))
        if together[-1].rest is not None:
            yield together[-1].rest


def look_steps(operations: float) -> int:
    """Return the number of steps between two inspections, from operation counts alone so that a replay agrees."""
    return int(np.clip(LOOK_OPERATIONS / max(operations, 1.0), FEW_LOOK_STEPS, LOOK_STEPS))


def after(orders: Iterable[np.ndarray], done: int) -> Iterator[np.ndarray]:
    """Yield the dispatches without the first `done` steps."""
    for order in orders:
        steps = step_count([order])
        if steps > done:
            yield order[done:] if done else order
        done = max(0, done - steps)


def stretches(orders: Iterable[np.ndarray], total: int, least: int = LOOK_STEPS) -> Iterator[list[np.ndarray]]:
    """Yield the dispatches of `total` steps in stretches of at least `least` steps; few steps form one stretch."""
    stretch: list[np.ndarray] = []
    steps, left = 0, total
    for order in orders:
        stretch.append(order)
        steps += step_count([order])
        if steps >= least and left - steps >= least:
            yield stretch
            stretch, steps, left = [], 0, left - steps
    if stretch:
        yield stretch


def step_count(stretch: Iterable[np.ndarray]) -> int:
    """Return the number of steps in the dispatches."""
    return sum(len(order) if order.ndim == 2 else 1 for order in stretch)


def minibatches(stretch: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the row numbers of each step of the dispatches."""
    for order in stretch:
        yield from order if order.ndim == 2 else [order]
