"""Checks of layers and losses by their registered examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from typing_extensions import override

from retrograd.base.errors import UsageError, did_you_mean
from retrograd.base.registry import Registry
from retrograd.checking.contract import program, violations
from retrograd.checking.draw import draw_input
from retrograd.checking.network import check_network
from retrograd.checking.report import CheckReport
from retrograd.checking.result import GradientCheck
from retrograd.network.layer import Backward, Context, Example, Forward, Input, Layer, Params, State, layers
from retrograd.network.layers.identity import Identity
from retrograd.network.losses.loss import Loss, losses
from retrograd.network.network import Network, Variables
from retrograd.network.scope import named
from retrograd.present.wording import in_yaml
from retrograd.propagation.objective import Objective

SHIFT = 0.1  # moves parameters away from initial values such as a scale of 1 or a bias of 0, which could hide terms


@dataclass(frozen=True)
class Probe(Layer):
    """L = sum(y delta): reduces any output to one number."""

    @override
    def forward(self, params: Params, state: State, ctx: Context, y: Array, delta: Array) -> Forward:
        return Forward(jnp.sum(y * delta), delta)

    def backward(self, params: Params, tape: Array, dy: Array) -> Backward:
        """dx = dy delta."""
        return Backward((dy * tape, None))


def check_registered(name: str) -> CheckReport:
    """Check a layer or loss by its examples, in training and, if it computes something else there, in evaluation."""
    registry: Registry[Any] = layers if name in layers else losses
    if name not in registry:
        raise UsageError(f"no layer or loss '{name}'", cure=did_you_mean(name, [*layers, *losses]))
    examples: Sequence[Example] = registry.entry(name).facts.get("examples", ())
    if not examples:
        raise UsageError(f"'{name}' is registered without examples", cure="register it with examples=examples(...)")
    checks: list[GradientCheck] = []
    broken: list[str] = []
    for example in examples:
        layer = registry[name](**example.settings)
        for train in modes(layer, example.inputs):
            shapes = ", ".join(f"{list(one_input.shape)}" for one_input in example.inputs)
            settings = "".join(f", {key} {in_yaml(value)}" for key, value in example.settings.items())
            where = f"{name}{settings}; input {shapes}{'' if train else '; evaluation'}"
            checks.append(check_example(layer, example.inputs, name=where, train=train))
            broken += [f"{where}: {clause}" for clause in violations(layer, example.inputs, train)]
    return CheckReport(tuple(checks), tuple(broken))


def modes(layer: Layer, inputs: Sequence[Input]) -> Iterator[bool]:
    """Yield True for training, and False if the layer computes something else in evaluation."""
    yield True
    if program(layer, inputs, train=True) != program(layer, inputs, train=False):
        yield False


def check_example(layer: Layer, inputs: Sequence[Input], *, name: str, train: bool = True) -> GradientCheck:
    """Check one layer or loss with random inputs of this kind."""
    rng = np.random.default_rng(0)
    columns = {f"x{i}" if i else "x": draw_input(rng, spec) for i, spec in enumerate(inputs)}
    network, objectives, probes = (_of_loss if isinstance(layer, Loss) else _of_layer)(layer, columns, rng)
    batch = {**columns, **probes}
    first = network.init(jax.random.key(0), {name: columns[name] for name in network.columns})
    return check_network(network, objectives, moved(first, rng, SHIFT), batch, jax.random.key(7), name=name,
                         train=train)  # fmt: skip


def moved(variables: Variables, rng: np.random.Generator, share: float) -> Variables:
    """Return the variables with each parameter moved by a share of its root mean square (of 1 if that is 0)."""

    def move(param: Any) -> np.ndarray:
        value = np.asarray(param, np.float64)
        scale = float(np.sqrt(np.mean(value**2))) if value.size else 0.0
        return value + share * (scale or 1.0) * rng.normal(size=value.shape)

    return Variables(jax.tree.map(move, variables.params), variables.state)


def _of_layer(layer: Layer, columns: dict[str, Any], rng: np.random.Generator) -> tuple[Network, list[Objective], Any]:
    """Return a network of just the layer, with a probe on each of its outputs."""
    network = Network(named(layer, layer.kind, inputs=list(columns)), inputs=tuple(columns))
    y = network.specs(columns, train=True)[network.output]
    parts = {f"{network.output}.{part}": spec for part, spec in y.items()} if isinstance(y, dict) else {
        network.output: y
    }  # fmt: skip
    probes = {f"delta_{i}": rng.normal(size=spec.shape) for i, spec in enumerate(parts.values())}
    pairs = zip(parts, probes, strict=True)
    return network, [Objective(f"probe_{i}", Probe(), pair) for i, pair in enumerate(pairs)], probes


def _of_loss(loss: Layer, columns: dict[str, Any], rng: np.random.Generator) -> tuple[Network, list[Objective], Any]:
    """Return a network that passes its input to the loss."""
    network = Network(named(Identity(), "prediction"))
    others = list(columns)[1:]
    return network, [Objective(loss.kind, loss, (network.output, *others))], {}
