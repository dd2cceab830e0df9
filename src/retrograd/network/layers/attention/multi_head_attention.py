"""Attention in several heads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import jax.numpy as jnp
from jax import Array, lax
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import Problem, ShapeError
from retrograd.base.quantities import Fraction, PositiveInt
from retrograd.network.initializers import FIRST_BIAS, GlorotUniform, Initial, InitialOrNone, Zeros, draw
from retrograd.network.layer import (
    Backward,
    Context,
    Equations,
    Forward,
    Init,
    Input,
    Layer,
    Params,
    Spec,
    State,
    Static,
    examples,
    expect_features,
    layers,
    product,
    rows,
)
from retrograd.network.layers.attention.heads import Columns, Heads, Packed, joined
from retrograd.network.layers.attention.scaled_dot_product import Attended
from retrograd.network.layers.dense import weight_gradient

GLOROT, ZEROS = GlorotUniform(), Zeros()
READS = {  # how many inputs there are -> which projections each of them feeds
    1: (("query", "key", "value"),),
    2: (("query",), ("key", "value")),
    3: (("query",), ("key",), ("value",)),
}


@layers.register(
    "multi_head_attention",
    examples=examples(
        ({"heads": 2}, [(2, 3, 4)]),
        ({"heads": 2, "causal": True, "dropout": 0.4}, [(2, 3, 2), Input((2, 3), "mask")]),
        ({"heads": 4, "key_value_heads": 2, "units": 8, "rotary": True, "output": "all"}, [(2, 3, 5), (2, 4, 3)]),
        ({"heads": 1, "bias": False}, [(2, 3, 2), (2, 4, 3), (2, 4, 2), Input((2, 3, 4), "mask")]),
        ({"heads": 1, "output": "all"}, [(1, 1, 1), Input((1, 1), "mask")]),
        ({"heads": 2, "added_scores": True, "causal": True}, [(2, 3, 4), (2, 3, 3), Input((2, 3), "mask")]),
        ({"heads": 4, "key_value_heads": 2, "added_scores": True}, [(2, 3, 4), (2, 5, 3), (2, 4, 3, 5)]),
    ),
)
@dataclass(frozen=True)
class MultiHeadAttention(Layer):
    """Let each query take a mean of values, weighted by how well it fits their keys; several heads side by side.

        q = x W_q + b_q,  k = m W_k + b_k,  v = m W_v + b_v,  each cut into heads
        y = softmax(q kᵀ / sqrt(width of a head)) v W_o + b_o

    Shapes:  query x [batch, queries, features], [memory m [batch, keys, features], [another for the values]], [mask]
             -> sequence [batch, queries, units]; `output: all` adds `weights` [batch, queries, keys], the mean over
             heads. With one input it attends to itself. The mask, [batch, keys] or [batch, queries, keys], is true
             where to attend. `added_scores`: the last input that is no mask, [batch, queries, keys] or [batch, heads,
             queries, keys], is added to the scores
    Params:  query_weight [features, units], key_weight and value_weight [features, key_value_heads x head width],
             output_weight [units, units], and a bias for each
    Tape:    inputs, heads of queries, keys and values, the softmax, where dropout kept a weight; of a native kernel not
             the softmax, but two numbers for each row of it
    Raises:  ShapeError when heads do not divide the units, or inputs or mask do not fit.
    See:     Vaswani et al. 2017, arXiv:1706.03762. `units` is the width of the query unless given. In PyTorch a mask is
             true where *not* to attend, and a query that may see nothing gives NaN, here zeros (so y = b_o). `causal`:
             query i sees keys 0..i. `key_value_heads`: several query heads share one (Ainslie et al. 2023).
    """

    heads: Annotated[
        PositiveInt,
        Words(
            "attention patterns side by side; they share the width",
            more="more patterns, each of fewer numbers",
            less="fewer patterns, each finer",
        ),
    ]
    units: Annotated[
        PositiveInt | None,
        Words(
            "numbers of all heads together",
            more="more to compare by; slower",
            less="faster",
            why="the width of the queries",
        ),
    ] = None
    causal: Annotated[
        bool, Words("whether a place sees only itself and those before", why="false: every place sees all")
    ] = False
    key_value_heads: Annotated[
        PositiveInt | None,
        Words(
            "heads of keys and values, shared by groups of query heads",
            more="nearer to full attention",
            less="less memory for keys and values",
            why="as many as `heads`",
        ),
    ] = None
    rotary: Annotated[
        bool,
        Words("whether queries and keys are turned by their position", why="false: positions come from another layer"),
    ] = False
    dropout: Annotated[
        Fraction,
        Words(
            "share of the attention weights that are dropped in training",
            more="less overfitting, slower learning",
            less="less noise",
            why="0: none",
        ),
    ] = 0.0
    output: Annotated[
        Literal["sequence", "all"],
        Words("what is handed on: the sequence, or the attention weights too", why="sequence"),
    ] = "sequence"
    added_scores: Annotated[bool, Words("whether a further input is added to the scores", why="false")] = False
    bias: Annotated[InitialOrNone, FIRST_BIAS] = ZEROS
    query_weight: Annotated[Initial, Words("first values of the weights", why="keeps the scale of signals")] = GLOROT
    key_weight: Annotated[Initial, Words("first values of the weights", why="keeps the scale of signals")] = GLOROT
    value_weight: Annotated[Initial, Words("first values of the weights", why="keeps the scale of signals")] = GLOROT
    output_weight: Annotated[Initial, Words("first values of the weights", why="keeps the scale of signals")] = GLOROT

    multiplies = True
    equations = Equations(
        forward="a = softmax(q kᵀ / √d), y = a v W_o + b_o, q = x W_q + b_q, k = m W_k + b_k, v = m W_v + b_v",
        backward=(
            "dh = dy W_oᵀ, h = a v",
            "dv = aᵀ dh, da = dh vᵀ, ds = a (da - Σ dh h)",
            "dq = ds k / √d, dk = dsᵀ q / √d",
            "dx = dq W_qᵀ, dm = dk W_kᵀ + dv W_vᵀ (added up where x = m)",
            "dW_q = xᵀ dq, dW_k = mᵀ dk, dW_v = mᵀ dv, dW_o = hᵀ dy; each db = the sum over rows",
        ),
        latex_forward=r"y = \mathrm{softmax}(q k^\top / \sqrt{d}) \, v W_o + b_o",
        latex_backward=(
            r"\delta_v = a^\top \delta_h, \quad \delta_a = \delta_h v^\top",
            r"\delta_s = a \odot (\delta_a - \textstyle\sum \delta_h \odot h)",
            r"\delta_q = \delta_s k / \sqrt{d}, \quad \delta_k = \delta_s^\top q / \sqrt{d}",
        ),
    )

    @property
    def mixes_batch(self) -> bool:  # type: ignore[override]  # here it depends on a setting
        """Whether dropout draws by position in the batch."""
        return self.dropout > 0

    @override
    def rules(self) -> Iterator[Problem]:
        if self.heads % (self.key_value_heads or self.heads):
            yield Problem("key_value_heads", f"expected a divisor of {self.heads} heads, found {self.key_value_heads}")
        if self.units and self.units % self.heads:
            yield Problem("units", f"expected a multiple of {self.heads} heads, found {self.units}")

    @override
    def init(self, key: Array, query: Spec, *others: Spec) -> Init:
        units = self.units or query.shape[-1]
        width = units // self.heads
        if units % self.heads or (self.rotary and width % 2):
            raise ShapeError(f"{units} units do not make {self.heads} heads{' of even width' if self.rotary else ''}")
        read, _ = self._sources((query, *others))
        shared = width * (self.key_value_heads or self.heads)
        shapes = {
            "query": (query.shape[-1], units),
            "key": (read[min(1, len(read) - 1)].shape[-1], shared),
            "value": (read[-1].shape[-1], shared),
            "output": (units, units),
        }
        initial = (self.query_weight, self.key_weight, self.value_weight, self.output_weight)
        params: Params = {}
        for (name, shape), rule in zip(shapes.items(), initial, strict=True):
            params[f"{name}_weight"] = draw(rule or GLOROT, key, f"{name}_weight", shape)
            if self.bias:
                params[f"{name}_bias"] = draw(self.bias, key, f"{name}_bias", shape[1:])
        return Init(params)

    @override
    def forward(self, params: Params, state: State, ctx: Context, query: Array, *others: Array) -> Forward:
        sources, added = self._sources((query, *others))
        allowed = self._allowed(sources, others)
        projected: dict[str, Array] = {}
        for source, names in zip(sources, READS[len(sources)], strict=True):
            projected |= _project(params, source, names)
        rate = self.dropout if ctx.train else 0.0
        grouped = None if added is None else self._beside_scores(added, sources)
        key = ctx.random_key() if rate else None
        read = self.output == "all"
        tape = self._heads(len(sources)).attend(projected, allowed, rate, key, grouped, read)
        sequence = _project(params, _attended(tape), ("output",))["output"]
        y = {"sequence": sequence, "weights": _mean_weights(tape)} if isinstance(tape, Attended) and read else sequence
        masks = tuple(other.dtype == jnp.bool_ for other in others)
        static = Static((rate, masks, None if added is None else (added.shape, added.dtype)))
        return Forward(y, (sources, tape, static))

    def backward(self, params: Params, tape: Any, dy: Any) -> Backward:
        """Back through the output's projection, the attention, and the projections of the inputs."""
        sources, attended, static = tape
        rate, masks, added = static.value
        dweights = dy.get("weights") if self.output == "all" else None
        dy = dy.get("sequence") if self.output == "all" else dy
        y = _attended(attended)
        dy = jnp.zeros_like(y) if dy is None else dy
        dheads, grads = _project_back(params, y, ("output",), {"output": dy})
        if dweights is not None:
            dweights = dweights[:, None, None] / self.heads
        deltas, dscores = self._heads(len(sources)).back(attended, dheads, dweights, rate)
        dsources = []
        for source, names in zip(sources, READS[len(sources)], strict=True):
            dsource, own = _project_back(params, source, names, deltas)
            dsources.append(dsource)
            grads |= own
        if dscores is not None and added is not None:
            shape, dtype = added
            whole = dscores.reshape(len(dscores), -1, *dscores.shape[3:])
            dsources.append((whole.sum(1) if len(shape) == 3 else whole).astype(dtype))
        waiting = iter(dsources[1:])
        return Backward((dsources[0], *(None if mask else next(waiting) for mask in masks)), grads)

    def _sources(self, inputs: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
        """Return query, memory and values, and what is added to the scores."""
        found = tuple(each for each in inputs if each.dtype != jnp.bool_)
        if not self.added_scores:
            return found, None
        if len(found) < 2:
            raise ShapeError("there is no input to be added to the scores", where="added_scores")
        return found[:-1], found[-1]

    def _beside_scores(self, added: Array, sources: tuple[Array, ...]) -> Array:
        """Return what is added to the scores as [batch, 1 or heads, 1 or group, queries, keys]."""
        batch, queries, keys = *sources[0].shape[:2], sources[-1].shape[1]
        if added.shape not in ((batch, queries, keys), (batch, self.heads, queries, keys)):
            raise ShapeError(
                f"expected {(batch, queries, keys)} or {(batch, self.heads, queries, keys)}, got {tuple(added.shape)}",
                where="added_scores",
            )
        heads = (self.key_value_heads or self.heads) if added.ndim == 4 else 1
        return added.reshape(batch, heads, -1, queries, keys)

    def _heads(self, sources: int) -> Heads:
        return Heads(self.heads, self.key_value_heads or self.heads, self.causal, self.rotary, READS[sources])

    def _allowed(self, sources: tuple[Array, ...], others: tuple[Array, ...]) -> Array | None:
        """Return the mask as [batch, 1 or queries, keys]."""
        if len(sources) > 3 or any(source.ndim != 3 for source in sources):
            shapes = ", ".join(str(tuple(source.shape)) for source in sources)
            raise ShapeError(f"expected query, key and value as (batch, time, features), got {shapes}",
                             cure="a mask holds true or false")  # fmt: skip
        batch, queries, keys = *sources[0].shape[:2], sources[-1].shape[1]
        if any((len(source), source.shape[1]) != (batch, keys) for source in sources[1:]):
            shapes = ", ".join(str(tuple(source.shape)) for source in sources)
            raise ShapeError(f"expected as many values as keys, and one batch, got {shapes}")
        masks = [other for other in others if other.dtype == jnp.bool_]
        fitting = ((batch, keys), (batch, queries, keys))
        if len(masks) > 1 or any(mask.shape not in fitting for mask in masks):
            shapes = " and ".join(str(tuple(mask.shape)) for mask in masks)
            raise ShapeError(f"expected one mask of shape {fitting[0]} or {fitting[1]}, got {shapes}")
        return masks[0].reshape(batch, -1, keys) if masks else None


def _attended(tape: Attended | Packed) -> Array:
    """Return the means of values, the heads side by side."""
    return tape.y if isinstance(tape, Packed) else joined(tape.y)


def _mean_weights(tape: Attended) -> Array:
    """Return the weights of all blocks of queries as one array, the mean over heads."""
    keys = tape.k.shape[2]
    blocks = [a.mean((1, 2)) for a in tape.weights]
    return jnp.concatenate([jnp.pad(a, ((0, 0), (0, 0), (0, keys - a.shape[-1]))) for a in blocks], 1)


def _project(params: Params, x: Array, names: tuple[str, ...]) -> dict[str, Array]:
    """Return x W + b for each of the named projections.

    They keep parameters of their own, whose names say what they do; one product over the weights side by side costs a
    copy of the weights, and reads x once.
    """
    weight = jnp.concatenate([params[f"{name}_weight"] for name in names], -1).astype(x.dtype)
    expect_features(x, weight.shape[0], f"{' and '.join(names)}: input")
    y = product(x, weight)
    if f"{names[0]}_bias" in params:
        y = y + jnp.concatenate([params[f"{name}_bias"] for name in names]).astype(x.dtype)
    return dict(zip(names, jnp.split(y, _borders(params, names), -1), strict=True))


def _project_back(params: Params, x: Array, names: tuple[str, ...], deltas: Columns) -> tuple[Array, Params]:
    """dx = Σ dy Wᵀ, dW = xᵀ dy, db = the sum of dy over the rows: for the projections of one input at once."""
    weight = jnp.concatenate([params[f"{name}_weight"] for name in names], -1)
    dy = lax.optimization_barrier(jnp.concatenate([deltas[name] for name in names], -1))
    borders = _borders(params, names)
    found = jnp.split(weight_gradient(x, dy, weight.dtype), borders, -1)
    grads = {f"{name}_weight": grad for name, grad in zip(names, found, strict=True)}
    if f"{names[0]}_bias" in params:
        sums = jnp.split(rows(dy).sum(0, dtype=weight.dtype), borders)
        grads |= {f"{name}_bias": grad for name, grad in zip(names, sums, strict=True)}
    return product(dy, weight.T.astype(dy.dtype)), grads


def _borders(params: Params, names: tuple[str, ...]) -> list[int]:
    """Return where to cut what several projections computed side by side."""
    widths = [params[f"{name}_weight"].shape[-1] for name in names]
    return [sum(widths[:i]) for i in range(1, len(widths))]
