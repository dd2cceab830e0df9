"""Everything that one step computes, as one pure function: the pass taken apart, and the update stage by stage."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from retrograd.base.errors import UsageError
from retrograd.network.layer import Activation, Context, Params
from retrograd.network.network import Network, own_params, take
from retrograd.propagation.accumulate import add_delta
from retrograd.propagation.backprop import backward, forward
from retrograd.propagation.objective import Objective, evaluate_losses, total
from retrograd.propagation.one_layer import adjoint
from retrograd.update.penalties import penalise
from retrograd.update.selection import updated
from retrograd.update.step import Stepper, TrainState, count, split


class Looked(NamedTuple):
    """One pass, taken apart.

    starts: the delta from which each objective starts, by its input. edges: the deltas of each node for its
    inputs. own: each node's gradients before those of shared parameters are added up. slopes: the derivative of each
    elementwise function.
    """

    losses: dict[str, Array]
    outputs: dict[str, Any]
    starts: dict[str, dict[str, Any]]
    deltas: dict[str, Any]
    edges: dict[str, tuple[Any, ...]]
    own: dict[str, Params]
    slopes: dict[str, Array]
    grads: dict[str, Params]
    state: dict[str, Params]


class Stepped(NamedTuple):
    """One step: the pass, the penalties, the result of each stage of the optimizer, and the state after it."""

    look: Looked
    loss: Array  # penalties included
    penalty: Array
    penalty_grads: dict[str, Params]
    stages: dict[str, dict[str, Params]]
    updates: dict[str, Params]
    after: TrainState
    loss_after: Array
    outputs_after: dict[str, Any]
    learning_rate: Array


def step_numbers(stepper: Stepper, train: TrainState, batch: Mapping[str, Any]) -> Stepped:
    """Return every number of one step."""
    return Looker(stepper, stepper.total_steps).step(train, batch)


def step_with_delta(
    stepper: Stepper, reference: str, train: TrainState, batch: Mapping[str, Any], delta: Array
) -> Stepped:
    """Return every number of one step whose backward pass starts from a delta at an output instead of the loss."""
    return Looker(stepper, stepper.total_steps, (reference, delta)).step(train, batch)


GIVEN = "given"  # the source name of a delta from outside


class Looker:
    """Examines steps of one network; with `delta` (reference and values), backward starts there instead of at the loss.

    The numbers are those of `stepper.step`: the same functions in the same order, with nothing discarded.
    """

    def __init__(self, stepper: Stepper, total_steps: int | None, delta: tuple[str, Any] | None = None) -> None:
        self.stepper, self.network, self.delta = stepper, remembering(stepper.computed), delta
        self.stages = stepper.optimizer.stages(total_steps)
        for name in ("sharpness", "lookahead"):
            if getattr(stepper.optimizer, name):
                raise UsageError(f"a step with {name} is more than the one pass and one update that a trace shows",
                                 where="optimizer", cure="remove it in a copy of the configuration")  # fmt: skip

    def step(self, train: TrainState, batch: Mapping[str, Any]) -> Stepped:
        """Return everything of one step. Pure."""
        stepper = self.stepper
        ctx = Context(True, jax.random.fold_in(train.key, train.step), step=train.step)
        look = self.accumulate(train, ctx, batch)
        penalty, extra = penalise(stepper.penalties, train.params)
        grads, state = jax.tree.map(jnp.add, look.grads, extra), look.state
        if self.delta is None:  # exactly the operations of the run's step, so that its bits are the run's
            grads, state = (evaluated := stepper.evaluate(train, batch, stepper.fused)).grads, evaluated.state
        stages, moments = self.pass_stages(stepper.trained(grads), train)
        updates = jax.tree.map(lambda u: u * jnp.asarray(train.rate_factor, u.dtype), stages["rate"])
        trained = stepper.trained(train.params)
        params = updated(train.params, optax.apply_updates(trained, updates))
        after = train._replace(params=params, state=state, optimizer=moments, step=train.step + 1)
        again = self.accumulate(train._replace(params=params), ctx, batch)
        return Stepped(
            look,
            loss=self._total(look.losses) + penalty,
            penalty=jnp.asarray(penalty, jnp.result_type(float)),
            penalty_grads=extra,
            stages=stages,
            updates=updates,
            after=after,
            loss_after=self._total(again.losses) + penalise(stepper.penalties, params)[0],
            outputs_after=again.outputs,
            learning_rate=stepper.rate(train.step) * train.rate_factor,
        )

    def pass_stages(self, grads: Any, train: TrainState) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the gradients after each stage of the optimizer, and its new state."""
        grads_so_far, results, moments = grads, {}, type(train.optimizer)()
        trained = self.stepper.trained(train.params)
        for name, stage in self.stages.items():
            grads_so_far, moments[name] = stage.update(grads_so_far, train.optimizer[name], trained)
            results[name] = grads_so_far
        return results, moments

    def accumulate(self, train: TrainState, ctx: Context, batch: Mapping[str, Any]) -> Looked:
        """Return the pass of a batch, computed in the micro-batches of the run's step."""
        parts = self.stepper.optimizer.accumulate
        if parts == 1:
            return self.look(train.params, train.state, ctx, batch)
        micros = split(batch, parts)
        counts = [count(self.network, self.stepper.objectives, micro) for micro in micros]
        whole = {name: sum(numbers[name] for numbers in counts[1:]) + counts[0][name] for name in counts[0]}
        looks: list[Looked] = []
        state = train.state
        for i, (micro, sums) in enumerate(zip(micros, counts, strict=True)):
            here = replace(ctx, key=None if ctx.key is None else jax.random.fold_in(ctx.key, i))
            wide = {name: sums[name].astype(jnp.result_type(float)) for name in sums}
            shares = {name: jnp.where(whole[name] == 0, 0 * wide[name], wide[name] / whole[name]) for name in sums}
            looks.append(lax.optimization_barrier(self.look(train.params, state, here, micro, shares)))
            state = looks[-1].state
        return joined(looks)

    def look(
        self, params: Any, state: Any, ctx: Context, batch: Mapping[str, Any], shares: Mapping[str, Array] | None = None
    ) -> Looked:
        """Return one pass, taken apart."""
        network, objectives = self.network, self.stepper.objectives
        outputs, tapes, new_state = forward(network, params, state, ctx, batch)
        losses, _ = evaluate_losses(objectives, outputs, ctx, shares)
        starts = self._starts(objectives, outputs, ctx, shares)
        begun: dict[str, Any] = {}
        for start in starts.values():
            for name, delta in start.items():
                for part, value in delta.items() if isinstance(delta, dict) else ((None, delta),):
                    add_delta(begun, name if part is None else f"{name}.{part}", value)
        deltas, grads = backward(network, params, tapes, begun)
        edges, own, slopes = {}, {}, {}
        for node in network.nodes:
            dy = deltas.get(node.name)
            if dy is None:
                continue
            back = adjoint(node.layer, own_params(params, node), tapes[node.name], dy)
            edges[node.name], own[node.name] = back.inputs, back.grads
            if acts_on_elements(network, node.name):
                ones = adjoint(
                    node.layer, own_params(params, node), tapes[node.name], jnp.ones_like(outputs[node.name])
                )
                slopes[node.name] = ones.inputs[0]
        return Looked(losses, outputs, starts, deltas, edges, own, slopes, grads, new_state)

    def _starts(self, objectives: Any, outputs: Any, ctx: Context, shares: Any) -> dict[str, dict[str, Any]]:
        if self.delta is not None:
            reference, values = self.delta
            name, _, part = reference.partition(".")
            y = take(outputs, reference)
            delta = jnp.broadcast_to(jnp.asarray(values, y.dtype), y.shape)
            return {GIVEN: {name: {part: delta} if part else delta}}
        starts: dict[str, dict[str, Any]] = {}
        for objective in objectives:
            _, begun = evaluate_losses([objective], outputs, ctx, shares)
            starts[objective.name] = {name: begun[name] for name in named(objective) if name in begun}
        return starts

    def _total(self, losses: Mapping[str, Array]) -> Array:
        return total(self.stepper.objectives, losses)


