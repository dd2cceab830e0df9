"""The compiled step: pass, penalties and update as one program, single or many per dispatch."""

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

SMALL_STEP = 2e8  # operations; below this (about a millisecond) the dispatch costs as much as the step
STEPS_PER_DISPATCH = 64  # 16 already give nearly all of the gain


class TrainState(NamedTuple):
    """Everything that a step changes. `rate_factor` multiplies the learning rate from outside the compiled program.

    `average` contains the averaged (params, state) if configured, `slow` the slow parameters of a lookahead.
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
    """The cost of one step according to XLA: operations, and whether it contains convolutions."""

    operations: float
    convolves: bool


class Outcome(NamedTuple):
    """What a step reports: the loss before the update (including penalties), the learning rate, the gradient norm."""

    loss: Array
    learning_rate: Array
    gradient_norm: Array | None = None


class Stepper:
    """The compiled training step of one network; the state passed to it is consumed (donated).

    `gradient_norm` is reported on request: for large networks it costs 5 to 8 % of the step. The step itself handles
    bfloat16; for float64, the caller passes float64 arrays (`computing_in`). `freeze` are patterns of parameters that
    are not trained, in addition to those of frozen nodes; `mixing` changes the batch before the pass; `average` keeps
    averaged weights alongside the trained ones. A `layout` shards batch and state across several devices.

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
        self.fused = fuse(self.computed, keep=[reference for objective in objectives for reference in objective.inputs])
        self.optimizer = optimizer
        self.gradient_norm, self.total_steps, self.precision = gradient_norm, total_steps, precision
        self.freeze, self.mixing, self.layout, self.average = tuple(freeze), mixing, layout, average
        optimizer.build(total_steps)  # so that errors are raised now, not in the first step
        self.single = Program(Stepper.step, self, donate=(0,))
        self.many = Program(Stepper._many, self, donate=(0,))
        self._begin = Program(Stepper._first, self, reads_numbers=False)
        self.first_factor = 1.0  # initial `rate_factor`

    @cached_property
    def chain(self) -> optax.GradientTransformation:
        """The chain of transformations of the optimizer."""
        return self.optimizer.build(self.total_steps)

    @cached_property
    def rate(self) -> Callable[[ArrayLike], Array]:
        """The learning rate at a step, counted from 0."""
        return self.optimizer.schedule.build(self.total_steps)

    def opened(self, values: list[float]) -> Stepper:
        """Return the step with scalars for its open numbers (see `Program`); their values are appended to `values`."""
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
        """Return a key that is equal for all steps that differ only in open numbers."""
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
        """Return the step with another schedule, clipping or decay of the same optimizer; its state stays valid."""
        return self._with(optimizer, self.layout)

    @cached_property
    def alone(self) -> Stepper:
        """The same step on a single device, for what a process computes by itself."""
        return self if self.layout is None else self._with(self.optimizer, None)

    def _with(self, optimizer: Optimizer, layout: Layout | None) -> Stepper:
        settings = (self.penalties, self.total_steps, self.gradient_norm, self.precision, self.freeze, self.mixing)
        return Stepper(self.network, self.objectives, optimizer, *settings, layout, self.average)

    def with_rates_times(self, factor: float) -> Stepper:
        """Return the same step with every learning rate multiplied by a factor, without compiling it again."""
        other = copy.copy(self)
        other.first_factor = factor
        return other

    def start(self, variables: Variables, key: Array) -> TrainState:
        """Return the state before the first step; arrays are copied, so that donation does not consume the caller's."""
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
        """Return the state after one step, and its outcome. Pure; `single` is the compiled form."""
        if self.layout is not None:
            batch = self.layout.spreads(batch)
        result = self.evaluate(train, batch, self.fused)
        grads = self.trained(result.grads)
        if self.optimizer.sharpness:  # keep the state of the first pass: running statistics must see a batch only once
            perturbed = updated(train.params, raised(train.params, grads, self.optimizer.sharpness))
            grads = self.trained(self.evaluate(train._replace(params=perturbed), batch, self.fused).grads)
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
        """Return the pass of a batch as the step computes it: with penalties, and micro-batches added up.

        It contains the output and delta of every node, unless `network` is the step's own `fused` network.
        """
        ctx = Context(True, jax.random.fold_in(train.key, train.step), step=train.step)
        batch = self.mixed(train, batch)
        result = accumulate(network or self.computed, self.objectives, train, ctx, batch, self.optimizer.accumulate)
        if not self.penalties:
            return result
        value, extra = penalise(self.penalties, train.params)
        return result._replace(loss=result.loss + value, grads=jax.tree.map(jnp.add, result.grads, extra))

    def mixed(self, train: TrainState, batch: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the batch as the pass of this step reads it: mixed or with masked tokens, if configured."""
        if self.mixing is None:
            return batch
        return self.mixing(batch, jax.random.fold_in(train.key, train.step), self.network, self.objectives)

    def cost(self, train: TrainState, batch: Mapping[str, Any]) -> Cost:
        """Return the cost of the step, computed once: without native kernels, whose cost XLA does not know."""
        with kernels(False):
            cost: Cost = Program(Stepper.step, self.alone).remembered(_cost, train, batch)
            return cost

    def fingerprint(self, train: TrainState, batch: Mapping[str, Any]) -> str:
        """Return a digest of the program of a step, which must be the same in all processes of a run."""
        digest: str = Program(Stepper.step, self.alone).remembered(_fingerprint, train, batch)
        return digest

    def steps_per_dispatch(self, train: TrainState, batch: Mapping[str, Any]) -> int:
        """Return the number of steps per dispatch: a rule based on operation counts, the same on every machine.

        Convolutions get one step: on CPU, inside `lax.scan`, they run on one thread, at least eight times slower.
        """
        cost = self.cost(train, batch)
        return 1 if cost.convolves or cost.operations >= SMALL_STEP else STEPS_PER_DISPATCH

    def _many(self, train: TrainState, columns: Mapping[str, Array], order: Array) -> tuple[TrainState, Outcome]:
        def body(train: TrainState, rows: Array) -> tuple[TrainState, Outcome]:
            batch = {name: column.at[rows].get(mode="promise_in_bounds") for name, column in columns.items()}
            return self.step(train, batch)

        return lax.scan(body, train, order)

    def trained(self, tree: Mapping[str, Params]) -> dict[str, Params]:
        """Return the tree without frozen parameters, so that clipping, decay and moments ignore them."""
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
    """Return new parameters p + rate_factor * update, unchanged without a gradient, and the new optimizer state."""
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
    """Return the pass of a batch computed in `parts` micro-batches, one after the other: less memory, the same sums.

    Each micro-batch's mean is weighted by its share of the batch's count. Outputs and deltas are those of the last.
    """
    if parts == 1:
        return backprop(network, objectives, train.params, train.state, ctx, batch)
    micros = split(batch, parts)
    counts = [count(network, objectives, micro) for micro in micros]
    whole = {name: sum(numbers[name] for numbers in counts[1:]) + counts[0][name] for name in counts[0]}
    total: Pass | None = None
    state = train.state
    for i, (micro, numbers) in enumerate(zip(micros, counts, strict=True)):
        micro_ctx = replace(ctx, key=None if ctx.key is None else jax.random.fold_in(ctx.key, i))
        wide = {name: numbers[name].astype(jnp.result_type(float)) for name in numbers}  # float64 if enabled
        shares = {name: jnp.where(whole[name] == 0, 0 * wide[name], wide[name] / whole[name]) for name in numbers}
        part = backprop(network, objectives, train.params, state, micro_ctx, micro, shares)
        state = part.state
        if total is not None:
            losses, grads = jax.tree.map(jnp.add, (total.losses, total.grads), (part.losses, part.grads))
            part = part._replace(loss=total.loss + part.loss, losses=losses, grads=grads)
        total = lax.optimization_barrier(part)  # frees the arrays of one part before the next begins
    assert total is not None
    return total


def split(batch: Mapping[str, Any], parts: int) -> list[dict[str, Any]]:
    """Split a batch into at most `parts` micro-batches of nearly equal size."""
    rows = len(next(iter(batch.values())))
    size = -(-rows // parts)
    return [{name: column[i : i + size] for name, column in batch.items()} for i in range(0, rows, size)]


def count(network: Network, objectives: Sequence[Objective], batch: Mapping[str, Any]) -> dict[str, Array]:
    """Return the divisor of the mean of each objective; objectives that sum have none."""
    return counts(objectives, {**network.specs(batch, train=True), **batch})


def counts(objectives: Sequence[Objective], outputs: Mapping[str, Any]) -> dict[str, Array]:
    """Return the divisor of the mean of each objective, given outputs (or their shapes) and columns."""
    return {
        objective.name: objective.loss.count(*(take(outputs, reference) for reference in objective.inputs))
        for objective in objectives
        if isinstance(objective.loss, Loss) and objective.loss.reduction == "mean"
    }
