"""The only training loop: minibatches in, epochs out, the best weights kept, one named reason to stop."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.base.errors import NonFiniteError
from retrograd.data.batches import EpochOrder, epoch_order
from retrograd.data.prefetch import ahead, is_streamed
from retrograd.network.network import Variables
from retrograd.network.precision import computing_in, in_precision, taken_out
from retrograd.record.events import Epoch, Intervention, Metrics
from retrograd.record.tree import digest
from retrograd.train.guard import Rescue, diverged, rescues
from retrograd.train.nonfinite import find_nonfinite
from retrograd.train.settings import TrainingSettings
from retrograd.train.stop import Stop, rules, watched
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
    """Why training cannot go on like this, and how it would stop."""

    stop: Stop
    reason: str
    error: NonFiniteError | None = None


@dataclass
class Loop:
    """Train on columns of rows until a rule says stop.

    `score` measures the weights at the end of an epoch; `watchers` are told of every epoch; `asked_to_stop` is asked
    between dispatches. Small steps go many into a dispatch, several epochs too where nothing is measured between.
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
    look: Callable[[TrainState, Callable[[], Mapping[str, Any]]], None] | None = None  # at an epoch's end
    clock: Callable[[], float] = time.perf_counter
    history: list[Epoch] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.columns = in_precision(dict(self.columns), self.settings.precision)
        self.rows = len(next(iter(self.columns.values())))
        given = self.settings.batch_size
        self.batch_size = self.rows if given == "all" else min(int(given), self.rows)
        self.rules = rules(self.settings)
        self.plateau = Plateau()
        self.rescues, self.rate_cut = rescues(), 1.0
        self.interventions: list[Intervention] = []
        self.first_loss = np.nan
        self.best: tuple[float, Variables, Epoch | None]

    def run(self, variables: Variables) -> Fitted:
        """Return the best weights from these first ones on."""
        precision = self.settings.precision
        with computing_in(precision):
            fitted = self._run(in_precision(variables, precision))
            return fitted._replace(variables=taken_out(fitted.variables, precision))

    def _run(self, variables: Variables) -> Fitted:
        train = self.stepper.start(variables, jax.random.key(self.settings.seed))
        self.best = (np.inf, copied(Variables(train.params, train.state)), None)
        self.begun = self.clock()
        self._prepare(train)
        epoch, stop = 0, self._asked(0)
        while stop is None and epoch < self.settings.epochs:
            group = range(epoch, min(epoch + self.group, self.settings.epochs))
            train = self._as_recorded(train)
            before = copied(train)
            train, outcomes = self._epochs(train, group)
            trouble = self._trouble(before, train, outcomes, group)
            if trouble is not None:
                rescued = self._rescued(before, trouble)
                if rescued is None:
                    return self._fitted(trouble.stop, trouble.error)
                train = rescued
                continue
            epoch += len(outcomes)
            train, stop = self._close(train, outcomes, epoch)
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
        free = 1 if self.held_out or rest is not None else self.per_dispatch // self.steps
        self.group = max(self.settings.evaluate_every, free)

    def _epochs(self, train: TrainState, epochs: range) -> tuple[TrainState, list[list[Outcome]]]:
        """Run a group of epochs, fewer if asked to stop; return each one's outcomes as NumPy, one value a step."""
        outcomes: list[Outcome] = []
        for works in self._grouped(epochs):
            orders = _chunks(np.concatenate([work.full for work in works]), self.per_dispatch)
            for portion in self._portions(orders):
                train, outcome = self._dispatch(train, portion)
                outcomes.append(outcome)
                if self.asked_to_stop():
                    return train, self._by_epoch(outcomes)
            if works[-1].rest is not None:
                train, outcome = self.stepper.single(train, self._batch(works[-1].rest))
                outcomes.append(outcome)
        return train, self._by_epoch(outcomes)

    def _grouped(self, epochs: range) -> Iterator[list[EpochOrder]]:
        """Yield what can go into common dispatches: whole epochs, or one where a rest ends each."""
        works = [self.order(epoch) for epoch in epochs]
        if all(work.rest is None for work in works):
            yield works
        else:
            yield from ([work] for work in works)

    def order(self, epoch: int) -> EpochOrder:
        """Return the row numbers of one epoch's minibatches."""
        settings = self.settings
        joins = any(node.layer.mixes_batch for node in self.stepper.network)
        return epoch_order(
            self.rows, self.batch_size, settings.seed, epoch, shuffle=settings.shuffle, join_single=joins
        )

    def _portions(self, orders: Iterator[np.ndarray]) -> Iterator[Any]:
        """Yield what each dispatch is given: row numbers, or a minibatch (decoded ahead, while a step runs)."""
        if self.per_dispatch > 1:
            return orders
        firsts = (order[0] for order in orders)
        return ahead(self._batch, firsts) if is_streamed(self.columns) else map(self._batch, firsts)

    def _dispatch(self, train: TrainState, portion: Any) -> tuple[TrainState, Outcome]:
        if self.per_dispatch > 1:
            return self.stepper.many(train, self.on_device, portion)
        return self.stepper.single(train, portion)

    def _batch(self, chosen: np.ndarray) -> dict[str, Any]:
        return {name: column[chosen] for name, column in self.columns.items()}

    def _by_epoch(self, outcomes: list[Outcome]) -> list[list[Outcome]]:
        """Turn the outcomes of dispatches (fetched only now) into lists of steps, an epoch each."""
        steps: list[Outcome] = []
        for outcome in outcomes:
            loss, rate = np.atleast_1d(np.asarray(outcome.loss)), np.atleast_1d(np.asarray(outcome.learning_rate))
            norm = outcome.gradient_norm
            norms = [None] * len(loss) if norm is None else np.atleast_1d(np.asarray(norm))
            steps += map(Outcome, loss, rate, norms)
        return [steps[i : i + self.steps] for i in range(0, len(steps), self.steps)]

    # --------------------------------------------------------------------------------------------- the end of an epoch

    def _close(self, train: TrainState, outcomes: list[list[Outcome]], epoch: int) -> tuple[TrainState, Stop | None]:
        """Measure, tell the watchers, keep the best weights, ask the rules."""
        scores = self.score(Variables(train.params, train.state))
        first, done, stop = epoch - len(outcomes) + 1, int(train.step) - sum(map(len, outcomes)), None
        for i, steps in enumerate(outcomes):
            last = i == len(outcomes) - 1
            done += len(steps)
            told = self._epoch(first + i, done, steps, scores if last else {})
            told = dataclasses.replace(told, weights=digest(train.params)) if last else told
            if last and watched(told) < self.best[0]:
                self.best = (watched(told), copied(Variables(train.params, train.state)), told)
            self.history.append(told)
            for watcher in self.watchers:
                watcher(told)
            stop = stop or next((found for rule in self.rules if (found := rule(self.history))), None)
        if self.look is not None:
            full, rest = self.order(epoch)
            self.look(train, lambda: self._batch(full[0] if len(full) or rest is None else rest))
        rate = self.stepper.optimizer.learning_rate
        if isinstance(rate, ReduceOnPlateau):
            self.plateau = rate.observe(self.plateau, watched(self.history[-1]))
            train = train._replace(rate_factor=self._rate_factor())
        return train, stop

    def _rate_factor(self) -> jax.Array:
        return jnp.asarray(self.plateau.factor * self.rate_cut, jnp.float32)

    def _epoch(self, epoch: int, step: int, steps: list[Outcome], metrics: Metrics) -> Epoch:
        loss = float(np.mean([step.loss for step in steps]))
        norm = float(np.mean([step.gradient_norm for step in steps])) if self.stepper.gradient_norm else None
        return Epoch(epoch, step, loss, metrics, float(steps[-1].learning_rate), self.clock() - self.begun, norm)

    # ------------------------------------------------------------------------------------------------------ the guard

    def _trouble(
        self, before: TrainState, after: TrainState, outcomes: list[list[Outcome]], epochs: range
    ) -> Trouble | None:
        """Return what is wrong with a group of epochs that has just run, if the guard is to act on it."""
        losses = np.array([step.loss for steps in outcomes for step in steps])
        self.first_loss = losses[0] if np.isnan(self.first_loss) and len(losses) else self.first_loss
        if not (np.isfinite(losses).all() and all_finite(after.params)):
            return self._broken(before, epochs)
        grown = None if self.settings.guard == "off" else diverged(losses.tolist(), float(self.first_loss))
        if grown is None:
            return None
        if self.settings.guard == "warn":
            self._tell(int(before.step), grown, "nothing: guard is `warn`", "training.guard: repair")
            return None
        return Trouble(Stop("diverged", f"{grown}; {self._kept()}"), grown)

    def _broken(self, before: TrainState, epochs: range) -> Trouble:
        """Name the first value that is not finite in a group of epochs."""
        batches = (self._batch(chosen) for works in self._grouped(epochs) for work in works
                   for chosen in [*work.full, *([] if work.rest is None else [work.rest])])  # fmt: skip
        error = find_nonfinite(self.stepper, copied(before), batches, f"last good checkpoint: {self._kept()}")
        return Trouble(Stop("non-finite", str(error)), error.problems[0].message.partition(";")[0], error)

    def _kept(self) -> str:
        kept = self.best[2]
        return f"the weights of epoch {kept.epoch} are kept" if kept else "the first weights are kept"

    def _rescued(self, before: TrainState, trouble: Trouble) -> TrainState | None:
        """Return the last healthy state with the mildest change that has not been tried; None to give up."""
        rescue = next(self.rescues, None) if self.settings.guard == "repair" else None
        if rescue is None or not all_finite(before.params):
            return None
        own, rate = self.stepper.optimizer, float(self.stepper.rate(before.step))
        self._tell(int(before.step), trouble.reason, rescue.action(rate), rescue.permanent(own, rate), rescue)
        return self._milder(before, rescue)

    def _milder(self, train: TrainState, rescue: Rescue) -> TrainState:
        own = self.stepper.optimizer
        self.rate_cut = rescue.rate_factor
        if rescue.optimizer(own) != own:
            self.stepper = self.stepper.with_optimizer(rescue.optimizer(own))
        return train._replace(rate_factor=self._rate_factor())

    def _as_recorded(self, train: TrainState) -> TrainState:
        """Return the state with what the guard of a run that is replayed did at this step; its last try held."""
        here = [event for event in self.recorded if event.step == int(train.step)]
        return self._milder(train, Rescue(here[-1].rate_factor, here[-1].clip_global_norm)) if here else train

    def _tell(self, step: int, reason: str, action: str, permanent: str, rescue: Rescue | None = None) -> None:
        event = Intervention(step, reason, action, permanent, *(rescue or ()))
        if event not in self.interventions:
            self.interventions.append(event)
            self.told(event)

    def _fitted(self, stop: Stop, error: NonFiniteError | None = None) -> Fitted:
        return Fitted(self.best[1], tuple(self.history), stop, self.best[2], error, tuple(self.interventions))


@jax.jit
def all_finite(tree: Any) -> jax.Array:
    """Return whether every number of a tree is finite."""
    return jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)] or [jnp.array(True)]))


@jax.jit
def copied(tree: Any) -> Any:
    """Return arrays of their own, which the next step does not consume."""
    return jax.tree.map(jnp.copy, tree)


def _chunks(order: np.ndarray, size: int) -> Iterator[np.ndarray]:
    yield from (order[i : i + size] for i in range(0, len(order), size))
