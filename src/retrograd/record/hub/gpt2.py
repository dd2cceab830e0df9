"""GPT-2: learned positions, pre-norm blocks, and a head tied to the token embedding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retrograd.record.hub.facts import Facts
from retrograd.record.hub.family import Family, Head, Rule, stacked

RULES = (
    Rule("wte.weight", ("tokens/weight",)),
    Rule("wpe.weight", ("positions/weight",)),
    *stacked(
        (
            Rule("ln_1.weight", ("attention_norm/scale",)),
            Rule("ln_1.bias", ("attention_norm/bias",)),
            Rule("attn.c_attn.weight", tuple(f"attention/{part}_weight" for part in ("query", "key", "value"))),
            Rule("attn.c_attn.bias", tuple(f"attention/{part}_bias" for part in ("query", "key", "value"))),
            Rule("attn.c_proj.weight", ("attention/output_weight",)),
            Rule("attn.c_proj.bias", ("attention/output_bias",)),
            Rule("ln_2.weight", ("feed_forward_norm/scale",)),
            Rule("ln_2.bias", ("feed_forward_norm/bias",)),
            Rule("mlp.c_fc.weight", ("feed_forward/hidden/weight",)),
            Rule("mlp.c_fc.bias", ("feed_forward/hidden/bias",)),
            Rule("mlp.c_proj.weight", ("feed_forward/output/weight",)),
            Rule("mlp.c_proj.bias", ("feed_forward/output/bias",)),
        ),
        "h.{}",
        "blocks/{}",
    ),
    Rule("ln_f.weight", ("blocks/final_norm/scale",)),
    Rule("ln_f.bias", ("blocks/final_norm/bias",)),
    Rule("lm_head.weight", ("head/weight",), transposed=True),
)


def entries(config: Mapping[str, Any], head: Head) -> list[Any]:
    """Return the network for a GPT-2's config.json."""
    facts = Facts(config, "gpt2")
    facts.must_be("scale_attn_weights", True, True)
    facts.must_be("scale_attn_by_inverse_layer_idx", False, False)
    facts.must_be("add_cross_attention", False, False)
    units, vocabulary = facts.number("n_embd", 768), facts.number("vocab_size", 50257)
    inner = config.get("n_inner")
    blocks = {
        "units": units,
        "heads": facts.number("n_head", 12),
        "layers": facts.number("n_layer", 12),
        "hidden": 4 * units if inner is None else facts.number("n_inner", 0),
        "activation": facts.activation("activation_function", "gelu_new"),
        "eps": facts.positive("layer_norm_epsilon", 1e-5),
        "causal": True,
    }
    tied = config.get("tie_word_embeddings", True)
    return [
        {"embedding": {"units": units, "vocabulary": vocabulary}, "name": "tokens"},
        {"learned_positions": {"length": facts.number("n_positions", 1024)}, "name": "positions"},
        {"transformer_encoder": blocks, "name": "blocks"},
        *facts.decoder_head(head, vocabulary, tied),
    ]


GPT2 = Family(
    "gpt2",
    ("gpt2",),
    RULES,
    prefixes=("transformer.",),
    others=("h.*.attn.bias", "h.*.attn.masked_bias"),
    heads=("lm_head.*", "score.*", "classifier.*"),
    entries=entries,
)
