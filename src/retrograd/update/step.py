"""The compiled step: pass, penalties and update as one program, alone or many in one dispatch."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax
from jax.typing import ArrayLike

from retrograd.base.compilation.programs import Program
from retrograd.base.compilation.scalars import closed, opened
from retrograd.distributed.layout import Layout
from retrograd.native.library import kernels
from retrograd.network.fuse import fuse
from retrograd.network.layer import Context, Layer, Params
from retrograd.network.losses.loss import Loss
from retrograd.network.network import Network, Variables, take
from retrograd.network.precision import Precision, in_bfloat16
from retrograd.propagation.backprop import Pass, backprop
from retrograd.propagation.objective import Objective
from retrograd.update.average import Average
from retrograd.update.beyond import raised
from retrograd.update.hiding import Hiding
from retrograd.update.mixing import Mixing
from retrograd.update.optimizer import Optimizer
from retrograd.update.penalties import Penalty, penalise
from retrograd.update.selection import updated, without_frozen

SMALL_STEP = 2e8  # operations; below this (about a millisecond) a dispatch costs as much as it starts
STEPS_PER_DISPATCH = 64  # 16 gain nearly all that there is to gain


class TrainState(NamedTuple):
    """All that a step changes. `rate_factor` multiplies the learning rate from outside the compiled program.

    `average` holds averaged (params, state) where they are asked for, `slow` the slow parameters of a lookahead.
    """

    params: dict[str, Params]
    state: dict[str, Params]
    optimizer: Any
    step: Array
    key: Array
    rate_factor: Array
    average: Any = ()
    slow: Any = ()


class Cost(NamedTuple):
    """What one step costs by XLA's formulas: operations, and whether some are convolutions."""

    operations: float
    convolves: bool


class Outcome(NamedTuple):
    """What a step reports: the loss before the update (penalties included), the learning rate, the gradient's norm."""

    loss: Array
    learning_rate: Array
    gradient_norm: Array | None = None


