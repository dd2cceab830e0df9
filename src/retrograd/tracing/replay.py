"""Replaying a run up to a step: the same seed, batches, keys and compiled programs, compared by digests."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.base.errors import UsageError
from retrograd.network.network import Variables
from retrograd.network.precision import computing_in, in_precision
from retrograd.record.events import Intervention, Metrics
from retrograd.record.tree import digest
from retrograd.tracing.look import Looker, Stepped, keep_in_block, look_at
from retrograd.tracing.source import Source
from retrograd.training.loop.course import Course
from retrograd.training.loop.guarded import copied
from retrograd.training.loop.loop import Loop
from retrograd.training.prepare import Prepared
from retrograd.update.optimizer import Optimizer
from retrograd.update.plateau import ReduceOnPlateau
from retrograd.update.step import Stepper, TrainState

Batch = dict[str, np.ndarray]
Watch = Callable[[Stepper, Any], Any]  # wraps a program of a stepper in one that reports its calls


class Dispatch(NamedTuple):
    """One call of a compiled program of the run: a batch, or columns and the row numbers of many minibatches."""

    columns: Mapping[str, Any]
    order: np.ndarray | None
    at: int  # index of the step within it, from 0


class Reached(NamedTuple):
    """The dispatch of a run that contains a step: the state before it, its arguments, the weights after it.

    stepper: the stepper used, with the guard's changes. digests: of the weights, by step, wherever the run
    recorded one.
    """

    stepper: Stepper
    before: TrainState
    dispatch: Dispatch
    params: dict[str, Any]
    digests: dict[int, str]

    @property
    def batch(self) -> Batch:
        """The rows of the step."""
        columns, order, at = self.dispatch
        chosen = slice(None) if order is None else order[at]
        return {name: np.asarray(column)[chosen] for name, column in columns.items()}


class Replayed(NamedTuple):
    """A step of the run, repeated by the run's program with more outputs.

    same: whether that program reaches the same bits, so that its numbers are those of the run.
    """

    before: TrainState
    looked: Stepped | None
    weights: str  # digest after the step
    same: bool


@dataclasses.dataclass(frozen=True)
class Replay:
    """The result of replaying a run up to a step.

    recorded and replayed: digests of the weights by step, from the run and from the replay. weights: the digest after
    the step, if the run's program took it. same: whether the program with more outputs reached the same bits.
    interventions: the guard's interventions before the step, repeated by the replay.
    """

    step: int
    recorded: Mapping[int, str]
    replayed: Mapping[int, str]
    weights: str | None
    same: bool
    differing: tuple[str, ...] = ()
    interventions: tuple[Intervention, ...] = ()

    @property
    def is_exact(self) -> bool:
        """Whether the replay reached the run's weights, bit for bit, at and around the step."""
        after = any(step >= self.step for step in self.replayed)
        return after and self.same and all(self.recorded[step] == digest for step, digest in self.replayed.items())

    def plain(self) -> dict[str, Any]:
        """Return the result as plain values for JSON."""
        recorded = {str(step): self.recorded[step] for step in self.replayed}
        replayed = {str(step): digest for step, digest in self.replayed.items()}
        repeated = [{"step": event.step, "action": event.action} for event in self.interventions]
        return {"exact": self.is_exact, "weights": self.weights, "recorded": recorded, "found": replayed,
                "interventions": repeated}  # fmt: skip

    def sentences(self) -> list[str]:
        """Return sentences about the comparison and its result."""
        wrong = [step for step, digest in self.replayed.items() if self.recorded[step] != digest]
        steps = ", ".join(map(str, list(self.replayed)[-3:]))
        lines = [f"as the guard did before step {event.step + 1}: {event.action}" for event in self.interventions]
        if self.weights:
            recorded = "" if self.replayed.get(self.step) != self.weights else ", as the run recorded"
            lines.append(f"weights after step {self.step}: sha256 {self.weights}{recorded}")
        if wrong:
            lines.append(
                f"the replay differs from the run: after step {wrong[0]} the weights' digest is not the recorded one"
                + (f" ({'; '.join(self.differing)})" if self.differing else "; another machine may round differently")
            )
        elif not self.same:
            lines.append("the program that returns these numbers rounds differently: their last bits are not the run's")
        elif self.is_exact:
            lines.append(f"replayed bit for bit: the weights after step {steps} have the digests that the run recorded")
        else:
            lines.append("the run recorded no digest at or after this step: nothing to compare with")
        return lines


def verdict_on(step: int, source: Source, reached: Reached, replayed: Replayed) -> Replay:
    """Return the result of replaying a run's step."""
    weights = None if replayed.looked is None else replayed.weights
    before = tuple({event.step: event for event in source.interventions if event.step < step}.values())
    return Replay(step, source.recorded, reached.digests, weights, replayed.same, source.differing, before)


