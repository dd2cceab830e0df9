"""A language model gives the same results token by token as on the whole text."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.training.adapted import without_adaptation
from retrograd.training.use.decoding import CachedLogits, continuation
from retrograd.training.use.stepping import can_step

TEXTS = ["the cat sat on the mat", "a dog ran to the cat", "the mat is on the dog"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("steps")
    (folder / "texts.txt").write_text("\n".join(TEXTS * 3), encoding="utf-8")
    config = {
        "data": {"path": str(folder / "texts.txt"), "text": {"next": True, "unit": "characters", "length": 12}},
        "network": [
            {"embedding": {"units": 8, "vocabulary": "tokens"}},
            "learned_positions",
            {"transformer_encoder": {
                "units": 8, "heads": 4, "key_value_heads": 2, "causal": True, "rotary": True, "window": 5,
                "qk_norm": "rms", "gated": True, "norm_kind": "rms_norm", "hidden": 8,
                "rotary_slow": {"factor": 4, "length": 30}}},
            {"dense": "classes"},
        ],
        "adapt": {"layers": "*/attention", "rank": 2, "train": ["*"]},
        "training": {"epochs": 1, "batch_size": 8},
    }  # fmt: skip
    return rg.train(config, folder=folder / "run").model


def test_keys_and_values_are_cached_and_rows_may_change_places(model):
    assert not can_step(model.network)  # it is adapted
    plain = without_adaptation(model)
    assert can_step(plain.network)
    whole, cached = continuation(plain, plain.preprocessing.inputs), CachedLogits(plain, plain.preprocessing.inputs)
    prefix = np.array([[2, 5, 6], [2, 7, 5]], np.int32)
    for order, tokens in (([0, 1], [8, 9]), ([1, 1], [6, 4]), ([1, 0], [5, 5])):
        np.testing.assert_allclose(cached(prefix), whole(prefix), atol=1e-5)
        prefix = np.column_stack([prefix[order], np.array(tokens, np.int32)])
    assert rg.generate(model, "the ", length=20, temperature=0) == _slowly(plain, "the ", 20)
    assert len(rg.beam_search(model, "a", width=2, length=4)) == 2


def test_attention_to_another_input_is_not_stepped():
    layers = [rg.named(rg.Embedding(4, 9), "a"), rg.named(rg.Embedding(4, 9), "b", inputs=["x"])]
    attention = rg.MultiHeadAttention(2, 4, causal=True)
    assert can_step(rg.Network(*layers, rg.named(attention, "c", inputs=["a"])))
    assert not can_step(rg.Network(*layers, rg.named(attention, "c", inputs=["a", "b"])))


def test_a_model_in_float64_keeps_its_keys_in_float64(tmp_path):
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    config = {
        "data": {"path": str(tmp_path / "texts.txt"), "text": {"next": True, "unit": "characters", "length": 8}},
        "network": [{"embedding": {"units": 4, "vocabulary": "tokens"}},
                    {"multi_head_attention": {"heads": 2, "causal": True}}, {"dense": "classes"}],
        "training": {"epochs": 1, "batch_size": 8, "precision": "float64"},
    }  # fmt: skip
    model = rg.train(config, folder=tmp_path / "run").model
    assert rg.generate(model, "the", length=4, temperature=0) == _slowly(model, "the", 4)
    assert len(rg.beam_search(model, "a", width=2, length=3)) == 2


def _slowly(model, text, length):
    vocabulary = model.preprocessing.inputs.vocabulary
    logits_of, prefix = continuation(model, model.preprocessing.inputs), [2, *vocabulary.encode(text)]
    for _ in range(length):
        logits = logits_of(np.array([prefix], np.int32))[0]
        logits[[0, 1, 2]] = -np.inf
        prefix.append(int(logits.argmax()))
        if prefix[-1] == 3:
            break
    return vocabulary.decode(prefix[1 + len(vocabulary.encode(text)) :])
