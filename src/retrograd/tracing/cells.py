"""Opening one number of a step, in a layer of any size: the sum that it is made of, largest parts first.

An output is the sum of inputs times weights if its layer is linear in them. A delta or a gradient is always a sum of
products, by the chain rule:

    delta_i = sum over k of  dy_k/dx_i * delta_k          dL/dw = sum over k of  dy_k/dw * delta_k

The factors dy_k/dx_i come from the layer's own forward formula, in one direction (`jax.jvp`); the sum of their products
is compared with the number from the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.base.errors import UsageError
from retrograd.network.layer import Context
from retrograd.network.layers import Dense
from retrograd.network.network import TRANSPOSED
from retrograd.tracing.edits import PLACE
from retrograd.tracing.lines import delta_key, entry
from retrograd.tracing.numbers import Contribution, NodeNumbers, StepNumbers, parts
from retrograd.update.step import TrainState

MOST_PARTS = 24  # parts of a sum that are shown; the rest is added up
TOLERANCE = 1e-4  # relative to the largest part, for sums computed in two ways, in float32 at worst

Index = tuple[int, ...]


@dataclass(frozen=True)
class Factor:
    """A factor of a product: its name, its value, and the key for opening it, if it can be opened."""

    name: str
    value: float
    reads: str = ""


@dataclass(frozen=True)
class Part:
    """A summand: a product of factors."""

    factors: tuple[Factor, ...]

    @property
    def value(self) -> float:
        """The product."""
        return float(np.prod([factor.value for factor in self.factors]))


@dataclass(frozen=True)
class Opened:
    """A number and its parts: the largest ones, and the number of `further` ones, which add up to `rest`.

    `is_sum`: the parts add up to the value; otherwise the value is computed from them. `words` says how.
    """

    key: str
    name: str
    value: float
    words: str
    parts: tuple[Part, ...] = ()
    further: int = 0
    rest: float = 0.0
    is_sum: bool = True


class Opener:
    """Opens numbers of a step by their keys: `output:dense_1[0,3]`, `delta:dense_1[0,3]`, `grad:dense_1/weight[2,3]`.

    `state` is the state before the step; the pass uses its random key.
    """

    def __init__(self, step: StepNumbers, state: TrainState) -> None:
        self.step, self.ctx = step, Context(True, jax.random.fold_in(state.key, state.step), step=state.step)
        self.nodes = {node.path: node for node in step.nodes}

    def open(self, key: str) -> Opened:
        """Return a number and its parts.

        Raises:  UsageError for a number that does not exist
        """
        kind, _, place = key.partition(":")
        matched = PLACE.fullmatch(place)
        index = tuple(map(int, matched[2].split(","))) if matched and matched[2] else ()
        path = matched[1] if matched else place
        ways: dict[str, Callable[[str, Index], Opened]] = {
            "output": self.output, "delta": self.delta, "grad": self.gradient,
        }  # fmt: skip
        if kind not in ways:
            raise UsageError(f"expected {', '.join(ways)}, found {kind!r}", where=key)
        with jax.enable_x64(self.step.dtype == "float64"):
            return replace(ways[kind](path, index), key=key)

    # -------------------------------------------------------------------------------------------------------- forward

    def output(self, reference: str, index: Index) -> Opened:
        """Return a number of a node's output, or of the data."""
        path = reference.partition(".")[0]
        if path in self.step.columns:
            return Opened("", entry(path, index), number_at(self.step.columns[path], index, path), "from the data")
        node, y = self._node(path), dict(parts(path, self._node(path).output)).get(reference)
        name, value = entry(reference, index), number_at(y, index, reference)
        equations = node.equations
        words = f"{node.layer.kind}: {equations.forward}" if equations else node.layer.kind
        if node.slope is not None and y is not None and node.inputs[0].shape == y.shape:
            x = self._input(node, 0, index)
            slope = float(node.slope[index])
            if np.isclose(x.value * slope, value, rtol=TOLERANCE):  # relu, dropout: times 0, 1, or 1 / kept
                return Opened("", name, value, words, (Part((x, Factor("times", slope))),))
            return Opened("", name, value, words, (Part((x,)),), is_sum=False)
        summands = list(self._inputs_of(node, reference, index))
        if not adds_up([part.value for part in summands], value):
            inputs = [part for part in summands if len(part.factors) > 1]
            largest = sorted(inputs, key=lambda part: -abs(part.factors[1].value))[:MOST_PARTS]
            words += "; not a sum: the inputs that it depends on most, each with its derivative"
            return Opened("", name, value, words, tuple(largest), is_sum=False)
        return summed(name, value, words, summands)

    def _inputs_of(self, node: NodeNumbers, reference: str, index: Index) -> Iterator[Part]:
        """Yield the inputs times the derivatives of an output by them, and a bias."""
        y, pull_back = jax.vjp(lambda params, *xs: self._run(node, params, xs, reference), node.params, *node.inputs)
        grads, *slopes = pull_back(jnp.zeros_like(y).at[index].set(1))
        is_dense = isinstance(node.layer, Dense)
        for which, slope in enumerate(slopes):
            if slope.dtype == jax.dtypes.float0:  # of integers
                continue
            slope = np.asarray(slope)
            for at in places(slope):
                name = entry(f"{node.path}/weight", (at[-1], index[-1])) if is_dense else "weight"
                yield Part((self._input(node, which, at), Factor(name, float(slope[at]))))
        if "bias" in grads:
            slope = np.asarray(grads["bias"])
            for at in places(slope):
                value = float(slope[at])
                bias = Factor(entry(f"{node.path}/bias", at), float(node.params["bias"][at]))
                yield Part((bias,) if value == 1 else (bias, Factor("times", value)))

    def _input(self, node: NodeNumbers, which: int, index: Index) -> Factor:
        reference = node.node.inputs[which]
        name = entry(reference, index)
        return Factor(name, float(node.inputs[which][index]), f"output:{name}")

    # ------------------------------------------------------------------------------------------------------- backward

    def delta(self, reference: str, index: Index) -> Opened:
        """Return a number of a node's delta, the sum of what its readers pass back."""
        node = self._node(reference.partition(".")[0])
        name = f"δ {entry(reference, index)}"
        value = number_at(dict(parts(node.path, node.delta)).get(reference), index, reference)
        contributions = [part for part in node.contributions if part.reference == reference]
        words = ", ".join(part.source for part in contributions)
        summands = [part for contribution in contributions for part in self._handed_back(contribution, index)]
        return self._chained(name, value, f"∂L/∂ {entry(reference, index)}, passed back by {words}", summands)

    def _handed_back(self, contribution: Contribution, index: Index) -> Iterator[Part]:
        reader = self.nodes.get(contribution.source)
        if reader is None:  # an objective
            yield Part(
                (Factor(f"∂{contribution.source}/∂ {contribution.reference}", float(contribution.values[index])),)
            )
            return
        for which, reference in enumerate(reader.node.inputs):
            if reference != contribution.reference:
                continue
            if reader.slope is not None and reader.slope.shape == np.shape(reader.inputs[which]):
                name = f"slope of {reader.layer.kind}"
                yield Part((Factor(name, float(reader.slope[index])), self._delta(reader.path, reader.delta, index)))
                continue
            direction = [jnp.zeros_like(x) for x in reader.inputs]
            direction[which] = direction[which].at[index].set(1)
            yield from self._chain(reader, jax.tree.map(jnp.zeros_like, reader.params), direction, index, "")

    def gradient(self, path: str, index: Index) -> Opened:
        """Return a number of a parameter's gradient: the sum of output derivatives by it, each times the delta."""
        owner = next((parameter for parameter in self.step.parameters if parameter.path == path), None)
        if owner is None:
            raise UsageError(f"there is no parameter '{path}'", where=path)
        value = number_at(owner.gradient, index, path)
        summands: list[Part] = []
        for use in owner.uses:
            node = self.nodes[use]
            names = {shared.removesuffix(TRANSPOSED): name for name, shared in node.node.share}
            name = names.get(path, path.rpartition("/")[2])
            is_transposed = f"{path}{TRANSPOSED}" in dict(node.node.share).values()
            direction = jax.tree.map(jnp.zeros_like, node.params)
            at = index[::-1] if is_transposed else index
            direction[name] = direction[name].at[at].set(1)
            summands += self._chain(node, direction, [jnp.zeros_like(x) for x in node.inputs], at, name)
        name = f"∂L/∂ {entry(path, index)}"
        words = "for each output number that the weight affects: its derivative by the weight, times its delta"
        return self._chained(name, value, words, summands)

    def _chain(self, node: NodeNumbers, params: Any, inputs: list[Any], index: Index, of: str) -> Iterator[Part]:
        """Yield dy_k/d(direction) times the delta of y_k; `of` names the parameter, and is empty for an input."""
        for reference, delta in parts(node.path, node.delta):
            exact = [i for i, x in enumerate(node.inputs) if np.issubdtype(np.asarray(x).dtype, np.floating)]

            def run(params: Any, *moving: Any, reference: str = reference, exact: list[int] = exact) -> Any:
                xs = list(node.inputs)
                for i, x in zip(exact, moving, strict=True):
                    xs[i] = x
                return self._run(node, params, tuple(xs), reference)

            fixed = (jax.tree.map(jnp.asarray, node.params), *(jnp.asarray(node.inputs[i]) for i in exact))
            _, slopes = jax.jvp(run, fixed, (params, *(inputs[i] for i in exact)))
            slopes = np.asarray(slopes)
            for k in places(slopes):
                yield Part((self._slope(node, k, index, of, float(slopes[k])), self._delta(reference, delta, k)))

    def _slope(self, node: NodeNumbers, k: Index, index: Index, of: str, value: float) -> Factor:
        """Return the derivative of an output by a number; in a dense layer this is a weight or an input."""
        if isinstance(node.layer, Dense) and not of:
            return Factor(entry(f"{node.path}/weight", (index[-1], k[-1])), value)
        if isinstance(node.layer, Dense) and of == "weight":
            return self._input(node, 0, (*k[:-1], index[0]))
        if isinstance(node.layer, Dense):
            return Factor("1", value)
        return Factor(f"∂{entry(node.path, k)}/∂{of or 'x'}", value)

    def _delta(self, reference: str, delta: np.ndarray, index: Index) -> Factor:
        return Factor(f"δ {entry(reference, index)}", float(delta[index]), delta_key(reference, index))

    def _chained(self, name: str, value: float, words: str, summands: list[Part]) -> Opened:
        if not adds_up([part.value for part in summands], value):
            words += "; backward is not the derivative of forward here, so the parts do not add up to it"
            return replace(summed(name, value, words, summands), is_sum=False)
        return summed(name, value, words, summands)

    # ---------------------------------------------------------------------------------------------------------- layers

    def _node(self, path: str) -> NodeNumbers:
        if path not in self.nodes:
            raise UsageError(f"there is no node '{path}'", where=path)
        return self.nodes[path]

    def _run(self, node: NodeNumbers, params: Any, inputs: tuple[Any, ...], reference: str) -> jax.Array:
        """Return an output of a layer, as it was in the step."""
        state = {name: jnp.asarray(before) for name, (before, _) in node.state.items()}
        train = self.ctx.train and not (node.node.frozen and state)
        ctx = replace(self.ctx, train=train, path=node.path)
        y = node.layer.forward(params, state, ctx, *map(jnp.asarray, inputs)).y
        for part in reference.split(".")[1:]:
            y = y[part]
        return jnp.asarray(y)


