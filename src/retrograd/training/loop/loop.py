"""The only training loop: minibatches in, epochs out, the best weights kept, one named reason to stop."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.base.errors import NonFiniteError, Problem
from retrograd.data.batches import EpochOrder, epoch_order
from retrograd.data.prefetch import ahead, is_streamed
from retrograd.network.network import Variables
from retrograd.network.precision import computing_in, in_precision, taken_out
from retrograd.network.written import given_params
from retrograd.record.events import Epoch, Intervention, Metrics
from retrograd.record.tree import digest
from retrograd.training.config.settings import TrainingSettings
from retrograd.training.loop.condition import Condition, Gauge
from retrograd.training.loop.divergence import SURE_ROWS, Compared, mean_of, rows_there
from retrograd.training.loop.guard import Guard, Rescue
from retrograd.training.loop.nonfinite import find_nonfinite
from retrograd.training.loop.stop import Stop, rules, watched
from retrograd.training.loop.stretches import dispatches, minibatches, stretches
from retrograd.update.plateau import Plateau, ReduceOnPlateau
from retrograd.update.step import Outcome, Stepper, TrainState

Watcher = Callable[[Epoch], None]
Scorer = Callable[[Variables], Metrics]


class Fitted(NamedTuple):
    """The best weights that were seen, the epochs, and why training stopped."""

    variables: Variables
    history: tuple[Epoch, ...]
    stop: Stop
    best: Epoch | None
    error: NonFiniteError | None = None
    interventions: tuple[Intervention, ...] = ()


class Trouble(NamedTuple):
    """Why training cannot go on like this: the name of the stop that it would be, and what was found."""

    reason: str
    found: Problem


@dataclass
class Loop:
    """Train on columns of rows until a rule says stop.

    `score` measures the weights at the end of an epoch; `watchers` are told of every epoch; `asked_to_stop` is asked
    between dispatches. Small steps go many into a dispatch, several epochs too where nothing is measured between.
    Between stretches, a group of epochs or some hundred steps of a long one, training is looked at; if it is healthy,
    that is the state to which the guard goes back.
    """

    stepper: Stepper
    settings: TrainingSettings
    columns: Mapping[str, Any]  # arrays, or images that are decoded when rows are taken
    score: Scorer
    held_out: bool  # whether `score` measures rows that do not train
    watchers: Sequence[Watcher] = ()
    asked_to_stop: Callable[[], str | None] = lambda: None  # the reason
    told: Callable[[Intervention], None] = lambda event: None  # what the guard does
    recorded: Sequence[Intervention] = ()  # of a run that is replayed: done again, at the same steps
    look: Callable[[Stepper, TrainState, Callable[[], Mapping[str, Any]]], object] | None = None  # at an epoch's end
    keep: Callable[[Callable[[], Variables], Epoch], None] | None = None  # the best weights, at an epoch's end
    valid_rows: int = 0  # how many rows `score` measures of those that are held out
    clock: Callable[[], float] = time.perf_counter
    history: list[Epoch] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.columns = in_precision(dict(self.columns), self.settings.precision)
        self.rows = len(next(iter(self.columns.values())))
        self.batch_size = self.settings.batch_rows(self.rows)
        self.rules = rules(self.settings, self.valid_rows)
        self.plateau = Plateau()
        self.guard = Guard(self.settings.guard, self.stepper.optimizer, self.told)
        self.gauge = Gauge(self.stepper)
        self.rate_cut = 1.0
        self.best: tuple[float, Variables, Epoch | None]

    def run(self, variables: Variables) -> Fitted:
        """Return the best weights from these first ones on."""
        precision = self.settings.precision
        with computing_in(precision):
            if precision == "float64":  # weights that were given keep their digits
                variables = variables._replace(params=given_params(self.stepper.network, variables.params))
            fitted = self._run(in_precision(variables, precision))
            return fitted._replace(variables=taken_out(fitted.variables, precision))

    def _run(self, variables: Variables) -> Fitted:
        train = self.stepper.start(variables, jax.random.key(self.settings.seed))
        self.best = (np.inf, copied(Variables(train.params, train.state)), None)
        self.first = variables
        self.begun = self.clock()
        self._prepare(train)
        epoch, stop = 0, self._asked(0)
        while stop is None and epoch < self.settings.epochs:
            group = range(epoch, min(epoch + self.group, self.settings.epochs))
            train, outcomes, trouble = self._epochs(train, group)
            epoch += len(outcomes)
            if outcomes:
                train, stop = self._close(train, outcomes, epoch)
            if trouble is not None:
                return self._given_up(trouble)
            stop = self._asked(epoch) or stop
        return self._fitted(stop or Stop("epochs", f"all {self.settings.epochs} epochs done"))

    def _asked(self, epoch: int) -> Stop | None:
        reason = self.asked_to_stop()
        when = f"in epoch {epoch}" if epoch else "before the first step"
        return Stop(reason, f"asked to stop {when}") if reason else None

    # ------------------------------------------------------------------------------------------------ a group of epochs

    def _prepare(self, train: TrainState) -> None:
        """Decide how many steps go into a dispatch and how many epochs between two measurements."""
        first = {name: column[: self.batch_size] for name, column in self.columns.items()}
        self.per_dispatch = self.stepper.steps_per_dispatch(train, first)
        if is_streamed(self.columns):
            self.per_dispatch = 1
        if self.per_dispatch > 1:  # minibatches are gathered on the device
            self.on_device = {name: jnp.asarray(column) for name, column in self.columns.items()}
        full, rest = self.order(0)
        self.steps = len(full) + (rest is not None)
        self.shares = np.array([*map(len, full), *([] if rest is None else [len(rest)])], float)  # rows of each step
        if any(getattr(objective.loss, "reduction", "mean") == "sum" for objective in self.stepper.objectives):
            self.shares[:] = 1.0  # sums are no means of rows
        free = 1 if self.held_out or rest is not None else self.per_dispatch // self.steps
        self.group = max(self.settings.evaluate_every, free)

    def _epochs(self, train: TrainState, epochs: range) -> tuple[TrainState, list[Outcome], Trouble | None]:
        """Run a group of epochs, fewer if asked to stop or if the guard gives up; return each one's outcomes."""
        healthy: list[Outcome] = []
        trouble = None
        given = dispatches([self.order(epoch) for epoch in epochs], self.per_dispatch)
        for stretch in stretches(given, len(epochs) * self.steps):
            train, outcome, trouble = self._healthy(train, stretch)
            healthy += [] if outcome is None else [outcome]
            if outcome is None or self.asked_to_stop():
                break
        return train, _cut(_joined(healthy), self.steps) if healthy else [], trouble

    def order(self, epoch: int) -> EpochOrder:
        """Return the row numbers of one epoch's minibatches."""
        settings = self.settings
        joins = any(node.layer.mixes_batch for node in self.stepper.network)
        return epoch_order(
            self.rows, self.batch_size, settings.seed, epoch, shuffle=settings.shuffle, join_single=joins
        )

    def _stretch(self, train: TrainState, stretch: Sequence[np.ndarray]) -> tuple[TrainState, Outcome]:
        """Run some dispatches, fewer if asked to stop; only now are their outcomes waited for."""
        outcomes: list[Outcome] = []
        for portion in self._portions(stretch):
            if isinstance(portion, np.ndarray):
                train, outcome = self.stepper.many(train, self.on_device, portion)
            else:
                train, outcome = self.stepper.single(train, portion)
            outcomes.append(outcome)
            if self.asked_to_stop():
                break
        return train, _joined(outcomes)

    def _portions(self, stretch: Sequence[np.ndarray]) -> Iterator[Any]:
        """Yield what each dispatch is given: row numbers, or a minibatch (decoded ahead, while a step runs)."""
        if is_streamed(self.columns):
            return ahead(self._batch, stretch)
        return (order if order.ndim == 2 else self._batch(order) for order in stretch)

    def _batch(self, chosen: np.ndarray) -> dict[str, Any]:
        return {name: column[chosen] for name, column in self.columns.items()}

    # --------------------------------------------------------------------------------------------- the end of an epoch

    def _close(self, train: TrainState, outcomes: list[Outcome], epoch: int) -> tuple[TrainState, Stop | None]:
        """Measure, tell the watchers, keep the best weights, ask the rules."""
        scores = self.score(Variables(train.params, train.state))
        first, done = epoch - len(outcomes) + 1, int(train.step) - sum(len(steps.loss) for steps in outcomes)
        stop = None
        for i, steps in enumerate(outcomes):
            last = i == len(outcomes) - 1
            done += len(steps.loss)
            told = self._epoch(first + i, done, steps, scores if last else {})
            told = dataclasses.replace(told, weights=digest(train.params)) if last else told
            if last and watched(told) < self.best[0]:
                self.best = (watched(told), copied(Variables(train.params, train.state)), told)
            self.history.append(told)
            for watcher in self.watchers:
                watcher(told)
            stop = stop or next((found for rule in self.rules if (found := rule(self.history))), None)
        self._show(train, epoch)
        rate = self.stepper.optimizer.learning_rate
        if isinstance(rate, ReduceOnPlateau):
            self.plateau = rate.observe(self.plateau, watched(self.history[-1]))
            train = train._replace(rate_factor=self._rate_factor())
        return train, stop

    def _show(self, train: TrainState, epoch: int) -> None:
        """Let the state be looked at, with the rows of the next step, and the best weights be kept."""
        if self.look is not None:
            self.look(self.stepper, train, lambda: self._batch(next(dispatches([self.order(epoch)], 1))))
        _, variables, best = self.best
        if self.keep is not None and best is not None:
            self.keep(lambda: taken_out(variables, self.settings.precision), best)

    def _rate_factor(self) -> jax.Array:
        return jnp.asarray(self.plateau.factor * self.rate_cut, jnp.float32)

    def _epoch(self, epoch: int, step: int, steps: Outcome, metrics: Metrics) -> Epoch:
        loss, seconds = mean_of(np.asarray(steps.loss), self.shares[: len(steps.loss)]), self.clock() - self.begun
        norm = None if steps.gradient_norm is None else float(np.mean(steps.gradient_norm))
        return Epoch(epoch, step, loss, metrics, float(steps.learning_rate[-1]), seconds, norm)

    # ------------------------------------------------------------------------------------------------------ the guard

    def _healthy(
        self, train: TrainState, stretch: Sequence[np.ndarray]
    ) -> tuple[TrainState, Outcome | None, Trouble | None]:
        """Run a stretch, again and more mildly where there is trouble; giving up leaves the state before it."""
        while True:
            train = self._as_recorded(train)
            before = copied(train)
            train, outcome = self._stretch(train, stretch)
            trouble = self._trouble(before, train, np.asarray(outcome.loss), stretch)
            if trouble is None:
                return train, outcome, None
            rescue = self._rescue(before, trouble, stretch)
            if rescue is None:
                return before, None, trouble
            train = self._milder(before, rescue)

    def _trouble(
        self, before: TrainState, after: TrainState, losses: np.ndarray, stretch: Sequence[np.ndarray]
    ) -> Trouble | None:
        """Return what is wrong with a stretch that has just run, if the guard is to act on it."""
        kept = after[:3] if self.guard.mode == "repair" else after.params  # who goes back needs sound moments too
        if not (np.isfinite(losses).all() and all_finite(kept)):
            batches = (self._batch(chosen) for chosen in minibatches(stretch))
            return Trouble("non-finite", find_nonfinite(self.stepper, copied(before), batches))
        rows = np.array([rows_there(self.columns, chosen) for chosen in islice(minibatches(stretch), len(losses))])
        found = self.guard.judged(losses, rows, int(before.step), self._compared(after, stretch))
        return Trouble("diverged", Problem("", found)) if found else None

    def _rescue(self, before: TrainState, trouble: Trouble, stretch: Sequence[np.ndarray]) -> Rescue | None:
        """Return what the guard does, if there is a sound state to go back to."""
        if not all_finite(before[:3]):
            return None
        step = int(before.step)
        rate = float(self.stepper.rate(step))
        return self.guard.rescue(step, trouble.found.message, rate, self._gauged(before, stretch))

    def _compared(self, train: TrainState, stretch: Sequence[np.ndarray]) -> Compared:
        """Return what the guard may ask: of the first weights on rows of a stretch, and of the weights after it."""
        first = train._replace(params=self.first.params, state=self.first.state)

        def loss(state: TrainState) -> Callable[[range], float]:
            return lambda steps: self.gauge(state, self._batches(stretch, steps)).loss

        return Compared(loss(first), loss(train), self._gauged(train, stretch))

    def _gauged(self, train: TrainState, stretch: Sequence[np.ndarray]) -> Callable[[], Condition]:
        """Return what measures a state on enough of a stretch's minibatches to tell something."""
        enough = range(-(-SURE_ROWS // self.batch_size))
        return lambda: self.gauge(train, self._batches(stretch, enough))

    def _batches(self, stretch: Sequence[np.ndarray], steps: range) -> Iterator[dict[str, Any]]:
        return (self._batch(chosen) for chosen in islice(minibatches(stretch), steps.start, steps.stop))

    def _milder(self, train: TrainState, rescue: Rescue) -> TrainState:
        self.rate_cut = rescue.rate_factor
        optimizer = rescue.optimizer(self.guard.own)
        if optimizer != self.stepper.optimizer:
            self.stepper = self.stepper.with_optimizer(optimizer)
        return train._replace(rate_factor=self._rate_factor())

    def _as_recorded(self, train: TrainState) -> TrainState:
        """Return the state with what the guard of a run that is replayed did at this step; its last try held."""
        here = [event for event in self.recorded if event.step == int(train.step)]
        return self._milder(train, Rescue(here[-1].rate_factor, here[-1].clip_global_norm)) if here else train

    def _given_up(self, trouble: Trouble) -> Fitted:
        """Return the run that trouble has ended; values that are not finite are an error too."""
        kept = f"the weights of epoch {self.best[2].epoch} are kept" if self.best[2] else "the first weights are kept"
        where, message, cure = trouble.found
        if trouble.reason != "non-finite":
            return self._fitted(Stop(trouble.reason, f"{message}; {kept}"))
        error = NonFiniteError(f"{message}; last good checkpoint: {kept}", where=where, cure=cure)
        return self._fitted(Stop(trouble.reason, str(error)), error)

    def _fitted(self, stop: Stop, error: NonFiniteError | None = None) -> Fitted:
        _, variables, best = self.best
        return Fitted(variables, tuple(self.history), stop, best, error, tuple(self.guard.interventions))


@jax.jit
def all_finite(tree: Any) -> jax.Array:
    """Return whether every number of a tree is finite."""
    return jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)] or [jnp.array(True)]))


@jax.jit
def copied(tree: Any) -> Any:
    """Return arrays of their own, which the next step does not consume."""
    return jax.tree.map(jnp.copy, tree)


def _joined(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcomes of dispatches as one, of NumPy arrays [steps]."""
    joined: Outcome = jax.tree.map(lambda *values: np.concatenate([np.atleast_1d(v) for v in values]), *outcomes)
    return joined


def _cut(outcome: Outcome, steps: int) -> list[Outcome]:
    """Return an outcome in parts of so many steps."""
    starts = range(0, len(outcome.loss), steps)
    return [jax.tree.map(lambda values, i=i: values[i : i + steps], outcome) for i in starts]
