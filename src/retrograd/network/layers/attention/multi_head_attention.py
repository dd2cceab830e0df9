"""Attention with several heads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import Problem, ShapeError
from retrograd.base.quantities import Fraction, PositiveInt
from retrograd.base.sentence import entry_setting
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
    layers,
)
from retrograd.network.layers.attention.head_norm import HeadNorm
from retrograd.network.layers.attention.heads import Heads, attended_by, weights_of
from retrograd.network.layers.attention.options import (
    KEY_VALUE_HEADS,
    TURNED,
    TURNS,
    HeadWidth,
    OutputBias,
    QKNorm,
    RotaryBase,
    RotaryShare,
    RotaryStretch,
    Scale,
    SlowPairs,
    SoftCap,
    ValueWidth,
    WindowOfKeys,
)
from retrograd.network.layers.attention.projections import FEEDS, UNNAMED, project, project_back
from retrograd.network.layers.attention.rotary import Turn
from retrograd.network.layers.attention.scaled_dot_product import Attended
from retrograd.network.layers.attention.visible import allowed_keys, beside_scores, by_name

GLOROT, ZEROS = GlorotUniform(), Zeros()
FIRST_PROJECTION = Words("initial values of the weights", why="preserves the scale of signals")
InputName = Literal["query", "memory", "key", "value", "mask", "scores"]
MASKED = ["query", "mask"]
STRETCHED = {"rotary": True, "rotary_stretch": 2, "rotary_slow": {"factor": 8, "length": 9, "high": 1.4}}


@layers.register(
    "multi_head_attention",
    examples=examples(
        ({"heads": 2}, [(2, 3, 4)]),
        ({"heads": 2, "causal": True, "dropout": 0.4, "reads": MASKED}, [(2, 3, 2), Input((2, 3), "mask")]),
        ({"heads": 4, "key_value_heads": 2, "units": 8, "rotary": True, "output": "all"}, [(2, 3, 5), (2, 4, 3)]),
        (
            {"heads": 1, "bias": False, "reads": ["query", "key", "value", "mask"]},
            [(2, 3, 2), (2, 4, 3), (2, 4, 2), Input((2, 3, 4), "mask")],
        ),
        ({"heads": 1, "output": "all", "reads": MASKED}, [(1, 1, 1), Input((1, 1), "mask")]),
        (
            {"heads": 2, "causal": True, "reads": ["mask", "scores", "query"]},
            [Input((2, 3), "mask"), (2, 3, 3), (2, 3, 4)],
        ),
        (
            {"heads": 4, "key_value_heads": 2, "reads": ["query", "memory", "scores"]},
            [(2, 3, 4), (2, 5, 3), (2, 4, 3, 5)],
        ),
        (
            {
                "heads": 2,
                "key_value_heads": 1,
                "scale": 0.7,
                "softcap": 1.5,
                "window": 2,
                "value_width": 3,
                "output": "heads",
                "reads": ["query", "memory", "mask"],
            },
            [(2, 3, 4), (2, 4, 3), Input((2, 2, 3, 4), "mask")],
        ),
        (
            {"heads": 2, "head_width": 4, "units": 3, "rotary": True, "rotary_base": 50, "rotary_share": 0.5},
            [(1, 3, 3)],
        ),
        ({"heads": 2, "key_value_heads": 1, "rotary": True, "qk_norm": "rms"}, [(2, 3, 4)]),
        ({"heads": 2, "scale": 3.0, "qk_norm": "l2"}, [(1, 3, 4), (1, 2, 3)]),
        ({"heads": 1, "scale": 0.7, "output_bias": False, **STRETCHED}, [(1, 3, 2)]),
    ),
)
@dataclass(frozen=True)
class MultiHeadAttention(Layer):
    """Give each query a mean of values, weighted by how well it matches their keys; several heads side by side.

        q = x W_q + b_q,  k = m W_k + b_k,  v = m W_v + b_v,  each cut into heads
        y = softmax(q kᵀ / sqrt(width of a head)) v W_o + b_o

    Shapes:  query x [batch, queries, features], memory m [batch, keys, features] -> sequence [batch, queries, units];
             `output: all` adds `weights` [batch, queries, keys], the mean over heads, `output: heads` those of each
             head [batch, heads, queries, keys]. Without a memory the query attends to itself; `key` and `value` name
             separate memories. Only by name, as in `inputs: {query: x, mask: seen}`: `mask` [batch, keys],
             [batch, queries, keys] or [batch, heads, queries, keys], true where to attend; `scores` [batch, queries,
             keys] or [batch, heads, queries, keys], added to the products
    Params:  query_weight [features, heads x head width], key_weight and value_weight [features, key_value_heads x
             head or value width], output_weight [heads x value width, units], and a bias for each
    Tape:    inputs, heads of queries, keys and values, the softmax, where dropout kept a weight; a native kernel keeps
             two numbers per row instead of the softmax
    Raises:  ShapeError if heads do not divide the units, or inputs or mask do not fit.
    See:     Vaswani et al. 2017, arXiv:1706.03762. `units` defaults to the width of the query. In PyTorch a mask is
             true where *not* to attend, and a query that sees no key gives NaN, here zeros (so y = b_o). `causal`:
             query i sees keys 0..i. `key_value_heads`: several query heads share one (Ainslie et al. 2023). `qk_norm`:
             before rotation, as in Qwen 3 (rms) or Swin V2 (l2; `scale` is the initial cosine_scale).
    """

    heads: Annotated[
        PositiveInt,
        Words(
            "number of attention patterns side by side; they share the width",
            more="more patterns, each of smaller width",
            less="fewer patterns, each of larger width",
        ),
    ]
    units: Annotated[
        PositiveInt | None,
        Words(
            "total width of all heads",
            more="richer comparisons; slower",
            less="faster",
            why="the width of the queries",
        ),
    ] = None
    causal: Annotated[
        bool, Words("whether a position sees only itself and earlier ones", why="false: every position sees all")
    ] = False
    key_value_heads: Annotated[PositiveInt | None, KEY_VALUE_HEADS] = None
    rotary: Annotated[bool, TURNED] = False
    dropout: Annotated[
        Fraction,
        Words(
            "share of the attention weights dropped in training",
            more="less overfitting, slower learning",
            less="less noise",
            why="0: none",
        ),
    ] = 0.0
    output: Annotated[
        Literal["sequence", "all", "heads"],
        Words("the output: the sequence; `all` adds the weights averaged over heads, `heads` those of each head"),
    ] = "sequence"
    reads: Annotated[
        tuple[InputName, ...],
        Words("names of its inputs, in order", why="those given in `inputs`; else query, memory"),
    ] = ()
    bias: Annotated[InitialOrNone, FIRST_BIAS] = ZEROS
    query_weight: Annotated[Initial, FIRST_PROJECTION] = GLOROT
    key_weight: Annotated[Initial, FIRST_PROJECTION] = GLOROT
    value_weight: Annotated[Initial, FIRST_PROJECTION] = GLOROT
    output_weight: Annotated[Initial, FIRST_PROJECTION] = GLOROT
    scale: Scale = None
    softcap: SoftCap = None
    window: WindowOfKeys = None
    rotary_base: RotaryBase = 10000.0
    rotary_share: RotaryShare = 1.0
    rotary_stretch: RotaryStretch = 1.0
    rotary_slow: SlowPairs = None
    head_width: HeadWidth = None
    value_width: ValueWidth = None
    qk_norm: QKNorm = None
    output_bias: OutputBias = True

    multiplies = True
    equations = Equations(
        forward="a = softmax(q kᵀ / √d), y = a v W_o + b_o, q = x W_q + b_q, k = m W_k + b_k, v = m W_v + b_v",
        backward=(
            "dh = dy W_oᵀ, h = a v",
            "dv = aᵀ dh, da = dh vᵀ, ds = a (da - Σ dh h)",
            "dq = ds k / √d, dk = dsᵀ q / √d (qk_norm: g = scale dq, dq = (g − q̂ mean(g q̂)) / rms(q), dk alike)",
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
        if self.units and not self.head_width and self.units % self.heads:
            yield Problem("units", f"expected a multiple of {self.heads} heads, found {self.units}")
        for name in TURNS:
            if not self.rotary and getattr(self, name) != getattr(type(self), name):
                yield Problem(name, "applies only to rotary positions", "add " + entry_setting("rotary", "true"))
        if self.reads and (self._attended not in FEEDS or len({*self.reads}) < len(self.reads)):
            choices = "; ".join(", ".join(names) for names in FEEDS)
            yield Problem("reads", f"expected one of {choices}; optionally mask, scores", f"found {self.reads}")

    @override
    def reading(self, names: Sequence[str]) -> MultiHeadAttention:
        return replace(self, reads=tuple(names))  # type: ignore[arg-type]  # checked as any setting is

    @property
    def _attended(self) -> tuple[str, ...]:
        """The names of the inputs that are attended to, in the order of `FEEDS`."""
        return tuple(name for name in ("query", "memory", "key", "value") if name in self.reads)

    @override
    def init(self, key: Array, *inputs: Spec) -> Init:
        read = self._sources(by_name(self.reads, inputs))
        features = read[0].shape[-1]
        units = self.units or features
        width = self.head_width or units // self.heads
        if (not self.head_width and units % self.heads) or (self.rotary and self.rotary_share == 1 and width % 2):
            raise ShapeError(f"{units} units cannot be divided into {self.heads} heads"
                             + (" of even width" if self.rotary else ""))  # fmt: skip
        if self.rotary and not Turn(share=self.rotary_share).width(width):
            raise ShapeError(f"{self.rotary_share:g} of a head of width {width} leaves no pair to rotate",
                             where="rotary_share")  # fmt: skip
        shared, value_width = self.key_value_heads or self.heads, self.value_width or width
        shapes = {
            "query": (features, width * self.heads),
            "key": (read[min(1, len(read) - 1)].shape[-1], width * shared),
            "value": (read[-1].shape[-1], value_width * shared),
            "output": (value_width * self.heads, units),
        }
        initial = (self.query_weight, self.key_weight, self.value_weight, self.output_weight)
        params: Params = {}
        for (name, shape), rule in zip(shapes.items(), initial, strict=True):
            params[f"{name}_weight"] = draw(rule or GLOROT, key, f"{name}_weight", shape)
            if self.bias and (self.output_bias or name != "output"):
                params[f"{name}_bias"] = draw(self.bias, key, f"{name}_bias", shape[1:])
        if self.qk_norm:
            params |= HeadNorm(self.qk_norm, width).init(self.heads, self.scale)
        return Init(params)

    @override
    def forward(self, params: Params, state: State, ctx: Context, *arrays: Array) -> Forward:
        inputs = by_name(self.reads, arrays)
        sources, added = self._sources(inputs), inputs.get("scores")
        shape = (self.heads, self.key_value_heads or self.heads)
        named = tuple(zip(UNNAMED[len(sources)], sources, strict=True))
        allowed = allowed_keys(named, inputs.get("mask"), shape, self.window)
        projected: dict[str, Array] = {}
        for source, names in zip(sources, FEEDS[UNNAMED[len(sources)]], strict=True):
            projected |= project(params, source, names)
        normed = None
        if (norm := self.norm_of(params)) is not None:
            projected, normed = norm.forward(params, projected)
        rate = self.dropout if ctx.train else 0.0
        grouped = None if added is None else beside_scores(added, sources, shape)
        key = ctx.random_key() if rate else None
        read = self.output != "sequence"
        tape = self.heads_of(len(sources)).attend(projected, allowed, rate, key, grouped, read)
        sequence = project(params, attended_by(tape), ("output",))["output"]
        y: Any = sequence
        if isinstance(tape, Attended) and read:
            y = {"sequence": sequence, "weights": weights_of(tape, self.output == "heads")}
        static = Static((rate, tuple(inputs), None if added is None else (added.shape, added.dtype)))
        return Forward(y, (sources, tape, normed, static))

    def backward(self, params: Params, tape: Any, dy: Any) -> Backward:
        """Back through the output's projection, the attention, and the projections of the inputs."""
        sources, attended, normed, static = tape
        rate, names_read, added = static.value
        read = self.output != "sequence"
        dweights, dy = (dy.get("weights"), dy.get("sequence")) if read else (None, dy)
        y = attended_by(attended)
        if dy is None:
            dy = jnp.zeros((*y.shape[:2], params["output_weight"].shape[1]), y.dtype)
        dheads, grads = project_back(params, y, ("output",), {"output": dy})
        if dweights is not None and self.output == "heads":
            dweights = dweights.reshape(len(dweights), self.key_value_heads or self.heads, -1, *dweights.shape[2:])
        elif dweights is not None:
            dweights = dweights[:, None, None] / self.heads
        deltas, dscores = self.heads_of(len(sources)).back(attended, dheads, dweights, rate)
        if (norm := self.norm_of(params)) is not None:
            deltas, norm_grads = norm.backward(params, normed, deltas)
            grads |= norm_grads
        dinputs: dict[str, Array] = {}
        ordered = UNNAMED[len(sources)]
        for name, source, names in zip(ordered, sources, FEEDS[ordered], strict=True):
            dinputs[name], source_grads = project_back(params, source, names, deltas)
            grads |= source_grads
        if dscores is not None and added is not None:
            shape, dtype = added
            whole = dscores.reshape(len(dscores), -1, *dscores.shape[3:])
            dinputs["scores"] = (whole.sum(1) if len(shape) == 3 else whole).astype(dtype)
        return Backward(tuple(dinputs.get(name) for name in names_read), grads)

    def _sources(self, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the inputs that are attended to, in the order of `FEEDS`."""
        return tuple(inputs[name] for name in (self._attended or tuple(inputs)))

    def norm_of(self, params: Params) -> HeadNorm | None:
        """Return the normalisation of queries and keys, if there is one."""
        return HeadNorm(self.qk_norm, params["query_weight"].shape[1] // self.heads) if self.qk_norm else None

    def heads_of(self, sources: int) -> Heads:
        """Return the heads, given the number of sources."""
        scale = None if self.qk_norm == "l2" else self.scale  # cosines have a learned scale
        return Heads(self.heads, self.key_value_heads or self.heads, self.causal, self.rotary, FEEDS[UNNAMED[sources]],
                     self.turn, scale, self.softcap)  # fmt: skip

    @property
    def turn(self) -> Turn:
        """How heads are rotated by position."""
        slow = self.rotary_slow.stretched if self.rotary_slow else None
        return Turn(self.rotary_base, self.rotary_share, self.rotary_stretch, slow)