class Stepper:
    """The training step of one network, compiled; the state that is given to it is consumed (donated).

    `gradient_norm` is reported on request: on large networks it costs 5 to 8 % of the step. Of the precisions bfloat16
    is the step's own matter; float64 is the caller's, who gives float64 arrays (`computing_in`). `freeze` are patterns
    of parameters that stay as they are, beside those of frozen nodes; `mixing` changes the batch before the pass;
    `average` keeps averaged weights beside the trained ones. A `layout` cuts batch and state among several devices.

    Shapes:  `single` takes a batch, `many` the whole columns and the row numbers of each minibatch [steps, batch].
    """

    def __init__(
        self,
        network: Network,
        objectives: Sequence[Objective],
        optimizer: Optimizer,
        penalties: Sequence[Penalty] = (),
        total_steps: int | None = None,
        gradient_norm: bool = False,
        precision: Precision = "float32",
        freeze: Sequence[str] = (),
        mixing: Mixing | Hiding | None = None,
        layout: Layout | None = None,
        average: Average | None = None,
    ) -> None:
        self.network, self.objectives, self.penalties = network, tuple(objectives), tuple(penalties)
        self.computed = in_bfloat16(network) if precision == "bfloat16" else network
        self.fused = fuse(self.computed, keep=[each for objective in objectives for each in objective.inputs])
        self.optimizer = optimizer
        self.gradient_norm, self.total_steps, self.precision = gradient_norm, total_steps, precision
        self.freeze, self.mixing, self.layout, self.average = tuple(freeze), mixing, layout, average
        optimizer.build(total_steps)  # an error comes now, not in the first step
        self.single = Program(Stepper.step, self, donate=(0,))
        self.many = Program(Stepper._many, self, donate=(0,))
        self._begin = Program(Stepper._first, self, reads_numbers=False)
        self.first_factor = 1.0  # of the learning rate, before the first step

    @cached_property
    def chain(self) -> optax.GradientTransformation:
        """The optimizer's chain of transformations."""
        return self.optimizer.build(self.total_steps)

    @cached_property
    def rate(self) -> Callable[[ArrayLike], Array]:
        """The learning rate at a step, counted from 0."""
        return self.optimizer.schedule.build(self.total_steps)

    def opened(self, values: list[float]) -> Stepper:
        """Return the step with scalars for its open numbers (see `Program`), whose values are appended."""
        other = copy.copy(self)
        other.__dict__.pop("chain", None)
        other.__dict__.pop("rate", None)
        layers: dict[tuple[str, int], Layer] = {}
        other.network, other.computed, other.fused = (
            network.opened(values, layers) for network in (self.network, self.computed, self.fused)
        )
        other.objectives = tuple(opened(objective, values) for objective in self.objectives)
        other.penalties = tuple(opened(penalty, values) for penalty in self.penalties)
        other.optimizer = opened(self.optimizer, values)
        return other

    def closed(self) -> tuple[Any, ...]:
        """Return what computes alike, whatever the open numbers are."""
        return (
            self.network.closed(),
            self.network.inputs,
            tuple(map(closed, self.objectives)),
            tuple(map(closed, self.penalties)),
            closed(self.optimizer),
            self.total_steps if self.optimizer.schedule.length(self.total_steps) else None,
            self.gradient_norm,
            self.precision,
            self.freeze,
            self.mixing,
            self.layout,
            self.average,
        )

    def with_optimizer(self, optimizer: Optimizer) -> Stepper:
        """Return the step with another schedule, clipping or decay of the same optimiser; its state stays valid."""
        return self._with(optimizer, self.layout)

    @cached_property
    def alone(self) -> Stepper:
        """The same step on one device, for what a process computes by itself."""
        return self if self.layout is None else self._with(self.optimizer, None)

    def _with(self, optimizer: Optimizer, layout: Layout | None) -> Stepper:
        settings = (self.penalties, self.total_steps, self.gradient_norm, self.precision, self.freeze, self.mixing)
        return Stepper(self.network, self.objectives, optimizer, *settings, layout, self.average)

    def with_rates_times(self, factor: float) -> Stepper:
        """Return the same step, not compiled again, with every learning rate multiplied by a factor."""
        other = copy.copy(self)
        other.first_factor = factor
        return other

    def start(self, variables: Variables, key: Array) -> TrainState:
        """Return the state before the first step; arrays are copied, so that donation leaves the caller's alone."""
        train: TrainState = self._begin(variables, key, np.float32(self.first_factor))
        return train

    def _first(self, variables: Variables, key: Array, factor: Array) -> TrainState:
        params, state = jax.tree.map(jnp.copy, (variables.params, variables.state))
        moments = self.chain.init(self.trained(params))
        average = jax.tree.map(jnp.copy, (params, state)) if self.average else ()
        slow = jax.tree.map(jnp.copy, self.trained(params)) if self.optimizer.lookahead else ()
        return TrainState(
            params, state, moments, jnp.zeros((), jnp.int32), jnp.copy(key), jnp.copy(factor), average, slow
        )

    def step(self, train: TrainState, batch: Mapping[str, Any]) -> tuple[TrainState, Outcome]:
        """Return the state after one step, and what it reports. Pure; `single` is its compiled form."""
        if self.layout is not None:
            batch = self.layout.spreads(batch)
        result = self.evaluate(train, batch, self.fused)
        grads = self.trained(result.grads)
        if self.optimizer.sharpness:  # the state stays that of the first pass: running statistics see a batch once
            above = updated(train.params, raised(train.params, grads, self.optimizer.sharpness))
            grads = self.trained(self.evaluate(train._replace(params=above), batch, self.fused).grads)
        params, moments = apply_gradients(self.chain, train.params, grads, train.optimizer, train.rate_factor)
        after = train._replace(params=params, state=result.state, optimizer=moments, step=train.step + 1)
        if self.optimizer.lookahead:
            fast, slow = self.optimizer.lookahead(self.trained(params), train.slow, train.step)
            params = updated(params, fast)
            after = after._replace(params=params, slow=slow)
        if self.average:
            after = after._replace(average=self.average(train.average, (params, result.state), train.step))
        if self.layout is not None:
            after = self.layout.keeps(after)
        norm = optax.tree.norm(grads) if self.gradient_norm else None
        return after, Outcome(result.loss, self.rate(train.step) * train.rate_factor, norm)

    def evaluate(self, train: TrainState, batch: Mapping[str, Any], network: Network | None = None) -> Pass:
        """Return the pass of a batch as the step sees it: penalties included, micro-batches added up.

        Every node's output and delta is there, unless the step's own network is asked for: `fused`.
        """
        ctx = Context(True, jax.random.fold_in(train.key, train.step), step=train.step)
        batch = self.mixed(train, batch)
        result = accumulate(network or self.computed, self.objectives, train, ctx, batch, self.optimizer.accumulate)
        if not self.penalties:
            return result
        value, extra = penalise(self.penalties, train.params)
        return result._replace(loss=result.loss + value, grads=jax.tree.map(jnp.add, result.grads, extra))

    def mixed(self, train: TrainState, batch: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the batch as the pass of this step reads it: mixed with itself, or with tokens hidden, if so asked."""
        if self.mixing is None:
            return batch
        return self.mixing(batch, jax.random.fold_in(train.key, train.step), self.network, self.objectives)

    def cost(self, train: TrainState, batch: Mapping[str, Any]) -> Cost:
        """Return what the step costs, counted once: XLA's formulas tell what they do, native kernels do not."""
        with kernels(False):
            cost: Cost = Program(Stepper.step, self.alone).remembered(_cost, train, batch)
            return cost

    def fingerprint(self, train: TrainState, batch: Mapping[str, Any]) -> str:
        """Return a digest of the program of a step: processes that share a run must have the same."""
        digest: str = Program(Stepper.step, self.alone).remembered(_fingerprint, train, batch)
        return digest

    def steps_per_dispatch(self, train: TrainState, batch: Mapping[str, Any]) -> int:
        """Return how many steps go into one dispatch: a rule of operation counts, the same on every machine.

        On CPU a convolution inside `lax.scan` runs on one thread, eight times slower or worse: never there.
        """
        cost = self.cost(train, batch)
        return 1 if cost.convolves or cost.operations >= SMALL_STEP else STEPS_PER_DISPATCH

    def _many(self, train: TrainState, columns: Mapping[str, Array], order: Array) -> tuple[TrainState, Outcome]:
        def body(train: TrainState, chosen: Array) -> tuple[TrainState, Outcome]:
            batch = {name: column.at[chosen].get(mode="promise_in_bounds") for name, column in columns.items()}
            return self.step(train, batch)

        return lax.scan(body, train, order)

    def trained(self, tree: Mapping[str, Params]) -> dict[str, Params]:
        """Leave out what is frozen, so that neither clipping nor decay nor moments see it."""
        return without_frozen(self.network, self.freeze, tree)


def _cost(lowered: Any) -> Cost:
    operations = (lowered.cost_analysis() or {}).get("flops", SMALL_STEP)
    return Cost(float(operations), "stablehlo.convolution" in lowered.as_text())


def _fingerprint(lowered: Any) -> str:
    return hashlib.sha256(lowered.as_text().encode()).hexdigest()


def apply_gradients(
    chain: optax.GradientTransformation,
    params: Mapping[str, Params],
    grads: Mapping[str, Params],
    moments: Any,
    rate_factor: Array | float = 1.0,
) -> tuple[dict[str, Params], Any]:
    """Return new parameters and the optimiser's new state: p + rate_factor * update. What has no gradient stays."""
    trained = {node: {name: params[node][name] for name in tensors} for node, tensors in grads.items()}
    updates, moments = chain.update(grads, moments, trained)
    scaled = jax.tree.map(lambda u: u * jnp.asarray(rate_factor, u.dtype), updates)
    return updated(params, optax.apply_updates(trained, scaled)), moments


def accumulate(
    network: Network,
    objectives: Sequence[Objective],
    train: TrainState,
    ctx: Context,
    batch: Mapping[str, Any],
    parts: int,
) -> Pass:
    """Return the pass of a batch computed in `parts` micro-batches one after the other: less memory, the same sums.

    Each micro-batch's mean is weighed by its count over the whole batch's. Outputs and deltas are the last part's.
    """
    if parts == 1:
        return backprop(network, objectives, train.params, train.state, ctx, batch)
    micros = split(batch, parts)
    counts = [count(network, objectives, micro) for micro in micros]
    whole = {name: sum(numbers[name] for numbers in counts[1:]) + counts[0][name] for name in counts[0]}
    total: Pass | None = None
    state = train.state
    for i, (micro, counted) in enumerate(zip(micros, counts, strict=True)):
        here = replace(ctx, key=None if ctx.key is None else jax.random.fold_in(ctx.key, i))
        wide = {name: counted[name].astype(jnp.result_type(float)) for name in counted}  # float64 where that is on
        shares = {name: jnp.where(whole[name] == 0, 0 * wide[name], wide[name] / whole[name]) for name in counted}
        part = backprop(network, objectives, train.params, state, here, micro, shares)
        state = part.state
        if total is not None:
            losses, grads = jax.tree.map(jnp.add, (total.losses, total.grads), (part.losses, part.grads))
            part = part._replace(loss=total.loss + part.loss, losses=losses, grads=grads)
        total = lax.optimization_barrier(part)  # one part's arrays are gone before the next begins
    assert total is not None
    return total


def split(batch: Mapping[str, Any], parts: int) -> list[dict[str, Any]]:
    """Return a batch in at most `parts` micro-batches of nearly one size."""
    rows = len(next(iter(batch.values())))
    size = -(-rows // parts)
    return [{name: column[i : i + size] for name, column in batch.items()} for i in range(0, rows, size)]


def count(network: Network, objectives: Sequence[Objective], batch: Mapping[str, Any]) -> dict[str, Array]:
    """Return what the mean of each objective divides by; an objective that sums is not divided and not listed."""
    return counts(objectives, {**network.specs(batch, train=True), **batch})


def counts(objectives: Sequence[Objective], outputs: Mapping[str, Any]) -> dict[str, Array]:
    """Return what the mean of each objective divides by, for outputs (or their shapes) and columns."""
    return {
        objective.name: objective.loss.count(*(take(outputs, reference) for reference in objective.inputs))
        for objective in objectives
        if isinstance(objective.loss, Loss) and objective.loss.reduction == "mean"
    }
