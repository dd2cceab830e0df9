"""Guarded steps: a stretch is trained and inspected, and if it went wrong, trained again with a milder setting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple
from zlib import crc32

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.base.compilation.programs import Program
from retrograd.base.errors import Problem
from retrograd.distributed.team import ALONE, Team
from retrograd.network.network import Variables, own_params, take
from retrograd.network.scope import Node
from retrograd.propagation.readings import acts_by_element, derivative, steepest
from retrograd.record.events import Intervention
from retrograd.training.loop.course import Course, Window, minibatches, step_count
from retrograd.training.loop.divergence import SURE_ROWS, Compared, Condition, rows_there
from retrograd.training.loop.guard import Guard, Rescue
from retrograd.training.loop.nonfinite import find_nonfinite
from retrograd.training.loop.pulse import Pulse
from retrograd.update.plateau import Plateau
from retrograd.update.step import Outcome, Stepper, TrainState

FEW = 1_000_000  # numbers, which NumPy scans in a third of a millisecond


class Trouble(NamedTuple):
    """Why training cannot continue like this: the name of the resulting stop, and the problem."""

    reason: str
    problem: Problem


@dataclass
class Rates:
    """Factors on the learning rate from outside the compiled step: the plateau's and the guard's."""

    plateau: Plateau
    cut: float = 1.0

    @property
    def factor(self) -> jax.Array:
        """The product of both factors."""
        return jnp.asarray(self.plateau.factor * self.cut, jnp.float32)


class GuardedSteps:
    """Trains stretches of a course, and undoes those that are not healthy.

    `recorded` are the interventions of a run being replayed, repeated at the same steps. `interrupted` receives the
    state before a stretch that was cut short: a resumed run repeats everything after it.
    """

    def __init__(
        self,
        stepper: Stepper,
        course: Course,
        guard: Guard,
        rates: Rates,
        recorded: Sequence[Intervention],
        asked_to_stop: Callable[[], str | None],
        interrupted: Callable[[TrainState], object],
        pulse: Pulse | None = None,
        team: Team = ALONE,
    ) -> None:
        self.stepper, self.course, self.guard, self.rates = stepper, course, guard, rates
        self.recorded, self.asked_to_stop, self.interrupted = recorded, asked_to_stop, interrupted
        self.pulse, self.team = pulse, team
        self.gauge = Gauge(stepper.alone)
        self.first: Variables  # initial weights of the run

    def run(
        self, train: TrainState, stretch: Sequence[np.ndarray]
    ) -> tuple[TrainState, Outcome | None, Trouble | None]:
        """Run a stretch, again with milder settings if there is trouble; giving up restores the state before it."""
        while True:
            train = self._as_recorded(train)
            before = copied(train)
            train, outcome = self._dispatched(train, stretch)
            if len(outcome.loss) < step_count(stretch):
                self.interrupted(before)
            trouble = self._trouble(before, train, np.asarray(outcome.loss), stretch)
            self.team.meet(f"step {int(train.step)}, losses {crc32(outcome.loss):08x}, {trouble or 'sound'}")
            if trouble is None:
                return train, outcome, None
            if self.pulse is not None:
                self.pulse.stands(int(before.step))
            rescue = self._rescue(before, trouble, stretch)
            if rescue is None:
                return before, None, trouble
            train = self.milder(before, rescue)

    def _dispatched(self, train: TrainState, stretch: Sequence[np.ndarray]) -> tuple[TrainState, Outcome]:
        """Run the dispatches, fewer if asked to stop; only at the end are their outcomes waited for."""
        outcomes: list[Outcome] = []
        step = 0 if self.pulse is None else int(train.step)
        for portion in self.course.portions(stretch):
            if isinstance(portion, Window):
                train, outcome = self.stepper.many(train, portion.columns, portion.order)
            else:
                train, outcome = self.stepper.single(train, portion)
            outcomes.append(outcome)
            if self.pulse is not None:
                step += outcome.loss.size
                self.pulse.dispatched(step, outcome.loss)
            if self.asked_to_stop():
                break
        if self.pulse is not None:
            self.pulse.wait()
        return train, joined(outcomes)

    def _trouble(
        self, before: TrainState, after: TrainState, losses: np.ndarray, stretch: Sequence[np.ndarray]
    ) -> Trouble | None:
        """Return what is wrong with the stretch just run, if the guard is to act on it."""
        sound = after[:3] if self.guard.mode == "repair" else after.params  # a rollback needs sound moments too
        if not (np.isfinite(losses).all() and all_finite(sound)):
            batches = (self.course.batch(chosen) for chosen in minibatches(stretch))
            whole = self.team.whole(copied(before))
            return Trouble("non-finite", find_nonfinite(self.stepper.alone, whole, batches))
        columns = self.course.columns
        rows = np.array([rows_there(columns, chosen) for chosen in islice(minibatches(stretch), len(losses))])
        reason = self.guard.judged(losses, rows, int(before.step), self._compared(after, stretch))
        return Trouble("diverged", Problem("", reason)) if reason else None

    def _rescue(self, before: TrainState, trouble: Trouble, stretch: Sequence[np.ndarray]) -> Rescue | None:
        """Return the guard's rescue, if there is a sound state to return to."""
        if not all_finite(before[:3]):
            return None
        step = int(before.step)
        rate = float(self.stepper.rate(step))
        return self.guard.rescue(step, trouble.problem.message, rate, self._gauged(before, stretch))

    def _compared(self, train: TrainState, stretch: Sequence[np.ndarray]) -> Compared:
        """Return the guard's measurements: of the initial weights on rows of a stretch, and of the weights after it."""

        def first() -> TrainState:
            whole: TrainState = self.team.whole(train)
            return whole._replace(params=self.first.params, state=self.first.state)

        def loss(state: Callable[[], TrainState]) -> Callable[[range], float]:
            return lambda steps: self.gauge(state(), self.course.batches(stretch, steps)).loss

        return Compared(loss(first), loss(lambda: self.team.whole(train)), self._gauged(train, stretch))

    def _gauged(self, train: TrainState, stretch: Sequence[np.ndarray]) -> Callable[[], Condition]:
        """Return a function that measures a state on enough of a stretch's minibatches to be meaningful."""
        enough = range(-(-SURE_ROWS // self.course.batch_size))
        return lambda: self.gauge(self.team.whole(train), self.course.batches(stretch, enough))

    def milder(self, train: TrainState, rescue: Rescue) -> TrainState:
        """Return the state with which training continues under a rescue."""
        self.rates.cut = rescue.rate_factor
        optimizer = rescue.optimizer(self.guard.configured)
        if optimizer != self.stepper.optimizer:
            self.stepper = self.stepper.with_optimizer(optimizer)
        return train._replace(rate_factor=self.team.spread(self.rates.factor))

    def _as_recorded(self, train: TrainState) -> TrainState:
        """Apply what the guard of a replayed run did at this step; its last attempt counts."""
        events = [event for event in self.recorded if event.step == int(train.step)]
        return self.milder(train, Rescue(events[-1].rate_factor, events[-1].clip_global_norm)) if events else train


class Gauge:
    """Measures the condition of a network's weights; compiled on first use."""

    def __init__(self, stepper: Stepper) -> None:
        self.stepper = stepper
        last = {name.partition(".")[0] for objective in stepper.objectives for name in objective.inputs}
        self.hidden = [node for node in stepper.network if acts_by_element(node.layer) and node.name not in last]
        self._compiled = Program(_condition, stepper, tuple(self.hidden))

    def __call__(self, train: TrainState, batches: Iterable[Mapping[str, Any]]) -> Condition:
        """Return the condition of a state's weights on some minibatches, every row weighted equally."""
        readings, rows = [], []
        for batch in batches:
            readings.append(jax.device_get(self._compiled(train, batch)))
            rows.append(len(next(iter(batch.values()))))
        losses, shares = zip(*readings, strict=True)
        passed = {
            node.name: float(np.average([share[node.name] for share in shares], weights=rows)) for node in self.hidden
        }
        return Condition(float(np.average(losses, weights=rows)), passed)


def _condition(
    stepper: Stepper, hidden: Sequence[Node], train: TrainState, batch: Mapping[str, Any]
) -> tuple[jax.Array, dict[str, jax.Array]]:
    result = stepper.evaluate(train, batch)
    shares = {}
    for node in hidden:
        slope = derivative(node.layer, own_params(train.params, node), take(result.outputs, node.inputs[0]))
        shares[node.name] = jnp.mean(jnp.abs(slope)) / steepest(node.layer)
    return result.loss, shares


def all_finite(tree: Any) -> bool:
    """Return whether every number in a tree is finite; small trees are scanned by NumPy, without compiling anything."""
    leaves = jax.tree.leaves(tree)
    is_here = all(getattr(leaf, "is_fully_replicated", True) for leaf in leaves)
    if is_here and jax.default_backend() == "cpu" and sum(leaf.size for leaf in leaves) <= FEW:
        return all(np.isfinite(leaf).all() for leaf in leaves)
    return bool(_all_finite(leaves))


@jax.jit
def _all_finite(leaves: Sequence[jax.Array]) -> jax.Array:
    return jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in leaves]))


@jax.jit
def copied(tree: Any) -> Any:
    """Return copies of the arrays, which the next step does not consume."""
    return jax.tree.map(jnp.copy, tree)


def joined(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcomes of several dispatches as one, with NumPy arrays [steps]."""
    outcome: Outcome = jax.tree.map(lambda *values: np.concatenate([np.atleast_1d(v) for v in values]), *outcomes)
    return outcome
