"""Going back to a step of a run: the same seed, batches, keys and compiled programs, up to the step and a digest."""

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
Watch = Callable[[Stepper, Any], Any]  # gives, for a program of a stepper, one that does the same and tells of it


class Dispatch(NamedTuple):
    """One call of a compiled program of the run: a batch, or columns and the row numbers of many minibatches."""

    columns: Mapping[str, Any]
    order: np.ndarray | None
    at: int  # which of its steps is meant, from 0


class Reached(NamedTuple):
    """The dispatch of a run that holds a step: the state before it, what it was given, the weights after it.

    stepper: the step that it took, with what the guard had changed. digests: of the weights, by step, wherever the run
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
    """A step of the run, taken again by the run's own program with more outputs.

    same: whether that program ends on the bits of the run's own, so that its numbers are the run's.
    """

    before: TrainState
    looked: Stepped | None
    weights: str  # digest after the step
    same: bool


@dataclasses.dataclass(frozen=True)
class Replay:
    """How a step of a run was found again.

    recorded and found: digests of the weights by step, from the run and from the replay. weights: the digest after
    the step, where the run's own program took it. same: whether the program with more outputs ended on the same bits.
    interventions: what the guard had done before the step, and the replay did again.
    """

    step: int
    recorded: Mapping[int, str]
    found: Mapping[int, str]
    weights: str | None
    same: bool
    differing: tuple[str, ...] = ()
    interventions: tuple[Intervention, ...] = ()

    @property
    def is_exact(self) -> bool:
        """Whether the replay reached the run's weights, bit for bit, at and around the step."""
        after = any(step >= self.step for step in self.found)
        return after and self.same and all(self.recorded[step] == digest for step, digest in self.found.items())

    def plain(self) -> dict[str, Any]:
        """Return what JSON can say of it."""
        recorded = {str(step): self.recorded[step] for step in self.found}
        replayed = {str(step): digest for step, digest in self.found.items()}
        again = [{"step": event.step, "action": event.action} for event in self.interventions]
        return {"exact": self.is_exact, "weights": self.weights, "recorded": recorded, "found": replayed,
                "interventions": again}  # fmt: skip

    def sentences(self) -> list[str]:
        """Return what was compared, and how it came out."""
        wrong = [step for step, digest in self.found.items() if self.recorded[step] != digest]
        steps = ", ".join(map(str, list(self.found)[-3:]))
        lines = [f"as the guard did before step {event.step + 1}: {event.action}" for event in self.interventions]
        if self.weights:
            recorded = "" if self.found.get(self.step) != self.weights else ", as the run recorded"
            lines.append(f"weights after step {self.step}: sha256 {self.weights}{recorded}")
        if wrong:
            lines.append(
                f"the replay is NOT the run: after step {wrong[0]} the weights have another digest than recorded"
                + (f" ({'; '.join(self.differing)})" if self.differing else "; another machine rounds otherwise")
            )
        elif not self.same:
            lines.append("the program with more outputs rounds otherwise: these are not the bits of the run")
        elif self.is_exact:
            lines.append(f"replayed bit for bit: the weights after step {steps} have the digests that the run recorded")
        else:
            lines.append("the run recorded no digest at or after this step: nothing to compare with")
        return lines


def verdict_on(step: int, source: Source, reached: Reached, replayed: Replayed) -> Replay:
    """Return how the replay of a run's step came out."""
    weights = None if replayed.looked is None else replayed.weights
    before = tuple({event.step: event for event in source.interventions if event.step < step}.values())
    return Replay(step, source.recorded, reached.digests, weights, replayed.same, source.differing, before)


def reach(source: Source, step: int) -> Reached:
    """Train again from the seed to the dispatch that holds a step, and on to the next step with a recorded digest.

    What the guard did is done again at the same steps; what it undid is not.
    """
    prepared = source.prepared
    catch = _Catch(step, source.recorded)
    config, dataset = prepared.config, prepared.dataset
    settings = dataclasses.replace(
        config.training, early_stopping=None, goal=None, convergence=None, time_limit=None, guard="off"
    )  # the run has come as far as this
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
    """Take the reached step again, with everything that `looker` sees as additional output of the run's program."""
    stepper, (columns, order, at) = reached.stepper, reached.dispatch
    with computing_in(prepared.config.training.precision):
        if order is None:
            end, looked = jax.jit(lambda train, batch: look_at(stepper, looker, train, batch))(reached.before, columns)
        else:
            end, looked = jax.jit(keep_in_block(stepper, looker))(reached.before, columns, order, at)
    same = digest(end.params) == digest(reached.params)
    return Replayed(looked.before, looked.looked, digest(looked.params), same)


def first_state(source: Source) -> tuple[TrainState, Batch]:
    """Return the state before the first step of a configuration, and the rows of that step; nothing is trained."""
    prepared, settings = source.prepared, source.prepared.config.training
    with computing_in(settings.precision):
        first = in_precision(prepared.first(), settings.precision)
        state = source.stepper.start(first, jax.random.key(settings.seed))
    full, rest = Course(source.stepper, settings, prepared.dataset.train, held_out=False).order(0)
    chosen = full[0] if len(full) else rest
    return state, {name: column[chosen] for name, column in prepared.dataset.train.items()}


@dataclasses.dataclass
class _Catch:
    """Stands around a run's compiled programs and keeps the dispatch that holds one of their steps."""

    step: int
    recorded: Mapping[int, str]
    done: int = 0
    found: Reached | None = None
    digests: dict[int, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self.until = min((step for step in self.recorded if step >= self.step), default=self.step)

    @property
    def is_done(self) -> bool:
        """Whether the step was found, and the digest after it compared."""
        return self.found is not None and self.done >= self.until

    def around(self, stepper: Stepper, program: Any) -> Any:
        """Return a program that does the same and tells of it."""

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
    """Return the run's own measurement where the learning rate hangs on it, else none: weights do not."""
    if not isinstance(prepared.config.optimizer.learning_rate, ReduceOnPlateau):
        return _no_score
    evaluator = prepared.evaluator()
    part = prepared.measured_part
    return lambda variables: {part: evaluator.scores(variables, getattr(prepared.dataset, part))}


def _no_score(variables: Variables) -> Metrics:
    return {}


def stored_in(prepared: Prepared) -> Literal["float64", "float32"]:
    """Return the precision in which a run stores its weights; one that computes in bfloat16 stores float32."""
    return "float64" if prepared.config.training.precision == "float64" else "float32"


def cast_to(tree: Any, dtype: str) -> Any:
    """Return a tree with its fractions in a precision, as NumPy's arrays: JAX would round them where it is off."""
    return jax.tree.map(
        lambda leaf: np.asarray(leaf).astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, tree
    )


class Watched(Stepper):
    """A step whose compiled programs stand inside `watch`, those with a guard's other optimiser too."""

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
        """Return the watched step with another schedule, clipping or decay of the same optimiser."""
        return Watched(super().with_optimizer(optimizer), self.watch)
