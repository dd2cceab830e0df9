"""BERT: token, segment and position embeddings, post-norm blocks, and a head on the first token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retrograd.record.hub.facts import Facts
from retrograd.record.hub.family import Family, Head, Rule, stacked

WEIGHT_AND_BIAS = (("weight", True), ("bias", False))
NORM = (("weight", "scale"), ("bias", "bias"))


def _dense(key: str, path: str) -> tuple[Rule, ...]:
    return tuple(Rule(f"{key}.{name}", (f"{path}{name}",), transposed) for name, transposed in WEIGHT_AND_BIAS)


def _norm(key: str, path: str) -> tuple[Rule, ...]:
    return tuple(Rule(f"{key}.{theirs}", (f"{path}/{ours}",)) for theirs, ours in NORM)


RULES = (
    Rule("embeddings.word_embeddings.weight", ("tokens/weight",)),
    Rule("embeddings.token_type_embeddings.weight", ("segments_embedding/weight",)),
    Rule("embeddings.position_embeddings.weight", ("positions/weight",)),
    *_norm("embeddings.LayerNorm", "embedding_norm"),
    *stacked(
        (
            *(rule for part in ("query", "key", "value")
              for rule in _dense(f"attention.self.{part}", f"attention/{part}_")),
            *_dense("attention.output.dense", "attention/output_"),
            *_norm("attention.output.LayerNorm", "attention_norm"),
            *_dense("intermediate.dense", "feed_forward/hidden/"),
            *_dense("output.dense", "feed_forward/output/"),
            *_norm("output.LayerNorm", "feed_forward_norm"),
        ),
        "encoder.layer.{}",
        "blocks/{}",
    ),
    *_dense("pooler.dense", "pooler/"),
    *_dense("classifier", "classifier/"),
    *_dense("cls.predictions.transform.dense", "transform/"),
    *_norm("cls.predictions.transform.LayerNorm", "transform_norm"),
    Rule("cls.predictions.decoder.weight", ("head/weight",), True),
    Rule("cls.predictions.bias", ("head/bias",)),
)  # fmt: skip


def entries(config: Mapping[str, Any], head: Head) -> list[Any]:
    """Return the network for a BERT's config.json; the head for `classes` reads the first token."""
    facts = Facts(config, "bert")
    facts.must_be("position_embedding_type", "absolute", "absolute")
    facts.must_be("is_decoder", False, False)
    units, vocabulary = facts.number("hidden_size", 768), facts.number("vocab_size", 30522)
    eps, activation = facts.positive("layer_norm_eps", 1e-12), facts.activation("hidden_act", "gelu")
    blocks = {
        "units": units,
        "heads": facts.number("num_attention_heads", 12),
        "layers": facts.number("num_hidden_layers", 12),
        "hidden": facts.number("intermediate_size", 3072),
        "activation": activation,
        "norm": "post",
        "eps": eps,
    }
    segments = {"units": units, "vocabulary": facts.number("type_vocab_size", 2)}
    stack = [
        facts.tokens(units, vocabulary),
        {"embedding": segments, "name": "segments_embedding", "inputs": "segments"},
        {"add": {}, "name": "sum", "inputs": ["tokens", "segments_embedding"]},
        {"learned_positions": {"length": facts.number("max_position_embeddings", 512)}, "name": "positions"},
        {"layer_norm": {"eps": eps}, "name": "embedding_norm"},
        {"transformer_encoder": blocks, "name": "blocks", "inputs": ["embedding_norm", "mask"]},
    ]
    if head == "classes":
        return [
            *stack,
            {"take": 0, "name": "first_token"},
            {"dense": {"units": units, "activation": "tanh"}, "name": "pooler"},
            {"dense": facts.classes(), "name": "classifier"},
        ]
    return [
        *stack,
        {"dense": {"units": units, "activation": activation}, "name": "transform"},
        {"layer_norm": {"eps": eps}, "name": "transform_norm"},
        {"dense": {"units": vocabulary}, "name": "head", **facts.tied(config.get("tie_word_embeddings", True))},
    ]


BERT = Family(
    "bert",
    ("bert",),
    RULES,
    prefixes=("bert.",),
    others=("embeddings.position_ids", "pooler.*"),
    heads=("cls.*", "classifier.*", "qa_outputs.*"),
    entries=entries,
    renamed=(("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")),
)
