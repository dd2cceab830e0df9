"""Hidden tokens: which are chosen, what replaces them, how a text marks one, and what is refused."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.base.errors import ConfigError, DataError
from retrograd.data.cells.vocabulary import END, MASK, START, UNKNOWN, Vocabulary
from retrograd.data.dataset import from_arrays, load
from retrograd.data.preprocessing import Preprocessing
from retrograd.data.settings import DataSettings
from retrograd.data.texts.masking import Masking
from retrograd.data.texts.settings import SpecialTokens, TextSettings

NONE = {"method": "none"}
VOCABULARY = Vocabulary("words", False, tuple("abcdefghij"), has_mask=True)
MASKING = Masking.of(VOCABULARY, 0.15)


def loaded(texts, **text):
    settings = DataSettings(text={"masked": 0.15, "unit": "characters", "length": 8, **text}, split=NONE)
    return from_arrays(texts, settings=settings)


def test_most_chosen_tokens_are_hidden_some_are_replaced_and_some_stay():
    rng = np.random.default_rng(0)
    ids = rng.integers(4, 14, (2000, 40)).astype(np.int32)
    ids[:, 0], ids[:, 39], ids[::2, 20:39] = START, END, 0
    draws = rng.random((3, *ids.shape), np.float32)
    x, y = MASKING.hide(ids, draws)
    chosen = y != -1
    assert chosen[::2].sum(1).tolist() == [3] * 1000  # of 19 tokens
    assert chosen[1::2].sum(1).tolist() == [6] * 1000  # of 38
    np.testing.assert_array_equal(MASKING.shown(x, y), ids)
    assert (ids[chosen] >= 4).all()
    shares = [np.mean(x[chosen] == VOCABULARY.mask), np.mean(x[chosen] == ids[chosen])]
    assert shares == pytest.approx([0.8, 0.1 + 0.1 / 10], abs=0.01)  # one of ten other tokens is the token itself
    assert np.bincount(x[chosen])[4:14].min() > 0.01 * chosen.sum()
    for ours, theirs in zip((x, y), MASKING.hide(jnp.asarray(ids), jnp.asarray(draws), jnp), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_text_is_masked_alike_in_any_row_and_at_one_token_or_more():
    texts = ["abcdefg", "hgfedcba", "ab"]
    first, again = loaded(texts, masked=0.001), loaded([texts[1], texts[0], texts[2]], masked=0.001)
    assert first.task == "masked_token"
    assert any("0.1 % of the tokens" in note for note in first.notes)
    for name in ("x", "y"):
        np.testing.assert_array_equal(np.unique(first.train[name], axis=0), np.unique(again.train[name], axis=0))
    assert (first.train["y"] != -1).sum(1).tolist() == [1] * 4  # the second text fills two sequences
    assert first.sizes["tokens"] == first.sizes["classes"] == 4 + 8 + 1
    shown = MASKING.shown(first.train["x"], first.train["y"])
    assert first.preprocessing.inputs.vocabulary.decode(shown[0]) == "abcdefg"


def test_the_marker_is_the_mask_in_texts_to_complete_and_not_a_token_of_the_vocabulary():
    made = loaded(["a cat", "a dog [MASK] ran"], unit="words")
    vocabulary = made.preprocessing.inputs.vocabulary
    assert vocabulary.tokens == ("a", "cat", "dog", "ran")
    columns = made.preprocessing.transform(["a[MASK] ox cat"], with_target=False)
    ids = [START, 4, vocabulary.mask, UNKNOWN, 5, END, 0, 0]
    assert (columns["x"].tolist(), set(columns)) == ([ids], {"x", "mask"})
    assert vocabulary.split("a[MASK] ox") == ["a", MASK, "ox"]
    assert vocabulary.decode(ids) == "a [MASK] <unknown> cat"
    again = Preprocessing.from_json(json.loads(json.dumps(made.preprocessing.to_json())))
    assert again == made.preprocessing


def test_only_training_sequences_overlap():
    made = loaded(["abcdefghijklmnop"], stride=4)
    assert len(made.train["x"]) == 5
    assert len(made.preprocessing.transform(["abcdefghijklmnop"], with_target=False)["x"]) == 3


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"masked": 0}, "between 0 and 1"),
        ({"masked": 1.0}, "between 0 and 1"),
        ({"masked": float("nan")}, "masked"),
        ({"masked": 0.15, "next": True}, "both hidden tokens and `next` would be the target"),
        ({"masked": 0.15, "answer": "b"}, "and `answer` would be the target"),
        ({"stride": 4}, "masked: 0.15"),
        ({"special": [0, 1, 2, 3]}, "special tokens lack"),
        ({"special": [0, 1, 2, 3, 2]}, "another special token"),
    ],
)
def test_settings_that_hide_nothing_are_refused_before_anything_is_read(wrong, match):
    if "special" in wrong:
        wrong = {"masked": 0.15, "unit": "tokenizer", "tokenizer": "t", "special": SpecialTokens(*wrong["special"])}
    with pytest.raises(ConfigError, match=match):
        TextSettings(**wrong)


def test_texts_without_a_token_to_hide_are_refused(tmp_path):
    (tmp_path / "train.txt").write_text("aaaa")
    (tmp_path / "valid.txt").write_text("bb")
    text = {"masked": 0.15, "unit": "characters"}
    with pytest.raises(DataError, match="no known token that could be hidden"):
        load(DataSettings(path="train.txt", valid_path="valid.txt", text=text, split=NONE), tmp_path)


def test_a_tokenizers_own_mask_hides_its_tokens(tmp_path):
    models = pytest.importorskip("tokenizers.models")
    from tokenizers import Tokenizer, pre_tokenizers

    words = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tok.json"))
    (tmp_path / "t.txt").write_text("the cat sat the cat sat\n" * 4)
    text = {"masked": 0.5, "length": 8, "unit": "tokenizer", "tokenizer": "tok.json"}
    markers = {"padding": 0, "unknown": 1, "start": 2, "end": 3, "mask": 4}
    for special, mask in ((markers, 4), (None, 12)):
        made = load(DataSettings(path="t.txt", text={**text, "special": special}, split=NONE), tmp_path)
        assert made.preprocessing.inputs.vocabulary.mask == mask
        assert (made.train["x"] == mask).any()
        assert made.sizes["tokens"] == (8 if special else 13)
        assert made.preprocessing.transform(["the [MASK]"], with_target=False)["x"][0, 2] == mask