def remembering(network: Network) -> Network:
    """Return the network without recomputation in backward, so that all outputs are kept."""
    copied = copy.copy(network)
    copied.nodes = tuple(replace(node, recompute="") for node in network.nodes)
    return copied


def named(objective: Objective) -> list[str]:
    """Return the nodes whose outputs an objective reads."""
    return list(dict.fromkeys(reference.partition(".")[0] for reference in objective.inputs))


def acts_on_elements(network: Network, name: str) -> bool:
    """Return whether a node maps each element of one input separately, so that its slope is one number per element."""
    layer = network.by_name[name].layer
    if isinstance(layer, Activation):
        return layer.by_element
    return layer.kind in ("dropout", "identity", "gaussian_noise", "spatial_dropout")


def joined(looks: list[Looked]) -> Looked:
    """Return the passes of micro-batches as one: rows concatenated, losses and gradients added up."""

    def under(*parts: Any) -> Any:
        return jnp.concatenate(parts) if jnp.ndim(parts[0]) else parts[-1]

    def added(*parts: Any) -> Any:
        return sum(parts[1:], parts[0])

    rows = {
        field: jax.tree.map(under, *(getattr(look, field) for look in looks))
        for field in ("outputs", "starts", "deltas", "edges", "slopes")
    }
    sums = {
        field: jax.tree.map(added, *(getattr(look, field) for look in looks)) for field in ("losses", "own", "grads")
    }
    return Looked(**rows, **sums, state=looks[-1].state)


