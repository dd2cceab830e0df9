"""The contract of every layer and loss; authors of layers can call `check_layer`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from retrograd.base.schema import dump, parse
from retrograd.checking.draw import draw_input
from retrograd.network.layer import Context, Forward, Input, Layer, Spec
from retrograd.network.losses.loss import Loss
from retrograd.present.numbers import number
from retrograd.propagation.one_layer import adjoint, run_layer

Tree = Any

EXACT = 1e-10  # in float64, two forms of one derivative differ only by round-off
DIFFERENCE = 1e-7  # a central difference with step 1e-5 is accurate to about 1e-10, with round-off of about 1e-9
SAME = 1e-12  # for the same arithmetic in other shapes


class ContractError(AssertionError):
    """A layer breaks the contract; the message lists every broken clause."""


def check_layer(layer: Layer, *inputs: Input | Sequence[int] | np.ndarray, seed: int = 0) -> None:
    """Check backward against forward for inputs like these (shapes, `Input`s or arrays), in training and evaluation.

    Raises:  ContractError with each broken clause: the tensor, its error and the allowed error
    """
    broken = [f"eval: {clause}" for clause in violations(layer, inputs, train=False, seed=seed)]
    if program(layer, inputs, train=True) != program(layer, inputs, train=False):
        broken += [f"train: {clause}" for clause in violations(layer, inputs, train=True, seed=seed)]
    broken += description(layer)
    if broken:
        raise ContractError(f"{layer} breaks the contract\n" + "\n".join(f"  {clause}" for clause in broken))


def violations(layer: Layer, inputs: Sequence[Any], train: bool, seed: int = 0) -> list[str]:
    """Return each clause of the contract that a layer breaks in one mode."""
    rng = np.random.default_rng(seed)
    specs = _described(inputs)
    arrays = [draw_input(rng, spec) if isinstance(spec, Input) else spec for spec in specs]
    smooth = [i for i, spec in enumerate(specs) if _differentiable(spec)]
    smooth = smooth[: layer.predictions] if isinstance(layer, Loss) else smooth  # a loss needs no delta for its targets
    with jax.enable_x64(True):
        trial = Trial(layer, arrays, smooth, train, rng)
        broken = [*trial.crossing(), *trial.structure(), *trial.against_vjp()]
        if not broken:  # otherwise the following clauses would only repeat the failure
            broken = [*([] if layer.surrogate else trial.against_difference()), *trial.one_by_one()]
    return [*broken, *dtypes(layer, arrays, train)]


class Trial:
    """One layer with inputs, parameters, state and an incoming delta, all float64.

    Forward and a backward written by the author are compiled separately, with the tape passed between them. `required`
    are the inputs for which backward must return a delta. `at` are the tensors to differentiate with respect to, and
    `derivatives` the derivatives returned by backward, both by name: `weight`, `input 0`.
    """

    def __init__(
        self, layer: Layer, arrays: Sequence[np.ndarray], required: Sequence[int], train: bool, rng: np.random.Generator
    ) -> None:
        self.layer, self.inputs, self.required, self.rng = layer, tuple(jnp.asarray(a) for a in arrays), required, rng
        self.ctx = Context(train, jax.random.key(7), "check")
        specs = [Spec(a.shape, a.dtype) for a in self.inputs]
        first = jax.jit(lambda key: layer.init(key, *specs))(jax.random.key(3))
        self.params = jax.tree.map(lambda p: _moved(p, rng), first.params)  # away from zero, which could hide terms
        self.state = jax.tree.map(_wide, first.state)
        self.forward, self.stays_inside = jax.jit(self.run), ""
        try:
            step = self.forward(self.params, self.state, self.inputs)
            # the tape of a derived backward is a program of its own, which every forward would compile anew
            self.derive(step, step.tape if layer.derivation == "written" else None)
        except TypeError as error:  # decisions made by forward while tracing belong in a `Static`
            self.stays_inside = str(error).splitlines()[0]
            self.derive(jax.jit(self.without_tape)(self.params, self.state, self.inputs), None)
        self.at = {name: value for name, value in self.named(self.params, self.inputs).items() if name in self.expected}

    def derive(self, step: Forward, tape: Any) -> None:
        """Draw a delta for the output, and compute the derivatives by backward and by jax.vjp."""
        self.output, self.after = step.y, step.state
        self.dy = jax.tree.map(lambda y: jnp.asarray(self.rng.normal(size=y.shape), y.dtype), step.y)
        self.derivatives, self.expected = jax.jit(self.both)(self.params, self.state, self.inputs, tape, self.dy)

    def run(self, params: Tree, state: Tree, inputs: Any) -> Forward:
        """Run forward."""
        return self.layer.forward(params, state, self.ctx, *inputs)

    def back(self, params: Tree, tape: Any, dy: Any) -> dict[str, Any]:
        """Run backward and return its results by name."""
        back = adjoint(self.layer, params, tape, dy)
        if len(back.inputs) != len(self.inputs):
            raise ContractError(
                f"{self.layer}: backward returns {len(back.inputs)} deltas for {len(self.inputs)} inputs"
            )
        return self.named(back.grads, back.inputs)

    def without_tape(self, params: Tree, state: Tree, inputs: Any) -> Forward:
        """Run forward without the tape."""
        return self.run(params, state, inputs)._replace(tape=())

    def both(self, params: Tree, state: Tree, inputs: Any, tape: Any, dy: Any) -> Any:
        """Return the derivatives by backward and by jax.vjp; without a tape, forward is run to record one."""
        if tape is None:
            tape = run_layer(self.layer, params, state, self.ctx, inputs).tape
        back = self.back(params, tape, dy)
        reals = [x if jnp.issubdtype(x.dtype, jnp.inexact) else None for x in inputs]
        at = {name: value for name, value in self.named(params, reals).items() if name in params or name in back}

        def y(at: Mapping[str, Any]) -> Tree:
            full = tuple(at.get(f"input {i}", x) for i, x in enumerate(inputs))
            return self.run({name: at[name] for name in params}, state, full).y

        return back, jax.vjp(y, at)[1](dy)[0]

    @staticmethod
    def named(params: Tree, inputs: Sequence[Any]) -> dict[str, Any]:
        """Return parameters and inputs (or their gradients) by name, without None."""
        return {**params, **{f"input {i}": x for i, x in enumerate(inputs) if x is not None}}

    def structure(self) -> Iterator[str]:
        """Gradients and state have the right names, shapes and dtypes; no delta is missing."""
        if any(y.dtype == jnp.float32 for y in jax.tree.leaves(self.output)):
            yield "a float64 input gives a float32 output"
        expected = {**self.at, **{f"input {i}": self.inputs[i] for i in self.required}}
        yield from _differences("gradient of ", expected, self.derivatives)
        yield from _differences("state ", self.state, self.after)

    def against_vjp(self) -> Iterator[str]:
        """Backward is the adjoint that jax.vjp derives from forward."""
        yield from _compare("jax.vjp: gradient of ", self.expected, self.derivatives, EXACT)

    def against_difference(self) -> Iterator[str]:
        """For each tensor, the central difference of forward along a random direction agrees with backward."""
        step = 1e-5
        least = max([1e-6, *(1e-2 * _norm(derivative) for derivative in self.derivatives.values())])

        def value(name: str, tensor: np.ndarray) -> float:
            params = {**self.params, name: tensor} if name in self.params else self.params
            inputs = tuple(tensor if name == f"input {i}" else x for i, x in enumerate(self.inputs))
            return _inner(self.forward(params, self.state, inputs).y, self.dy)

        for name, at in self.at.items():
            at, direction = np.asarray(at), self.rng.normal(size=at.shape)
            numeric = (value(name, at + step * direction) - value(name, at - step * direction)) / (2 * step)
            analytic = _inner(self.derivatives[name], direction)
            error = abs(numeric - analytic) / max(abs(numeric), abs(analytic), least)
            if not error <= DIFFERENCE:
                yield (
                    f"central difference: gradient of {name}: {number(numeric, 9)} along a random direction, "
                    f"backward {number(analytic, 9)} (error {number(error, 2)}, allowed {number(DIFFERENCE, 1)})"
                )

    def crossing(self) -> Iterator[str]:
        """The tape can be returned from a compiled program."""
        if self.stays_inside:
            yield f"the tape cannot be returned from jit: {self.stays_inside}"

    def one_by_one(self) -> Iterator[str]:
        """A batch gives the same results as its examples one by one, unless the layer declares that it mixes them."""
        rows = self.inputs[0].shape[0] if self.inputs and self.inputs[0].ndim else 0
        if self.layer.mixes_batch or rows < 2:
            return
        for i in (0, rows - 1):
            alone = self.forward(self.params, self.state, tuple(np.asarray(x)[i : i + 1] for x in self.inputs)).y
            whole = jax.tree.map(lambda y, i=i: np.asarray(y)[i : i + 1], self.output)
            yield from _compare(f"row {i} alone", whole, alone, SAME)


def dtypes(layer: Layer, arrays: Sequence[np.ndarray], train: bool) -> Iterator[str]:
    """Output and deltas have the dtype of the input, gradients that of the parameters. Nothing is computed."""
    reals = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    for dtype in (jnp.dtype(jnp.float32), jnp.dtype(jnp.bfloat16)):
        if dtype == jnp.bfloat16 and (isinstance(layer, Loss) or not reals):
            continue  # losses, and layers that read no real numbers, compute in float32 whatever the network's dtype
        specs = [
            Spec(a.shape, dtype if i in reals else jax.dtypes.canonicalize_dtype(a.dtype)) for i, a in enumerate(arrays)
        ]

        first, after, y, deltas = jax.eval_shape(_once(layer, specs, train), jax.random.key(3), *specs)
        for what, tree in (("output", y), ("delta", deltas)):
            kinds = {leaf.dtype for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.inexact)}
            yield from (f"a {dtype.name} input gives a {wrong.name} {what}" for wrong in kinds - {dtype})
        for what, expected, actual in zip(("gradient of ", "state "), first, after, strict=True):
            yield from _differences(f"{dtype.name}: {what}", expected, actual)


def _once(layer: Layer, specs: Sequence[Spec], train: bool) -> Callable[..., Any]:
    """Return the function from key and inputs to variables, gradients and state, output and deltas of a layer."""

    def run(key: Array, *inputs: Any) -> Any:
        params, state = layer.init(key, *specs)
        step = run_layer(layer, params, state, Context(train, key, "check"), inputs)
        back = adjoint(layer, params, step.tape, jax.tree.map(jnp.ones_like, step.y))
        return (params, state), (back.grads, step.state), step.y, back.inputs

    return run


def program(layer: Layer, inputs: Sequence[Any], train: bool) -> str:
    """Return the program of a layer in one mode as text: if both modes have the same, one check suffices."""
    arrays = [draw_input(np.random.default_rng(0), x) if isinstance(x, Input) else x for x in _described(inputs)]
    specs = [Spec(a.shape, jax.dtypes.canonicalize_dtype(a.dtype)) for a in arrays]
    traced = jax.make_jaxpr(_once(layer, specs, train))(jax.random.key(3), *specs)
    return f"{traced} {[np.asarray(constant).tolist() for constant in traced.consts]}"


def description(layer: Layer) -> Iterator[str]:
    """The layer is hashable, and equal to itself after being written to a configuration and read back."""
    try:
        hash(layer)
    except TypeError as error:
        yield f"it cannot be hashed: {error}"
    for filled in (True, False):
        plain = dump(layer, filled=filled)
        if (copy := parse(type(layer), plain)) != layer:
            yield f"its configuration {plain} reads back as {copy}"


# ---------------------------------------------------------------------------------------------------------- comparing


def _described(inputs: Sequence[Any]) -> list[Input | np.ndarray]:
    return [spec if isinstance(spec, (Input, np.ndarray)) else Input(tuple(spec)) for spec in inputs]


def _differentiable(spec: Input | np.ndarray) -> bool:
    return spec.differentiable if isinstance(spec, Input) else spec.dtype.kind == "f"


def _moved(param: Array, rng: np.random.Generator) -> Array:
    return jnp.asarray(np.asarray(param, np.float64) + 0.1 * rng.normal(size=param.shape))


def _wide(value: Array) -> Array:
    return value.astype(jnp.float64) if jnp.issubdtype(value.dtype, jnp.floating) else value


def _inner(a: Tree, b: Tree) -> float:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return float(sum(np.vdot(np.asarray(x), np.asarray(y)) for x, y in pairs))


def _norm(array: Any) -> float:
    return float(np.linalg.norm(np.asarray(array, np.float64)))


def _named(tree: Tree) -> dict[str, Any]:
    """Return the leaves of a tree by path: `weight`; the path of a single array is empty."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def _differences(what: str, expected: Tree, actual: Tree) -> Iterator[str]:
    """List every difference in structure, shape or dtype between two trees."""
    left, right = _named(expected), _named(actual)
    yield from (f"{what}{name}: missing" for name in left if name not in right)
    yield from (f"{what}{name}: unexpected" for name in right if name not in left)
    for name in left.keys() & right.keys():
        a, b = left[name], right[name]
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            yield f"{what}{name}: expected {a.dtype.name}{list(a.shape)}, found {b.dtype.name}{list(b.shape)}"


def _compare(what: str, expected: Tree, actual: Tree, allowed: float) -> Iterator[str]:
    """List every tensor whose relative error in norm exceeds `allowed`; the largest tensor bounds the denominator."""
    left, right = _named(expected), _named(actual)
    floor = max([1e-6, *(1e-3 * _norm(leaf) for leaf in left.values())])
    for name in left.keys() & right.keys():
        a, b = np.asarray(left[name]), np.asarray(right[name])
        if a.shape != b.shape:
            continue  # reported by `_differences`
        error = _norm(a - b) / max(_norm(a), floor) if a.dtype.kind == "f" else float((a != b).any())
        if not error <= allowed:
            yield f"{what}{name}: relative error {number(error, 2)}, allowed {number(allowed, 1)}"
