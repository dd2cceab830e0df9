"""The contract that every layer and loss keeps; `check_layer` is for the authors of layers, ours and yours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from retrograd.backprop.backprop import adjoint, record
from retrograd.base.schema import dump_registered, parse_registered
from retrograd.network.layer import Context, Input, Layer, Spec, layers
from retrograd.network.losses.loss import Loss, losses

Tree = Any

EXACT = 1e-10  # float64: two ways to write one derivative differ by round-off alone
DIFFERENCE = 1e-7  # a central difference with step 1e-5 is right to about 1e-10, its round-off to about 1e-9
SAME = 1e-12  # the same arithmetic, compiled otherwise


class ContractError(AssertionError):
    """A layer breaks the contract; the message lists every broken clause."""


def check_layer(layer: Layer, *inputs: Input | Sequence[int] | np.ndarray, seed: int = 0) -> None:
    """Check forward against backward for inputs like these (shapes, `Input`s, or arrays), in and out of training.

    Raises:  ContractError with each broken clause: the tensor, the error found and the one allowed.
    """
    broken = [f"{mode}: {clause}" for mode in ("eval", "train") for clause in violations(layer, inputs, mode == "train", seed)]
    if broken:
        raise ContractError(f"{layer} breaks the contract\n" + "\n".join(f"  {clause}" for clause in broken))


def violations(layer: Layer, inputs: Sequence[Any], train: bool, seed: int = 0) -> Iterator[str]:
    """Yield each clause of the contract that a layer breaks in one mode."""
    described = [given if isinstance(given, (Input, np.ndarray)) else Input(tuple(given)) for given in inputs]
    rng = np.random.default_rng(seed)
    arrays = [draw_input(rng, given) if isinstance(given, Input) else given for given in described]
    with jax.enable_x64(True):
        trial = Trial(layer, arrays, train, rng)
        yield from trial.structure()
        yield from trial.against_vjp()
        if not layer.surrogate:
            yield from trial.against_difference()
        yield from trial.across_jit()
        yield from trial.one_by_one()
    yield from dtypes(layer, arrays, train)
    yield from round_trip(layer)


class Trial:
    """One layer with inputs, parameters, state and an arriving delta, all float64."""

    def __init__(self, layer: Layer, arrays: Sequence[np.ndarray], train: bool, rng: np.random.Generator) -> None:
        self.layer, self.inputs = layer, tuple(jnp.asarray(a) for a in arrays)
        self.ctx = Context(train, jax.random.key(7), "check")
        first = layer.init(jax.random.key(3), *(Spec(a.shape, a.dtype) for a in self.inputs))
        self.params = jax.tree.map(lambda p: _moved(p, rng), first.params)  # off zero, so that no term hides
        self.state = jax.tree.map(_wide, first.state)
        self.step = record(layer, self.params, self.state, self.ctx, self.inputs)
        self.dy = jax.tree.map(lambda y: jnp.asarray(rng.normal(size=y.shape), y.dtype), self.step.y)
        self.back = adjoint(layer, self.params, self.step.tape, self.dy)
        self.smooth = [i for i, x in enumerate(self.inputs) if jnp.issubdtype(x.dtype, jnp.inexact)]
        self.smooth = [i for i in self.smooth if i < len(self.back.inputs) and self.back.inputs[i] is not None]
        self.rng = rng

    def y(self, params: Tree, chosen: Sequence[Array]) -> Tree:
        """Return the output for other parameters and other differentiable inputs."""
        full = list(self.inputs)
        for i, x in zip(self.smooth, chosen, strict=True):
            full[i] = x
        return self.layer.forward(params, self.state, self.ctx, *full).y

    @property
    def found(self) -> tuple[Tree, list[Any]]:
        """The gradients and deltas that backward returned."""
        return self.back.grads, [self.back.inputs[i] for i in self.smooth]

    @property
    def at(self) -> tuple[Tree, list[Array]]:
        """The parameters and inputs that they belong to."""
        return self.params, [self.inputs[i] for i in self.smooth]

    def structure(self) -> Iterator[str]:
        """One delta per input; gradients and state keep names, shapes and dtypes."""
        if len(self.back.inputs) != len(self.inputs):
            yield f"backward returns {len(self.back.inputs)} deltas for {len(self.inputs)} inputs"
        yield from _differences("grads", self.params, self.back.grads)
        yield from _differences("state", self.state, self.step.state)
        for i in self.smooth:
            yield from _differences(f"delta of input {i}", self.inputs[i], self.back.inputs[i])

    def against_vjp(self) -> Iterator[str]:
        """Backward is the adjoint that jax.vjp derives from forward."""
        _, pull_back = jax.vjp(self.y, *self.at)
        yield from _compare("jax.vjp", pull_back(self.dy), self.found, EXACT)

    def against_difference(self) -> Iterator[str]:
        """Along a random direction, the central difference of forward is what backward says."""
        direction = jax.tree.map(lambda a: jnp.asarray(self.rng.normal(size=a.shape), a.dtype), self.at)
        step = 1e-5

        def value(sign: float) -> float:
            moved = jax.tree.map(lambda a, d: a + sign * step * d, self.at, direction)
            return float(_inner(self.y(*moved), self.dy))

        numeric = (value(1) - value(-1)) / (2 * step)
        try:
            analytic = float(_inner(self.found, direction))
        except (ValueError, TypeError):
            return  # `structure` has said that the trees differ
        largest = max(abs(numeric), abs(analytic), 1e-2 * float(_norm(self.found)), 1e-6)
        error = abs(numeric - analytic) / largest
        if not error <= DIFFERENCE:
            yield f"central difference along a random direction: {numeric:.9g}, backward says {analytic:.9g} (error {error:.1e}, allowed {DIFFERENCE:.0e})"

    def across_jit(self) -> Iterator[str]:
        """Forward and backward, compiled apart with the tape passed between them, give the same numbers."""
        run = jax.jit(lambda p, s, key, xs: record(self.layer, p, s, Context(self.ctx.train, key, "check"), xs))
        step = run(self.params, self.state, self.ctx.key, self.inputs)
        yield from _compare("jit of forward", self.step.y, step.y, SAME)
        if self.layer.derivation == "written":
            back = jax.jit(lambda p, tape, dy: adjoint(self.layer, p, tape, dy))(self.params, step.tape, self.dy)
            yield from _compare("jit of backward", self.back, back, SAME)

    def one_by_one(self) -> Iterator[str]:
        """A batch is its examples one by one, unless the layer says that it mixes them."""
        rows = self.inputs[0].shape[0] if self.inputs and self.inputs[0].ndim else 0
        if self.layer.mixes_batch or rows < 2:
            return
        for i in (0, rows - 1):
            alone = tuple(x[i : i + 1] for x in self.inputs)
            step = record(self.layer, self.params, self.state, self.ctx, alone)
            whole = jax.tree.map(lambda y, i=i: y[i : i + 1], self.step.y)
            yield from _compare(f"row {i} alone", whole, step.y, SAME)


def dtypes(layer: Layer, arrays: Sequence[np.ndarray], train: bool) -> Iterator[str]:
    """The output and the deltas have the dtype of the input; gradients have that of the parameters."""
    for dtype in (jnp.float32, jnp.bfloat16):
        if isinstance(layer, Loss) and dtype == jnp.bfloat16:
            continue  # losses are computed in float32 whatever the network computes in
        inputs = tuple(jnp.asarray(a, dtype if a.dtype.kind == "f" else None) for a in arrays)
        params, state = layer.init(jax.random.key(3), *(Spec(a.shape, a.dtype) for a in inputs))
        step = record(layer, params, state, Context(train, jax.random.key(7), "check"), inputs)
        wrong = {y.dtype.name for y in jax.tree.leaves(step.y) if jnp.issubdtype(y.dtype, jnp.inexact)} - {dtype.dtype.name}
        if wrong:
            yield f"a {dtype.dtype.name} input gives a {wrong.pop()} output"
            continue
        back = adjoint(layer, params, step.tape, jax.tree.map(jnp.ones_like, step.y))
        deltas = [delta for delta in back.inputs if delta is not None]
        yield from (f"{dtype.dtype.name}: a delta is {d.dtype.name}" for d in jax.tree.leaves(deltas) if d.dtype != dtype)
        yield from _differences(f"{dtype.dtype.name} grads", params, back.grads)
        yield from _differences(f"{dtype.dtype.name} state", state, step.state)


def round_trip(layer: Layer) -> Iterator[str]:
    """Written to a configuration and read back, the layer is equal to itself."""
    for registry in (layers, losses):
        if type(layer) in {registry[name] for name in registry}:
            for filled in (True, False):
                plain = dump_registered(registry, layer, filled=filled)
                if parse_registered(registry, plain) != layer:
                    yield f"its configuration {plain} reads back as {parse_registered(registry, plain)}"


def draw_input(rng: np.random.Generator, given: Input) -> np.ndarray:
    """Return float64 (or integer, or boolean) values of the kind that an example asks for."""
    return DRAW[given.kind](rng, given)


def _probabilities(rng: np.random.Generator, given: Input) -> np.ndarray:
    positive = rng.uniform(0.1, 1.0, given.shape)
    return positive / positive.sum(-1, keepdims=True)


def _mask(rng: np.random.Generator, given: Input) -> np.ndarray:
    mask = rng.random(given.shape) < 0.6
    mask[..., 0] = True
    return mask


DRAW: dict[str, Callable[[np.random.Generator, Input], np.ndarray]] = {
    "real": lambda rng, given: rng.normal(size=given.shape),
    "positive": lambda rng, given: rng.uniform(0.1, 2.0, given.shape),
    "probabilities": _probabilities,
    "labels": lambda rng, given: rng.integers(0, given.classes, given.shape).astype(np.int32),
    "binary": lambda rng, given: rng.integers(0, 2, given.shape).astype(np.float64),
    "signs": lambda rng, given: rng.integers(0, 2, given.shape) * 2.0 - 1.0,
    "mask": _mask,
}


# ---------------------------------------------------------------------------------------------------------- comparing


def _moved(param: Array, rng: np.random.Generator) -> Array:
    return jnp.asarray(np.asarray(param, np.float64) + 0.1 * rng.normal(size=param.shape))


def _wide(value: Array) -> Array:
    return value.astype(jnp.float64) if jnp.issubdtype(value.dtype, jnp.floating) else value


def _inner(a: Tree, b: Tree) -> Array:
    return sum((jnp.vdot(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)), jnp.zeros(()))


def _norm(tree: Tree) -> Array:
    return jnp.sqrt(sum((jnp.sum(jnp.abs(x) ** 2) for x in jax.tree.leaves(tree)), jnp.zeros(())))


def _differences(what: str, expected: Tree, found: Tree) -> Iterator[str]:
    """Name every difference in structure, shape or dtype between two trees."""
    wanted = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(expected)}
    got = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(found)}
    yield from (f"{what}{path}: missing" for path in wanted if path not in got)
    yield from (f"{what}{path}: unexpected" for path in got if path not in wanted)
    for path in wanted.keys() & got.keys():
        a, b = wanted[path], got[path]
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            yield f"{what}{path}: expected {a.dtype.name}{list(a.shape)}, got {b.dtype.name}{list(b.shape)}"


def _compare(what: str, expected: Tree, found: Tree, allowed: float) -> Iterator[str]:
    """Name every tensor whose error by norm is larger than allowed; the largest tensor floors the denominator."""
    wanted = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(expected)}
    got = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(found)}
    floor = max([1e-6, *(1e-3 * float(_norm(leaf)) for leaf in wanted.values())])
    for path in wanted.keys() & got.keys():
        a, b = wanted[path], got[path]
        if a.shape != b.shape or a.size == 0:
            continue
        error = float(_norm(a - b)) / max(float(_norm(a)), floor) if jnp.issubdtype(a.dtype, jnp.inexact) else float((a != b).any())
        if not error <= allowed:
            yield f"{what}{path}: relative error {error:.1e}, allowed {allowed:.0e}"
