"""LLaMA and models like it: rotary positions, pre-norm blocks with RMS norm, SwiGLU, grouped keys and values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retrograd.record.hub.facts import Facts
from retrograd.record.hub.family import Family, Head, Rule, stacked

PROJECTIONS = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "o_proj": "output"}
RULES = (
    Rule("embed_tokens.weight", ("tokens/weight",)),
    *stacked(
        (
            Rule("input_layernorm.weight", ("attention_norm/scale",)),
            *(Rule(f"self_attn.{theirs}.weight", (f"attention/{ours}_weight",), True)
              for theirs, ours in PROJECTIONS.items()),
            *(Rule(f"self_attn.{theirs}.bias", (f"attention/{ours}_bias",)) for theirs, ours in PROJECTIONS.items()),
            Rule("self_attn.q_norm.weight", ("attention/query_scale",)),
            Rule("self_attn.k_norm.weight", ("attention/key_scale",)),
            Rule("post_attention_layernorm.weight", ("feed_forward_norm/scale",)),
            Rule("mlp.gate_proj.weight", ("feed_forward/hidden/weight",), True),
            Rule("mlp.up_proj.weight", ("feed_forward/gate/weight",), True),
            Rule("mlp.down_proj.weight", ("feed_forward/output/weight",), True),
        ),
        "layers.{}",
        "blocks/{}",
    ),
    Rule("norm.weight", ("blocks/final_norm/scale",)),
    Rule("lm_head.weight", ("head/weight",), True),
)  # fmt: skip


def entries(config: Mapping[str, Any], head: Head) -> list[Any]:
    """Return the network for the config.json of a LLaMA, a Mistral, or a Qwen 2 or 3."""
    kind = str(config.get("model_type"))
    facts = Facts(config, kind)
    facts.must_be("mlp_bias", False, False)
    units, vocabulary = facts.number("hidden_size", 4096), facts.number("vocab_size", 32000)
    heads = facts.number("num_attention_heads", 32)
    blocks: dict[str, Any] = {
        "units": units,
        "heads": heads,
        "layers": facts.number("num_hidden_layers", 32),
        "hidden": facts.number("intermediate_size", 11008),
        "activation": facts.activation("hidden_act", "silu"),
        "gated": True,
        "norm_kind": "rms_norm",
        "eps": facts.positive("rms_norm_eps", 1e-6),
        "bias": False,
        "causal": True,
        "rotary": True,
        **facts.rotary(),
    }
    shared = config.get("num_key_value_heads")
    if shared is not None and shared != heads:
        blocks["key_value_heads"] = facts.number("num_key_value_heads", heads)
    width = config.get("head_dim")
    if width is not None and width * heads != units:
        blocks["head_width"] = facts.number("head_dim", 128)
    if kind == "qwen2" or config.get("attention_bias", False):
        blocks["attention_bias"] = "inputs" if kind == "qwen2" else True
    if kind == "qwen3":
        facts.must_be("rms_norm_eps", 1e-6, 1e-6)  # also the eps of the heads' norm
        blocks["qk_norm"] = "rms"
    window = config.get("sliding_window")
    if window is not None and (not kind.startswith("qwen") or config.get("use_sliding_window", False)):
        if kind.startswith("qwen") and config.get("max_window_layers", 0):
            facts.must_be("max_window_layers", 0, 0)
        blocks["window"] = facts.number("sliding_window", 4096)
    return [
        facts.tokens(units, vocabulary),
        {"transformer_encoder": blocks, "name": "blocks"},
        *facts.decoder_head(head, vocabulary, config.get("tie_word_embeddings", False)),
    ]


LLAMA = Family(
    "llama",
    ("llama", "mistral", "qwen2", "qwen3"),
    RULES,
    prefixes=("model.",),
    others=("*rotary_emb.inv_freq",),
    heads=("lm_head.*", "score.*", "classifier.*"),
    entries=entries,
)
