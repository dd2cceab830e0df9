"""The only training loop: minibatches in, epochs out, the best weights kept, and one named reason to stop."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from retrograd.base.errors import NonFiniteError
from retrograd.distributed.team import ALONE, Team
from retrograd.network.decimals import given_params
from retrograd.network.network import Variables
from retrograd.network.precision import computing_in, in_precision, taken_out
from retrograd.record.events import Epoch, Intervention, Metrics, is_recorded
from retrograd.record.tree import digest, unflatten
from retrograd.training.config.settings import TrainingSettings
from retrograd.training.loop.course import Course
from retrograd.training.loop.divergence import mean_of
from retrograd.training.loop.guard import Guard, Rescue
from retrograd.training.loop.guarded import GuardedSteps, Rates, Trouble, copied, joined
from retrograd.training.loop.pulse import Pulse
from retrograd.training.loop.saved import Saved, arrays_of
from retrograd.training.loop.stop import Stop, rules, watched
from retrograd.update.plateau import Plateau, ReduceOnPlateau
from retrograd.update.step import Outcome, Stepper, TrainState

Watcher = Callable[[Epoch], None]
Scorer = Callable[[Variables], Metrics]
Moment = Literal["between", "interrupted", "ended"]  # when a run's state is saved: between two stretches, or finally


class Fitted(NamedTuple):
    """The best weights, the epochs, and why training stopped."""

    variables: Variables
    history: tuple[Epoch, ...]
    stop: Stop
    best: Epoch | None
    error: NonFiniteError | None = None
    interventions: tuple[Intervention, ...] = ()
    averaged: Variables | None = None  # over the steps, if configured


class Best(NamedTuple):
    """The weights with the lowest monitored loss so far; before the first epoch, the initial ones."""

    watched: float
    variables: Variables
    epoch: Epoch | None = None


@dataclass
class Loop:
    """Train on columns of rows until a rule ends training.

    `score` measures the weights at the end of an epoch; `watchers` see every epoch; `asked_to_stop` is polled between
    dispatches. `Course` decides what is dispatched, `GuardedSteps` whether it was healthy.
    """

    stepper: Stepper
    settings: TrainingSettings
    columns: Mapping[str, Any]  # arrays, or images that are decoded on access
    score: Scorer
    held_out: bool  # whether `score` measures held-out rows
    watchers: Sequence[Watcher] = ()
    asked_to_stop: Callable[[], str | None] = lambda: None  # returns the reason
    announce: Callable[[Intervention], None] = lambda event: None  # what the guard does
    recorded: Sequence[Intervention] = ()  # of a run being replayed: repeated at the same steps
    look: Callable[[Stepper, TrainState, Callable[[], Mapping[str, Any]]], object] | None = None  # at an epoch's end
    keep: Callable[[Callable[[], Variables], Epoch], None] | None = None  # the best weights, at an epoch's end
    save: Callable[[Callable[[], Saved], Moment], None] | None = None  # the state, whenever a process could resume it
    pulse: Pulse | None = None  # is notified of every dispatch
    record: Watcher | None = None  # records epochs; of a very long run ever fewer (`is_recorded`), as `history` does
    valid_rows: int = 0  # number of held-out rows that `score` measures
    clock: Callable[[], float] = time.perf_counter
    team: Team = ALONE
    history: list[Epoch] = field(default_factory=list, init=False)
    latest: list[Epoch] = field(default_factory=list, init=False)  # the last two epochs, recorded or not
    best: Best = field(init=False)
    averaged: Variables | None = field(default=None, init=False)
    outcomes: list[Outcome] = field(default_factory=list, init=False)  # of an unfinished group of epochs
    is_interrupted: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.course = Course(self.stepper, self.settings, self.columns, self.held_out, self.team)
        self.guard = Guard(self.settings.guard, self.stepper.optimizer, self.announce)
        self.rates = Rates(Plateau())
        self.steps = GuardedSteps(
            self.stepper,
            self.course,
            self.guard,
            self.rates,
            self.recorded,
            self.asked_to_stop,
            self._interrupted,
            self.pulse,
            self.team,
        )
        self.rules = rules(self.settings, self.valid_rows)

    def run(self, variables: Variables, saved: Saved | None = None) -> Fitted:
        """Train from the initial weights, or from the saved state of a run, and return the best weights."""
        precision = self.settings.precision
        with computing_in(precision):
            if precision == "float64":  # weights given as decimals keep all their digits
                variables = variables._replace(params=given_params(self.stepper.network, variables.params))
            fitted = self._run(in_precision(variables, precision), saved)
            averaged = None if fitted.averaged is None else taken_out(fitted.averaged, precision)
            return fitted._replace(variables=taken_out(fitted.variables, precision), averaged=averaged)

    def _run(self, variables: Variables, saved: Saved | None) -> Fitted:
        self._compare(variables, saved)
        train = self.stepper.start(variables, jax.random.key(self.settings.seed))
        self.begun = self.clock()
        self.course.begin(self.stepper, train)
        train = self.team.spread(train)
        self.team.meet("before the first step")
        self.best = Best(np.inf, copied(Variables(train.params, train.state)))
        self.steps.first = variables
        stop: Stop | None = None
        if saved is not None:
            train, stop = self._restored(train, saved)
        self._note_average(train)
        epoch = (int(train.step) - self._pending_steps()) // self.course.steps
        stop = self._asked(epoch) or stop
        while stop is None and epoch < self.settings.epochs:
            trouble = None
            group = range(epoch, min(epoch + self.course.group, self.settings.epochs))
            for stretch in self.course.stretches(group, self._pending_steps()):
                train, outcome, trouble = self.steps.run(train, stretch)
                self.outcomes += [] if outcome is None else [outcome]
                if outcome is None or self.asked_to_stop():
                    break
                self._save(train, "between")
            if self.asked_to_stop():
                self._interrupted(train)
            if self.outcomes:
                epochs = cut(joined(self.outcomes), self.course.steps)
                self.outcomes = []
                epoch += len(epochs)
                stop = self._close(train, epochs, epoch)
                train = self._at_plateau(train)
            if trouble is not None:
                return self._given_up(trouble)
            stop = self._asked(epoch) or stop
        stop = stop or Stop("epochs", f"all {self.settings.epochs} epochs done")
        if self.asked_to_stop():
            self._interrupted(train)
        elif stop.reason == "epochs":
            self._save(train, "ended")
        return self._fitted(stop)

    def _pending_steps(self) -> int:
        """The number of steps of the unfinished group of epochs."""
        return sum(len(steps.loss) for steps in self.outcomes)

    def _compare(self, variables: Variables, saved: Saved | None) -> None:
        """Wait for the other processes; one that starts or resumes with different weights is named and ends all."""
        if self.team.size == 1:
            return
        digests = {"parameters": digest(variables.params), "running averages": digest(variables.state)}
        if saved is not None:
            digests["checkpoint"] = digest(unflatten(saved.arrays.items()))
        self.team.same("initial weights (digest)", digests)

    def _asked(self, epoch: int) -> Stop | None:
        reason = self.asked_to_stop()
        when = f"in epoch {epoch}" if epoch else "before the first step"
        return Stop(reason, f"asked to stop {when}") if reason else None

    # --------------------------------------------------------------------------------------------- the end of an epoch

    def _close(self, train: TrainState, outcomes: list[Outcome], epoch: int) -> Stop | None:
        """Close a group of epochs: score it, notify the watchers, keep the best weights, apply the stopping rules."""
        self._note_average(train)
        self.course.rests()
        scores = self.score(Variables(train.params, train.state))
        step, stop = int(train.step) - sum(len(steps.loss) for steps in outcomes), None
        for number, steps in enumerate(outcomes, epoch - len(outcomes) + 1):
            step += len(steps.loss)
            event = self._epoch(number, step, steps, scores if number == epoch else {})
            if number == epoch:
                event = dataclasses.replace(event, weights=digest(self.team.whole(train.params)))
                if watched(event) < self.best.watched:
                    self.best = Best(watched(event), copied(Variables(train.params, train.state)), event)
            self.latest = [*self.latest[-1:], event]
            if self.record is None or self._needs_history or is_recorded(number):
                self._record(event)
            for watcher in self.watchers:
                watcher(event)
            if self.pulse is not None:
                self.pulse.stands(step)
            stop = stop or self._ruled()
        if self.look is not None:
            self.look(self.steps.stepper.alone, self.team.whole(train), lambda: self.course.first_batch(epoch))
        if self.keep is not None and self.best.epoch is not None:
            self.keep(lambda: taken_out(self.team.whole(self.best.variables), self.settings.precision), self.best.epoch)
        return stop

    @property
    def _needs_history(self) -> bool:
        """Whether a stopping rule or the learning rate depends on every epoch: a resumed run replays them."""
        waits = self.settings.early_stopping or self.settings.convergence
        return bool(waits) or isinstance(self.stepper.optimizer.learning_rate, ReduceOnPlateau)

    def _record(self, event: Epoch) -> None:
        self.history.append(event)
        if self.record is not None:
            self.record(event)

    def _note_average(self, train: TrainState) -> None:
        """Copy the averaged weights, if any: the next step reuses their memory."""
        self.averaged = copied(Variables(*train.average)) if train.average else None

    def _ruled(self) -> Stop | None:
        """Return the verdict of the first rule that ends training after the last epoch."""
        return next((stop for rule in self.rules if (stop := rule(self.latest))), None)

    def _epoch(self, epoch: int, step: int, steps: Outcome, metrics: Metrics) -> Epoch:
        loss, seconds = (
            mean_of(np.asarray(steps.loss), self.course.shares[: len(steps.loss)]),
            self.clock() - self.begun,
        )
        norm = None if steps.gradient_norm is None else float(np.mean(steps.gradient_norm))
        return Epoch(epoch, step, loss, metrics, float(steps.learning_rate[-1]), seconds, norm)

    def _at_plateau(self, train: TrainState) -> TrainState:
        """Return the state with the learning rate set by a plateau schedule."""
        return train._replace(rate_factor=self.team.spread(self.rates.factor)) if self._observe_plateau() else train

    def _observe_plateau(self) -> bool:
        """Pass the last epoch to the plateau schedule, if there is one."""
        rate = self.stepper.optimizer.learning_rate
        if isinstance(rate, ReduceOnPlateau):
            self.rates.plateau = rate.observe(self.rates.plateau, watched(self.latest[-1]))
        return isinstance(rate, ReduceOnPlateau)

    # ------------------------------------------------------------------------------------ the state of a run, to resume

    def _save(self, train: TrainState, moment: Moment) -> None:
        """Offer the run's state for saving; nothing after an interrupt is saved."""
        if self.save is not None and not self.is_interrupted:
            self.save(lambda: self._place(train), moment)

    def _interrupted(self, whole: TrainState) -> None:
        """Save the state after the last complete stretch."""
        self._save(whole, "interrupted")
        self.is_interrupted = True

    def _place(self, train: TrainState) -> Saved:
        best = None if self.best.epoch is None else self.best.variables
        arrays, slices = arrays_of(train, best, joined(self.outcomes) if self.outcomes else None)
        seconds = self.clock() - self.begun
        interventions = tuple(self.guard.interventions)
        return Saved(arrays, self.guard.memory, seconds, tuple(self.history), interventions, slices, self.best.epoch)

    def _restored(self, first: TrainState, saved: Saved) -> tuple[TrainState, Stop | None]:
        """Return the state of a saved run, and the verdict of the stopping rules on its replayed history.

        The history also restores the plateau and the best epoch. There is a verdict if the run was interrupted during
        its last evaluation.
        """
        best = saved.best_epoch
        stop: Stop | None = None
        for event in saved.history:
            self.history.append(event)
            self.latest = [*self.latest[-1:], event]
            stop = stop or self._ruled()
            if event.weights is not None:  # measured
                self._observe_plateau()
        if best is not None:
            self.best = Best(watched(best), self.team.spread(saved.best(self.best.variables)), best)
        self.guard.restore(saved.memory, saved.interventions)
        train = self.team.spread(saved.train(first))
        if saved.interventions:
            last = saved.interventions[-1]
            train = self.steps.milder(train, Rescue(last.rate_factor, last.clip_global_norm))
        self.outcomes = saved.outcomes()
        self.begun -= saved.seconds
        return train, stop

    # ------------------------------------------------------------------------------------------------- the end of a run

    def _given_up(self, trouble: Trouble) -> Fitted:
        """Return the outcome of a run ended by trouble; for non-finite values, with an error."""
        best = self.best.epoch
        weights = f"kept the weights of epoch {best.epoch}" if best else "kept the initial weights"
        where, message, cure = trouble.problem
        if trouble.reason != "non-finite":
            return self._fitted(Stop(trouble.reason, f"{message}; {weights}"))
        error = NonFiniteError(f"{message}; {weights}", where=where, cure=cure)
        return self._fitted(Stop(trouble.reason, str(error)), error)

    def _fitted(self, stop: Stop, error: NonFiniteError | None = None) -> Fitted:
        best = self.best
        if self.latest and self.history[-1] != self.latest[-1]:
            self._record(self.latest[-1])
        return Fitted(
            self.team.whole(best.variables),
            tuple(self.history),
            stop,
            best.epoch,
            error,
            tuple(self.guard.interventions),
            None if self.averaged is None else self.team.whole(self.averaged),
        )


def cut(outcome: Outcome, steps: int) -> list[Outcome]:
    """Split an outcome into parts of `steps` steps."""
    starts = range(0, len(outcome.loss), steps)
    return [jax.tree.map(lambda values, i=i: values[i : i + steps], outcome) for i in starts]