class Kept(NamedTuple):
    """The record of one step of a block: the state before it, the weights after it, and the examined numbers."""

    before: TrainState
    params: dict[str, Params]
    looked: Stepped | None


def look_at(stepper: Stepper, looker: Looker | None, train: TrainState, batch: Any) -> tuple[TrainState, Kept]:
    """Take one step as the run does, with all numbers of a looker as additional outputs."""
    if looker is None:
        after, _ = stepper.step(train, batch)
        return after, Kept(train, after.params, None)
    stepped = looker.step(train, batch)
    return stepped.after, Kept(train, stepped.after.params, stepped)


def keep_in_block(stepper: Stepper, looker: Looker | None) -> Callable[..., tuple[TrainState, Kept]]:
    """Return the run's scan over a block of steps, with all numbers of one step as additional outputs.

    Its arguments: the state, columns, row numbers [steps, batch], and the index of the step to record.
    """

    def block(train: TrainState, columns: Mapping[str, Array], order: Array, at: Array) -> tuple[TrainState, Kept]:
        def step(train: TrainState, chosen: Array) -> tuple[TrainState, Kept]:
            batch = {name: column.at[chosen].get(mode="promise_in_bounds") for name, column in columns.items()}
            return look_at(stepper, looker, train, batch)

        def body(carry: tuple[TrainState, Any], inputs: tuple[Array, Array]) -> tuple[tuple[TrainState, Any], None]:
            after, made = step(carry[0], inputs[1])
            return (after, jax.tree.map(lambda new, old: jnp.where(inputs[0] == at, new, old), made, carry[1])), None

        specs = jax.eval_shape(lambda train, chosen: step(train, chosen)[1], train, order[0])
        empty = jax.tree.map(lambda spec: train.key if is_key(spec) else jnp.zeros(spec.shape, spec.dtype), specs)
        (train, stepped), _ = lax.scan(body, (train, empty), (jnp.arange(len(order)), order))
        return train, stepped

    return block


def is_key(leaf: Any) -> bool:
    """Return whether a leaf is a random key rather than numbers."""
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
