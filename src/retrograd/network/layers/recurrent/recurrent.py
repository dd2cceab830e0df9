"""The base of recurrent layers: settings, initial values, directions, and the products around the loop."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import jax.numpy as jnp
from jax import Array, lax
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import ConfigError, Problem, UsageError
from retrograd.base.quantities import Fraction, PositiveInt
from retrograd.base.schema import unwritten
from retrograd.base.sentence import entry_setting
from retrograd.native.matrix import transposed_product, transposed_product_by_xla
from retrograd.native.recurrence import Gradients, Loop, gradients_natively
from retrograd.network.initializers import FIRST_BIAS, GlorotUniform, Initial, InitialOrNone, Orthogonal, Zeros, draw
from retrograd.network.layer import (
    Backward,
    Context,
    Forward,
    Init,
    Layer,
    Params,
    Spec,
    State,
    Static,
    Units,
    expect_features,
    rows,
)
from retrograd.network.layers.noise.dropout import Dropout
from retrograd.network.layers.recurrent.beginnings import masked_start
from retrograd.network.layers.recurrent.directions import Merging, merged, parted
from retrograd.network.layers.recurrent.through_time import Borders, States, Walk, cuts, states_before, walk, walk_back

GLOROT, ORTHOGONAL, ZEROS = GlorotUniform(), Orthogonal(), Zeros()
REVERSE = "reverse_"  # prefix of parameters of the direction that reads from the end


@dataclass(frozen=True)
class Recurrent(Layer):
    """A state updated at each step of a sequence, by the formula that a subclass defines in `step` and `step_back`.

    `output` is what the next layer reads: the `last` state (one vector per example), the `sequence` of all states (for
    another recurrent layer, or an answer at each step), or `all`: a dict of parts, named as in `inputs: [lstm.last]`.
    `layers` stacks several, in a network as nodes `1`, `2`, ... below the entry's name, with `dropout` between them;
    each reads the mask, and the initial states if given: the same for all, or by layer number, as in
    `inputs: {x: words, last_1: a, last_2: b}`. With `all` the states of every layer can be read: `lstm/1.last`.
    """

    units: Annotated[
        Units, Words("size of the hidden state", more="remembers more; slower", less="faster, remembers less")
    ]
    bidirectional: Annotated[
        bool,
        Words("whether a second pass reads from the end", why="false; a forecast must not see later steps"),
    ] = False
    output: Annotated[
        Literal["last", "sequence", "all"],
        Words("the output: the last state, the sequence, or both", why="last: one vector for the next layer"),
    ] = "last"
    truncate: Annotated[
        PositiveInt | None,
        Words(
            "number of steps through which a gradient is propagated back",
            more="learns longer dependencies; more memory",
            less="less memory, forgets sooner",
            why="none: through the whole sequence",
        ),
    ] = None
    layers: Annotated[
        PositiveInt,
        Words("number of stacked layers", more="can represent more; slower, harder to train", less="faster"),
    ] = 1
    dropout: Annotated[
        Fraction,
        Words(
            "share of values dropped between stacked layers in training",
            more="less overfitting, slower",
            less="less noise",
            why="0: none",
        ),
    ] = 0.0
    bias: Annotated[InitialOrNone, FIRST_BIAS] = ZEROS
    input_weight: Annotated[
        Initial, Words("initial values of the input weights", why="preserves the scale of signals")
    ] = GLOROT
    recurrent_weight: Annotated[
        Initial,
        Words(
            "initial values of the recurrent weights",
            why="orthogonal: repeated products neither vanish nor explode at the start",
        ),
    ] = ORTHOGONAL
    backwards: Annotated[
        bool,
        Words(
            "whether the single pass reads from the end; the sequence keeps its order",
            why="false: sequences are read from the start",
        ),
    ] = dataclasses.field(default=False, kw_only=True)
    merge: Annotated[Merging, Words("how the two directions become one output", why="concat: nothing is lost")] = (
        dataclasses.field(default="concat", kw_only=True)
    )

    gates: ClassVar[int] = 1
    states: ClassVar[tuple[str, ...]] = ("last",)  # names of the parts of `output: all`

    @property
    def widths(self) -> tuple[int, ...]:
        """The width of each state, in one direction."""
        return (int(self.units),) * len(self.states)

    def step(self, params: Params, z: Array, before: States) -> tuple[States, Any]:
        """Return the states after one step, and the tape. z = x W + b is the input's part."""
        raise unwritten(self, "step(self, own, z, before)", "which returns (states after, what backward needs)")

    def step_back(
        self, transposed: Array, deltas: States, before: States, after: States, saved: Any
    ) -> tuple[States, Array]:
        """Return the deltas of the states before a step, and of z. `transposed` is the recurrent weight's transpose."""
        raise unwritten(self, "step_back(self, transposed, deltas, before, after, saved)", "the adjoint of `step`")

    def stepping_back(self, own: Params, transposed: Array) -> Callable[..., tuple[States, Array]]:
        """Return `step_back` bound to the parameters of a direction."""
        return lambda *now: self.step_back(transposed, *now)

    def divided(self, dz: Array) -> tuple[Array, Array | None]:
        """Return the deltas of z, and any further results of `step_back` for `further_gradients`."""
        return dz, None

    def further_gradients(self, params: Params, prefix: str, taken: Walk, dz: Array, beside: Array | None) -> Params:
        """Return the gradients of parameters specific to this cell."""
        return {}

    @property
    def native(self) -> Loop | None:
        """Kernels that do the same steps, if there are any."""
        return None

    def recurrent_deltas(self, dz: Array, saved: Any) -> Array:
        """Return the deltas of h W_h at each step: those of z, if the cell simply adds the two."""
        return dz

    def rules(self) -> Iterator[Problem]:
        """Dropout needs several layers; `merge` and `backwards` depend on the number of directions."""
        if self.bidirectional and self.backwards:
            yield Problem("backwards", "applies to a single direction, but `bidirectional` has both")
        if self.merge != "concat" and not self.bidirectional:
            yield Problem("merge", "applies to two directions", "add " + entry_setting("bidirectional", "true"))
        if self.dropout and self.layers == 1:
            yield Problem("dropout", "applies between layers, but there is only one", "add an entry `dropout` after it")

    @property
    def is_stack(self) -> bool:
        """Whether there are several layers."""
        return self.layers > 1

    @override
    def reading(self, names: Sequence[str]) -> Layer:
        expected = ("x", "mask", *self.states)
        known = [name for name in expected if name in names]
        if [name for name in names if name != "mask"] != [name for name in known if name != "mask"] or names[0] != "x":
            raise ConfigError(f"expected {', '.join(expected)} in this order; found {', '.join(names)}",
                              where="inputs", cure="in a stack, last_2 is the state of layer 2")  # fmt: skip
        return self

    def parts(self) -> tuple[Layer, ...]:
        """Return the stack: all but the last layer pass on their sequence."""
        read: Literal["all", "sequence"] = "all" if self.output == "all" else "sequence"
        below = dataclasses.replace(self, layers=1, dropout=0.0, output=read)
        between = (Dropout(self.dropout),) if self.dropout else ()
        last = dataclasses.replace(self, layers=1, dropout=0.0)
        return (*(below, *between) * (self.layers - 1), last)

    @property
    def surrogate(self) -> str:
        """Truncation omits the derivatives that reach further back."""
        return f"the derivative does not reach back across every {self.truncate}th step" if self.truncate else ""

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The prefix of each direction's parameters."""
        return ("", REVERSE) if self.bidirectional else (REVERSE if self.backwards else "",)

    @override
    def init(self, key: Array, x: Spec, *others: Spec) -> Init:
        if self.layers > 1:
            raise UsageError(f"a stack of {self.layers} layers is several nodes", cure="let a Network expand it")
        width = self.gates * int(self.units)
        params: Params = {}
        for prefix in self.prefixes:
            for name, initial, shape in (
                ("input_weight", self.input_weight or GLOROT, (x.shape[-1], width)),
                ("recurrent_weight", self.recurrent_weight or ORTHOGONAL, (self.widths[0], width)),
                ("bias", self.bias, (width,)),
            ):
                if initial:
                    params[prefix + name] = draw(initial, key, prefix + name, shape)
        return Init(params)

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array, *others: Array) -> Forward:
        expect_features(x, params[self.prefixes[0] + "input_weight"].shape[0])
        mask, initial = masked_start(x, others, self.widths, len(self.prefixes))
        xt = lax.optimization_barrier(x.swapaxes(0, 1))
        finals, walks = [], []
        for prefix, start in zip(self.prefixes, initial, strict=True):
            final, taken = self._read(params, prefix, xt, mask, start)
            finals.append(final)
            walks.append(taken)
        parts = {
            name: merged(ends, self.merge) for name, ends in zip(self.states, zip(*finals, strict=True), strict=True)
        }
        sequence = merged([taken.states[0] for taken in walks], self.merge)
        sequence = sequence if mask is None else jnp.where(mask, sequence, jnp.zeros_like(sequence))
        parts["sequence"] = sequence.swapaxes(0, 1)
        y = parts if self.output == "all" else parts[self.output]
        return Forward(y, (xt, tuple(walks), Static(tuple(other.dtype for other in others)), tuple(finals)))

    def backward(self, params: Params, tape: Any, dy: Any) -> Backward:
        """Go through the steps in reverse with the deltas of the states; then compute each gradient in one product."""
        xt, walks, static, finals = tape
        parts = {name: d for name, d in (dy if self.output == "all" else {self.output: dy}).items() if d is not None}
        if "sequence" in parts:
            parts["sequence"] = parts["sequence"].swapaxes(0, 1)
        grads: Params = {}
        dx, starts = jnp.zeros_like(xt), []
        ends = dict(zip(self.states, zip(*finals, strict=True), strict=True))
        ends["sequence"] = tuple(taken.states[0] for taken in walks)
        apart = {name: parted(d, ends[name], self.merge) for name, d in parts.items()}
        for i, (prefix, taken) in enumerate(zip(self.prefixes, walks, strict=True)):
            direction_deltas = {name: deltas[i] for name, deltas in apart.items()}
            start, dz = self._read_back(params, prefix, taken, direction_deltas)
            starts.append(start)
            dz, beside = self.divided(dz)
            dx += dz @ params[prefix + "input_weight"].T.astype(dz.dtype)
            grads |= self._gradients(params, prefix, xt, taken, dz)
            grads |= self.further_gradients(params, prefix, taken, dz, beside)
        dstates = (jnp.concatenate(pieces, -1) for pieces in zip(*starts, strict=True))
        rest = tuple(None if dtype == jnp.bool_ else next(dstates).astype(dtype) for dtype in static.value)
        return Backward((dx.swapaxes(0, 1), *rest), grads)

    # ------------------------------------------------------------------------------------------------- one direction

    def _read(self, params: Params, prefix: str, xt: Array, mask: Array | None, start: States) -> tuple[States, Walk]:
        """Run one direction: the input's part of all steps in one product, then the loop."""
        direction_params = _of_direction(params, prefix, xt.dtype)
        z = xt @ direction_params["input_weight"]
        reverse = prefix == REVERSE
        cut = cuts(len(xt), self.truncate, reverse) if self.truncate else None
        return self._loop(direction_params, z, start, Borders(mask, cut), reverse)

    def _read_back(self, params: Params, prefix: str, taken: Walk, parts: Mapping[str, Array]) -> tuple[States, Array]:
        """Run one direction's loop in reverse; return the deltas of the initial states and of z."""
        own = _of_direction(params, prefix, taken.initial[0].dtype)
        dfinal = tuple(
            parts.get(name, jnp.zeros_like(start)) for name, start in zip(self.states, taken.initial, strict=True)
        )
        return self._loop_back(own, taken, dfinal, parts.get("sequence"), prefix == REVERSE)

    def _loop(self, own: Params, z: Array, start: States, borders: Borders, reverse: bool) -> tuple[States, Walk]:
        """Run the steps by a native kernel if one is faster and nothing is cut, else by the formula."""

        def formula(z: Array, own: Params, start: States, mask: Array | None) -> tuple[States, Walk]:
            z = z + own["bias"] if "bias" in own else z
            return walk(lambda now, before: self.step(own, now, before), z, start, borders._replace(mask=mask), reverse)

        native = self._native(borders)
        if native is None or not native.suits(z, own["recurrent_weight"], start):
            return formula(z, own, start, borders.mask)
        states, saved = native.run(formula, z, own, start, borders.mask, reverse)
        return tuple(each[0 if reverse else -1] for each in states), Walk(start, states, saved, borders)

    def _loop_back(
        self, own: Params, taken: Walk, dfinal: States, dsequence: Array | None, reverse: bool
    ) -> tuple[States, Array]:
        """Run the steps in reverse, like `_loop`."""
        weight = own["recurrent_weight"]

        def formula(taken: Walk, weight: Array, dfinal: States, dsequence: Array | None) -> tuple[States, Array]:
            transposed = lax.optimization_barrier(weight.T)
            return walk_back(self.stepping_back(own, transposed), taken, dfinal, dsequence, reverse)

        native = self._native(taken.borders)
        if native is None or not native.suits(taken.saved, weight, taken.initial):
            return formula(taken, weight, dfinal, dsequence)
        return native.run_back(formula, taken, weight, dfinal, dsequence, reverse)

    def _native(self, borders: Borders) -> Loop | None:
        """Return the kernels, unless something is cut or a subclass overrides the steps."""
        home = next(cls for cls in type(self).__mro__ if "native" in vars(cls))
        same = (type(self).step, type(self).step_back) == (home.step, home.step_back)  # type: ignore[attr-defined]
        return self.native if same and borders.cut is None else None

    def _gradients(self, params: Params, prefix: str, xt: Array, taken: Walk, dz: Array) -> Params:
        """dW = Σ x(t)ᵀ dz(t), dW_h = Σ h(t-1)ᵀ dh(t), each over all steps at once."""
        through, dtype = self.recurrent_deltas(dz, taken.saved), params[prefix + "input_weight"].dtype
        states = (taken.initial[0], taken.states[0])
        if through is dz:
            dinput, drecurrent, dbias = gradients(xt, *states, dz, prefix == REVERSE, dtype)
            grads = {"input_weight": dinput, "recurrent_weight": drecurrent, "bias": dbias}
        else:
            _, drecurrent, dsum = gradients(None, *states, through, prefix == REVERSE, dtype)
            grads = {"input_weight": transposed_product(xt, dz, dtype), "recurrent_weight": drecurrent,
                     "bias": rows(dz).sum(0, dtype=dtype), "recurrent_bias": dsum[-int(self.units) :]}  # fmt: skip
        named = ((prefix + name, grad) for name, grad in grads.items())
        return {name: grad for name, grad in named if grad is not None and name in params}


@gradients_natively
def gradients(x: Array | None, first: Array, states: Array, dz: Array, reverse: bool, dtype: Any) -> Gradients:
    """Return Σ x(t)ᵀ dz(t) if x is given, Σ h(t-1)ᵀ dz(t), and Σ dz(t), over the steps and the batch."""
    before = states_before(first, states, reverse)
    dinput = None if x is None else transposed_product_by_xla(x, dz, dtype)
    return dinput, transposed_product_by_xla(before, dz, dtype), rows(dz).sum(0, dtype=dtype)


def _of_direction(params: Params, prefix: str, dtype: Any) -> Params:
    """Return the parameters of one direction by their plain names, in the precision of the input."""
    plain = {name.removeprefix(prefix): value for name, value in params.items() if name.startswith(prefix)}
    return {name: value.astype(dtype) for name, value in plain.items() if not name.startswith(REVERSE)}
