"""Transformer blocks: attention and feed-forward layers, each with a norm and a residual connection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from typing_extensions import override

from retrograd.base.annotations import Registered, Words
from retrograd.base.errors import Problem
from retrograd.base.quantities import Fraction, PositiveFloat, PositiveInt
from retrograd.base.sentence import entry_setting
from retrograd.network.initializers import Zeros
from retrograd.network.layer import Activation, Layer, layers
from retrograd.network.layers.activations.gelu import GELU
from retrograd.network.layers.attention.multi_head_attention import InputName, MultiHeadAttention
from retrograd.network.layers.attention.options import (
    KEY_VALUE_HEADS,
    TURNED,
    TURNS,
    HeadWidth,
    QKNorm,
    RotaryBase,
    RotaryShare,
    RotaryStretch,
    SlowPairs,
    WindowOfKeys,
)
from retrograd.network.layers.dense import Dense
from retrograd.network.layers.merging.add import Add
from retrograd.network.layers.merging.multiply import Multiply
from retrograd.network.layers.noise.dropout import Dropout
from retrograd.network.layers.normalisation.layer_norm import LayerNorm
from retrograd.network.layers.normalisation.rms_norm import RMSNorm
from retrograd.network.scope import Block, Scope, blocks

WIDER = 4  # times the width of the block, as in the original Transformer
EXACT_GELU, ZEROS = GELU(), Zeros()
AnyActivation = Annotated[Layer, Registered(layers, only=Activation)]

BETWEEN = Words(
    "units between the two dense layers",
    more="can represent more; slower",
    less="faster",
    why="4 times the width, as in the original Transformer",
)


@blocks.register("feed_forward")
@dataclass(frozen=True)
class FeedForward(Block):
    """Two dense layers with an activation between them: y = f(x W + b) W_2 + b_2.

    `hidden` defaults to 4 times `units`. `gated` multiplies the activation by a second product,
    y = (f(x W) * (x V)) W_2: with silu it is SwiGLU. See: Vaswani et al. 2017, section 3.3; Shazeer 2020,
    arXiv:2002.05202.
    """

    units: Annotated[PositiveInt, Words("width of the output", more="can represent more; slower", less="faster")]
    hidden: Annotated[PositiveInt | None, BETWEEN] = None
    activation: Annotated[
        AnyActivation, Words("the activation between the two dense layers", why="gelu, as in most language models")
    ] = EXACT_GELU
    gated: Annotated[
        bool, Words("whether a second product multiplies the activation", why="false; true with silu is SwiGLU")
    ] = False
    dropout: Annotated[
        Fraction,
        Words(
            "share of the hidden values dropped in training",
            more="less overfitting, slower learning",
            less="less noise",
            why="0: none",
        ),
    ] = 0.0
    bias: Annotated[bool, Words("whether the dense layers add a bias", why="true; language models often have none")] = (
        True
    )

    @override
    def expand(self, scope: Scope, *inputs: str) -> str:
        hidden = self.hidden or WIDER * self.units
        y = scope.add(_dense(hidden, self.bias, self.activation), *inputs, name="hidden")
        if self.gated:
            gate = scope.add(_dense(hidden, self.bias), *inputs, name="gate")
            y = scope.add(Multiply(), y, gate, name="multiply")
        if self.dropout:
            y = scope.add(Dropout(self.dropout), y, name="dropout")
        return scope.add(_dense(self.units, self.bias), y, name="output")


def _dense(units: int, bias: bool, activation: Layer | None = None) -> Dense:
    return Dense(units, activation, bias=ZEROS if bias else False)


@dataclass(frozen=True)
class Transformer(Block):
    """Base of encoder and decoder: a stack of layers, each with a few parts in residual connections.

    `norm` comes before each part (`pre`: deep stacks learn from the start) or after each sum (`post`: the original
    Transformer, and PyTorch by default); with `pre` a last norm ends the stack, unless `final_norm` is false.
    `hidden`, `activation` and `gated` are those of `feed_forward`; `dropout` acts on the attention weights, in the
    feed-forward part, and on the output of each part.
    """

    units: Annotated[
        PositiveInt, Words("width of the stack", more="can represent more; cost grows with its square", less="faster")
    ]
    heads: Annotated[
        PositiveInt,
        Words(
            "number of attention patterns side by side",
            more="more patterns, each of smaller width",
            less="fewer patterns, each of larger width",
        ),
    ]
    layers: Annotated[
        PositiveInt,
        Words("layers in the stack", more="can represent more; slower, harder to train", less="faster"),
    ] = 1
    hidden: Annotated[PositiveInt | None, BETWEEN] = None
    activation: Annotated[
        AnyActivation, Words("the activation of the feed-forward part", why="gelu, as in most language models")
    ] = EXACT_GELU
    gated: Annotated[bool, Words("whether a second product multiplies the activation")] = False
    norm: Annotated[
        Literal["pre", "post"],
        Words("whether the norm comes before each part or after each sum", why="pre: deep stacks learn from the start"),
    ] = "pre"
    final_norm: Annotated[
        bool, Words("whether a last norm ends a `pre` stack", why="true: its sums are not normalised otherwise")
    ] = True
    dropout: Annotated[
        Fraction,
        Words(
            "share dropped of attention weights, hidden values and the output of each part",
            more="less overfitting, slower learning",
            less="less noise",
            why="0: none",
        ),
    ] = 0.0
    key_value_heads: Annotated[PositiveInt | None, KEY_VALUE_HEADS] = None
    rotary: Annotated[bool, TURNED] = False
    norm_kind: Annotated[
        Literal["layer_norm", "rms_norm"], Words("which norm", why="layer_norm; rms_norm, as in LLaMA, keeps the mean")
    ] = "layer_norm"
    eps: Annotated[
        PositiveFloat | None, Words("added inside the root of the norms", why="none: the norm's own default")
    ] = None
    bias: Annotated[
        bool, Words("whether dense layers, attention and norms add a bias", why="true; many language models have none")
    ] = True
    head_width: HeadWidth = None
    qk_norm: QKNorm = None
    weights: Annotated[
        bool,
        Words(
            "whether attention outputs each head's weights, for heat maps in trace and report",
            why="false: a fused kernel that does not store them is faster",
        ),
    ] = False
    attention_bias: Annotated[
        bool | Literal["inputs"] | None,
        Words(
            "whether attention adds a bias; `inputs`: only to queries, keys and values", why="none: as set by `bias`"
        ),
    ] = None
    window: WindowOfKeys = None
    rotary_base: RotaryBase = 10000.0
    rotary_share: RotaryShare = 1.0
    rotary_stretch: RotaryStretch = 1.0
    rotary_slow: SlowPairs = None

    stacked = True

    @override
    def rules(self) -> Iterator[Problem]:
        if not self.head_width and self.units % self.heads:
            yield Problem("units", f"expected a multiple of {self.heads} heads, found {self.units}")
        if self.heads % (self.key_value_heads or self.heads):
            yield Problem("key_value_heads", f"expected a divisor of {self.heads} heads, found {self.key_value_heads}")
        for name in () if self.rotary else TURNS:
            if getattr(self, name) != getattr(type(self), name):
                yield Problem(name, "applies only to rotary positions", "add " + entry_setting("rotary", "true"))

    def part(self, scope: Scope, name: str, part: Layer | Block, x: str, *others: str) -> str:
        """Add one part in its residual connection: x + part(norm(x)), or norm(x + part(x))."""
        normed = scope.add(self.normed(), x, name=f"{name}_norm") if self.norm == "pre" else x
        y = scope.add(part, normed, *others, name=name)
        y = f"{y}.sequence" if self.weights and isinstance(part, MultiHeadAttention) else y
        if self.dropout:
            y = scope.add(Dropout(self.dropout), y, name=f"{name}_dropout")
        y = scope.add(Add(), x, y, name=f"{name}_add")
        return y if self.norm == "pre" else scope.add(self.normed(), y, name=f"{name}_norm")

    def attention(self, causal: bool, rotary: bool, reads: tuple[InputName, ...]) -> MultiHeadAttention:
        """Return the attention layer with these settings, for inputs with these names."""
        bias = self.bias if self.attention_bias is None else self.attention_bias
        turned = TURNS if rotary else ()
        return MultiHeadAttention(
            self.heads,
            self.units,
            causal=causal,
            key_value_heads=self.key_value_heads,
            rotary=rotary,
            dropout=self.dropout,
            reads=reads,
            bias=ZEROS if bias else False,
            head_width=self.head_width,
            qk_norm=self.qk_norm,
            output="heads" if self.weights else "sequence",
            window=None if "memory" in reads else self.window,
            output_bias=bias != "inputs",
            **{name: getattr(self, name) for name in turned},
        )

    def normed(self) -> Layer:
        """Return the norm with these settings."""
        settings: dict[str, Any] = {} if self.eps is None else {"eps": self.eps}
        if self.norm_kind == "rms_norm":
            return RMSNorm(**settings)
        return LayerNorm(**settings, bias=ZEROS if self.bias else False)

    def feed_forward(self) -> FeedForward:
        """Return the feed-forward block with these settings."""
        return FeedForward(self.units, self.hidden, self.activation, self.gated, self.dropout, self.bias)

    def ended(self, scope: Scope, x: str) -> str:
        """Add the norm that ends a stack whose sums are not yet normalised."""
        return scope.add(self.normed(), x, name="final_norm") if self.norm == "pre" and self.final_norm else x


@blocks.register("transformer_encoder")
@dataclass(frozen=True)
class TransformerEncoder(Transformer):
    """Layers of self-attention and feed-forward: x [batch, time, units], [mask, true where to attend] -> the same.

    With `causal: true` no step sees a later one: the stack of a language model. See: Vaswani et al. 2017,
    arXiv:1706.03762; the norm before each part: Xiong et al. 2020, arXiv:2002.04745.
    """

    causal: Annotated[
        bool,
        Words(
            "whether a position sees only itself and earlier ones",
            why="false: every position sees all; true for a language model",
        ),
    ] = False

    @override
    def expand(self, scope: Scope, *inputs: str) -> str:
        x, *mask = inputs
        for i in range(1, self.layers + 1):
            x = scope.add(_EncoderLayer(self), x, *mask, name=str(i))
        return self.ended(scope, x)


@blocks.register("transformer_decoder")
@dataclass(frozen=True)
class TransformerDecoder(Transformer):
    """Layers of causal self-attention, attention to a memory, and feed-forward.

    Inputs: x [batch, time, units], the memory [batch, keys, features] (an encoder's output), [the memory's mask]. x
    itself needs no mask: no earlier step sees the padding at its end. See: Vaswani et al. 2017.
    """

    @override
    def expand(self, scope: Scope, *inputs: str) -> str:
        x, *memory = inputs
        for i in range(1, self.layers + 1):
            x = scope.add(_DecoderLayer(self), x, *memory, name=str(i))
        return self.ended(scope, x)


@dataclass(frozen=True)
class _EncoderLayer(Block):
    """One layer of an encoder, in its own scope."""

    of: TransformerEncoder

    def expand(self, scope: Scope, *inputs: str) -> str:
        x, *mask = inputs
        reads: tuple[InputName, ...] = ("query", "mask") if mask else ("query",)
        x = self.of.part(scope, "attention", self.of.attention(self.of.causal, self.of.rotary, reads), x, *mask)
        return self.of.part(scope, "feed_forward", self.of.feed_forward(), x)


@dataclass(frozen=True)
class _DecoderLayer(Block):
    """One layer of a decoder, in its own scope."""

    of: TransformerDecoder

    def expand(self, scope: Scope, *inputs: str) -> str:
        x, *memory = inputs
        reads: tuple[InputName, ...] = ("query", "memory", "mask") if len(memory) > 1 else ("query", "memory")
        x = self.of.part(scope, "self_attention", self.of.attention(True, self.of.rotary, ("query",)), x)
        x = self.of.part(scope, "cross_attention", self.of.attention(False, False, reads), x, *memory)
        return self.of.part(scope, "feed_forward", self.of.feed_forward(), x)