def reach(source: Source, step: int) -> Reached:
    """Retrain from the seed to the dispatch that contains a step, and on to the next step with a recorded digest.

    The guard's interventions are repeated at the same steps; steps that it undid are not.
    """
    prepared = source.prepared
    catch = _Catch(step, source.recorded)
    config, dataset = prepared.config, prepared.dataset
    settings = dataclasses.replace(
        config.training, early_stopping=None, goal=None, convergence=None, time_limit=None, guard="off"
    )  # the run reached this point
    first = prepared.first()
    fitted = Loop(
        Watched(prepared.stepper(), catch.around),
        settings,
        dataset.train,
        score=_score(prepared),
        held_out=dataset.valid is not None,
        valid_rows=dataset.rows.get("valid", 0),
        asked_to_stop=lambda: "reached" if catch.is_done else None,
        recorded=source.interventions,
    ).run(first)
    if catch.found is None:
        raise fitted.error or UsageError(f"the run ends before step {step}")
    return catch.found._replace(digests=catch.digests)


def replay(prepared: Prepared, reached: Reached, looker: Looker | None) -> Replayed:
    """Repeat the step, with all numbers of `looker` as additional outputs of the run's program."""
    stepper, (columns, order, at) = reached.stepper, reached.dispatch
    with computing_in(prepared.config.training.precision):
        if order is None:
            end, looked = jax.jit(lambda train, batch: look_at(stepper, looker, train, batch))(reached.before, columns)
        else:
            end, looked = jax.jit(keep_in_block(stepper, looker))(reached.before, columns, order, at)
    same = digest(end.params) == digest(reached.params)
    return Replayed(looked.before, looked.looked, digest(looked.params), same)


def first_state(source: Source) -> tuple[TrainState, Batch]:
    """Return the state before the first step of a configuration, and the rows of that step, without training."""
    prepared, settings = source.prepared, source.prepared.config.training
    with computing_in(settings.precision):
        first = in_precision(prepared.first(), settings.precision)
        state = source.stepper.start(first, jax.random.key(settings.seed))
    full, rest = Course(source.stepper, settings, prepared.dataset.train, held_out=False).order(0)
    chosen = full[0] if len(full) else rest
    return state, {name: column[chosen] for name, column in prepared.dataset.train.items()}


@dataclasses.dataclass
class _Catch:
    """Wraps a run's compiled programs and records the dispatch that contains one of their steps."""

    step: int
    recorded: Mapping[int, str]
    done: int = 0
    found: Reached | None = None
    digests: dict[int, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self.until = min((step for step in self.recorded if step >= self.step), default=self.step)

    @property
    def is_done(self) -> bool:
        """Whether the step was reached and the digest after it compared."""
        return self.found is not None and self.done >= self.until

    def around(self, stepper: Stepper, program: Any) -> Any:
        """Return a program that does the same and reports its calls."""

        def dispatch(train: TrainState, columns: Mapping[str, Any], *order: np.ndarray) -> Any:
            steps = len(order[0]) if order else 1
            done = int(train.step)
            holds = done < self.step <= done + steps
            before = copied(train) if holds else None
            after, outcome = program(train, columns, *order)
            if before is not None:
                at = Dispatch(columns, order[0] if order else None, self.step - done - 1)
                self.found = Reached(stepper, before, at, copied(after.params), {})
            self.done = done + steps
            if self.done in self.recorded:
                self.digests[self.done] = digest(after.params)
            return after, outcome

        return dispatch


def _score(prepared: Prepared) -> Callable[[Variables], Metrics]:
    """Return the run's scorer if the learning rate depends on it, else one that measures nothing."""
    if not isinstance(prepared.config.optimizer.learning_rate, ReduceOnPlateau):
        return _no_score
    evaluator = prepared.evaluator()
    part = prepared.measured_part
    return lambda variables: {part: evaluator.scores(variables, getattr(prepared.dataset, part))}


def _no_score(variables: Variables) -> Metrics:
    return {}


def stored_in(prepared: Prepared) -> Literal["float64", "float32"]:
    """Return the precision in which a run stores its weights; a bfloat16 run stores float32."""
    return "float64" if prepared.config.training.precision == "float64" else "float32"


def cast_to(tree: Any, dtype: str) -> Any:
    """Return a tree with its floating-point leaves in a precision, as NumPy arrays, which JAX does not round."""
    return jax.tree.map(
        lambda leaf: np.asarray(leaf).astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, tree
    )


class Watched(Stepper):
    """A stepper whose compiled programs are wrapped in `watch`, also after a guard has changed the optimizer."""

    def __init__(self, stepper: Stepper, watch: Watch, gradient_norm: bool = False) -> None:
        norm = gradient_norm or stepper.gradient_norm
        super().__init__(
            stepper.network,
            stepper.objectives,
            stepper.optimizer,
            stepper.penalties,
            stepper.total_steps,
            norm,
            stepper.precision,
            stepper.freeze,
        )
        self.watch = watch
        self.many = watch(self, self.many)
        self.single = watch(self, self.single)

    def with_optimizer(self, optimizer: Optimizer) -> Stepper:
        """Return the watched stepper with another schedule, clipping or decay of the same optimizer."""
        return Watched(super().with_optimizer(optimizer), self.watch)
