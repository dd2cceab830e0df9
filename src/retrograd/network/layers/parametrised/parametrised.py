"""The base of parametrisations: an inner layer whose weights are computed from other, trained numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Registered, Words
from retrograd.base.errors import ConfigError, Problem, ShapeError, did_you_mean
from retrograd.base.schema import unwritten
from retrograd.network.layer import Backward, Context, Equations, Forward, Init, Layer, Params, Spec, State, layers


@dataclass(frozen=True)
class Parametrised(Layer):
    """Another layer with some weights computed from trained numbers, as a subclass defines in `make`.

    The inner layer and the readers of its output are unaffected. `parameters` names the weights; by default all with
    at least two axes whose name ends in `weight`, for all gates, heads and directions.
    """

    layer: Annotated[Layer, Registered(layers), Words("the inner layer, e.g. {dense: 64}")]
    parameters: Annotated[
        tuple[str, ...], Words("which of its parameters, e.g. [recurrent_weight]", why="all its weights")
    ] = ()

    def first(self, key: Array, name: str, weight: Array) -> Init:
        """Return the additional parameters and state for a weight with these initial values."""
        raise unwritten(self, "first(self, key, name, weight)", "which returns Init(params, state)")

    def make(self, params: Params, state: State, name: str, train: bool) -> tuple[Array, Any, State]:
        """Return a weight, the tape for `make_back`, and new state."""
        raise unwritten(self, "make(self, params, state, name, train)", "which returns (weight, tape, state)")

    def make_back(self, params: Params, tape: Any, name: str, dw: Array) -> Params:
        """Return the gradients of the numbers that a weight was computed from."""
        raise unwritten(self, "make_back(self, params, tape, name, dw)", "the adjoint of `make`")

    @override
    def rules(self) -> Iterator[Problem]:
        kind = self.layer.kind
        if self.layer.is_stack:
            yield Problem("layer", f"{kind} expands to several layers", "write them as separate entries")
        if self.layer.wrapped is not None:
            yield Problem("layer", f"{kind} is a parametrisation itself", "choose one")
        if self.layer.derivation != "written":
            yield Problem("layer", f"{kind} has no backward of its own", "write one")

    @property
    @override
    def wrapped(self) -> Layer | None:
        return self.layer

    @property
    def mixes_batch(self) -> bool:  # type: ignore[override]  # as the inner layer
        """Whether the inner layer does."""
        return self.layer.mixes_batch

    @property
    def multiplies(self) -> bool:  # type: ignore[override]  # as the inner layer
        """Whether the inner layer does."""
        return self.layer.multiplies

    @property
    def surrogate(self) -> str:
        """That of the inner layer."""
        return self.layer.surrogate

    @override
    def formulas(self) -> Equations | None:
        own, inner = self.equations, self.layer.formulas()
        if inner is None:
            return own
        return Equations(
            f"{own.forward}; {inner.forward}",
            (*inner.backward, *own.backward),
            rf"{own.latex_forward}, \quad {inner.latex_forward}",
            (*inner.latex_backward, *own.latex_backward),
        )

    @override
    def reading(self, names: Sequence[str]) -> Layer:
        return replace(self, layer=self.layer.reading(names))

    @override
    def init(self, key: Array, *inputs: Spec) -> Init:
        inner = self.layer.init(key, *inputs)
        params, state = dict(inner.params), dict(inner.state)
        for name in self.meant(inner.params):
            more = self.first(key, name, params[name])
            params |= more.params
            state |= more.state
        return Init(params, state)

    @override
    def forward(self, params: Params, state: State, ctx: Context, *inputs: Any) -> Forward:
        weights, tapes, new = self.made(params, state, ctx.train)
        step = self.layer.forward({**params, **weights}, state, ctx, *inputs)
        return Forward(step.y, (step.tape, weights, tapes), {**state, **step.state, **new})

    def backward(self, params: Params, tape: Any, dy: Any) -> Backward:
        """Go back through the inner layer, and from each weight's gradient to those of its trained numbers."""
        inner, weights, tapes = tape
        back = self.layer.backward({**params, **weights}, inner, dy)
        grads = dict(back.grads)
        for name in weights:
            grads |= self.make_back(params, tapes[name], name, grads[name])
        return Backward(back.inputs, grads)

    def made(self, params: Params, state: State, train: bool = False) -> tuple[Params, dict[str, Any], State]:
        """Return the weights by name, what the way back needs of each, and new state."""
        weights: Params = {}
        tapes: dict[str, Any] = {}
        new: State = {}
        for name in self.meant(params):
            weights[name], tapes[name], after = self.make(params, state, name, train)
            new |= after
        return weights, tapes, new

    def meant(self, params: Mapping[str, Any]) -> list[str]:
        """Return the names of the weights that are made.

        Raises:  ConfigError where there is no such parameter; ShapeError where it is no matrix
        """
        if not self.parameters:
            names = [name for name, value in params.items() if name.endswith("weight") and value.ndim > 1]
            if not names:
                raise ConfigError(f"{self.layer.kind} has no weights", where="layer", cure="choose a layer that has")
            return names
        for name in self.parameters:
            if name not in params:
                raise ConfigError(f"{self.layer.kind} has no parameter '{name}'", where="parameters",
                                  cure=did_you_mean(name, params))  # fmt: skip
            if params[name].ndim < 2:
                raise ShapeError(f"'{name}' has one axis, expected a matrix", where="parameters")
        return list(self.parameters)