def places(slopes: Any) -> Iterable[Index]:
    """Return the indices of an array's nonzero entries."""
    return [tuple(map(int, at)) for at in np.argwhere(np.asarray(slopes) != 0)]


def number_at(array: Any, index: Index, where: str) -> float:
    """Return a number of an array.

    Raises:  UsageError for an index outside its shape
    """
    if array is None:
        raise UsageError("there is no such number", where=where)
    shape = np.shape(array)
    if len(index) != len(shape) or any(i >= size for i, size in zip(index, shape, strict=True)):
        raise UsageError(
            f"the shape is {list(shape)}", where=entry(where, index), cure="give one index per axis, from 0"
        )
    return float(array[index])


def adds_up(values: list[float], total: float) -> bool:
    """Return whether numbers add up to a total, up to the rounding error of the largest."""
    return abs(sum(values) - total) <= TOLERANCE * max([abs(total), 1e-30, *map(abs, values)])


def summed(name: str, value: float, words: str, summands: list[Part]) -> Opened:
    """Return a number with its largest parts; zeros are left out."""
    ordered = sorted((part for part in summands if part.value), key=lambda part: -abs(part.value))
    rest = ordered[MOST_PARTS:]
    return Opened("", name, value, words, tuple(ordered[:MOST_PARTS]), len(rest), sum(part.value for part in rest))
