"""Texts: words, characters and tokenizer files; padding, masks, unknown tokens; running text; answers."""

import json

import numpy as np
import polars as pl
import pytest

from retrograd.base.errors import ConfigError, DataError, ResourceError
from retrograd.data.cells.vocabulary import END, PADDING, START, UNKNOWN, Vocabulary, fit_vocabulary
from retrograd.data.dataset import from_arrays, load
from retrograd.data.preprocessing import Preprocessing
from retrograd.data.report import Report
from retrograd.data.settings import DataSettings
from retrograd.data.texts.inputs import listed_texts
from retrograd.data.texts.settings import TextSettings

NONE = {"method": "none"}


def table(tmp_path, text, name="t.csv"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return str(tmp_path / name)


def test_words_are_counted_in_the_training_part_alone_and_the_most_frequent_come_first(tmp_path):
    rows = "".join(f"the cat {'sat' if i % 2 else 'ran'},{i % 2}\n" for i in range(20))
    path = table(tmp_path, "text,label\n" + rows)
    valid = table(tmp_path, "text,label\nthe dog sat,1\n", "v.csv")
    dataset = load(DataSettings(path=path, valid_path=valid, text={}, split=NONE))
    vocabulary = dataset.preprocessing.inputs.vocabulary
    assert vocabulary.tokens == ("cat", "the", "ran", "sat")
    assert dataset.sizes["tokens"] == 8
    assert dataset.valid["x"].tolist() == [[5, UNKNOWN, 7]]
    assert any("1 of 63 tokens unknown, such as 'dog'" in note for note in dataset.notes)


def test_texts_are_padded_at_the_end_and_cut_and_the_mask_says_where_tokens_are(tmp_path):
    path = table(tmp_path, "text,label\n" + "a b,0\na b c d,1\n,0\n" * 4)
    dataset = load(DataSettings(path=path, text={"length": 3}, split=NONE))
    x, mask = dataset.train["x"], dataset.train["mask"]
    assert (x.dtype, mask.dtype, x.shape) == (np.int32, np.bool_, (12, 3))
    assert x[0, 2] == PADDING
    assert x[2].tolist() == [UNKNOWN, PADDING, PADDING]  # an empty text is one unknown token
    np.testing.assert_array_equal(mask, x != PADDING)
    assert any("4 texts cut to the length" in note for note in dataset.notes)
    assert any("4 missing values" in note for note in dataset.notes)


def test_the_subfolders_of_a_folder_of_text_files_are_labels(tmp_path):
    for i in range(12):
        folder = tmp_path / "set" / ("good" if i % 2 else "bad")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i}.txt").write_text(f"line {i}\nmore\n", encoding="utf-8")
    dataset = load(DataSettings(path=str(tmp_path / "set"), split=NONE))
    assert dataset.classes == ("bad", "good")
    assert dataset.train["x"].shape == (12, 3)


def test_running_text_is_shifted_by_one_token_and_split_by_time(tmp_path):
    text = "".join(f"line {i}\n" for i in range(30))
    path = table(tmp_path, text, "book.txt")
    dataset = load(DataSettings(path=path, text={"next": True, "unit": "characters", "length": 10}))
    vocabulary = dataset.preprocessing.inputs.vocabulary
    assert dataset.task == "next_token"
    assert dataset.sizes["classes"] == dataset.sizes["tokens"] == vocabulary.size
    for part in (dataset.train, dataset.valid, dataset.test):
        stream = part["x"][part["mask"]]
        assert stream[0] == START
        assert part["y"][part["y"] != PADDING][-1] == END
        np.testing.assert_array_equal(part["x"][:, 1:], np.where(part["mask"][:, 1:], part["y"][:, :-1], PADDING))
    parts = [vocabulary.decode(part["x"][part["mask"]]) for part in (dataset.train, dataset.valid, dataset.test)]
    whole = "".join(parts).replace("?", "")
    assert len(whole) >= len(text) - 6  # the later parts contain digits that the first does not
    assert parts[0] == text[: len(parts[0])]


def test_sequences_of_running_text_overlap_if_the_stride_is_shorter():
    texts = ["abcdefghij"]
    settings = DataSettings(text={"next": True, "unit": "characters", "length": 4, "stride": 2}, split=NONE)
    dataset = from_arrays(texts, settings=settings)
    np.testing.assert_array_equal(dataset.train["x"][0, 2:], dataset.train["x"][1, :2])


def test_answers_begin_with_start_and_end_with_end(tmp_path):
    path = table(tmp_path, "q,a\n" + "".join(f"{i},{'x' * (1 + i % 3)}\n" for i in range(12)))
    settings = DataSettings(path=path, text={"column": "q", "answer": "a", "unit": "characters"}, split=NONE)
    dataset = load(settings)
    previous, y = dataset.train["previous"], dataset.train["y"]
    assert previous.shape == y.shape == (12, 5)
    assert previous[1].tolist() == [START, 4, 4, PADDING, PADDING]
    assert y[1].tolist() == [4, 4, END, PADDING, PADDING]
    columns = dataset.preprocessing.transform(["7"], with_target=False)
    assert set(columns) == {"x", "mask"}
    target = dataset.preprocessing.target
    assert target.decode(y[:2]).labels.tolist() == ["x", "xx"]
    with pytest.raises(DataError, match="answer_length: 10"):
        dataset.preprocessing.transform({"x": ["1"], "y": ["x" * 9]}, with_target=True)


def test_words_are_joined_with_punctuation_in_its_place():
    vocabulary = fit_vocabulary(["Yes, (the cat) sat!"], TextSettings(), None)
    assert vocabulary.decode(vocabulary.encode("Yes, (the cat) sat!")) == "Yes, (the cat) sat!"
    assert vocabulary.decode([START, *vocabulary.encode("the dog"), END, 5]) == "the <unknown>"


def test_rare_tokens_and_those_beyond_the_limit_are_unknown():
    texts = ["a a a b b c"]
    assert fit_vocabulary(texts, TextSettings(min_count=2), None).tokens == ("a", "b")
    assert fit_vocabulary(texts, TextSettings(max_tokens=1), None).tokens == ("a",)
    assert fit_vocabulary(["A a"], TextSettings(lower=True), None).tokens == ("a",)
    with pytest.raises(DataError, match="no tokens"):
        fit_vocabulary([""], TextSettings(), None)


def tokenizer_file(tmp_path):
    models = pytest.importorskip("tokenizers.models")
    from tokenizers import Tokenizer, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"<u>": 0, "the": 1, "cat": 2, "sat": 3}, unk_token="<u>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tok.json"))


def test_a_tokenizer_file_is_stored_in_the_model(tmp_path):
    tokenizer_file(tmp_path)
    table(tmp_path, "text,label\n" + "the cat,0\nthe dog sat,1\n" * 6)
    settings = DataSettings(path="t.csv", text={"unit": "tokenizer", "tokenizer": "tok.json"}, split=NONE)
    dataset = load(settings, tmp_path)
    assert dataset.sizes["tokens"] == 8
    assert dataset.train["x"][1].tolist() == [5, 4, 7]
    plain = json.loads(json.dumps(dataset.preprocessing.to_json()))
    (tmp_path / "tok.json").unlink()
    again = Preprocessing.from_json(plain)
    assert again.transform(["the cat"], with_target=False)["x"].tolist() == [[5, 6, 0]]
    assert again.inputs.vocabulary.decode([5, 6]) == "the cat"


@pytest.mark.parametrize("text", ["", "[1, 2]", '{"model": 5}', "\x00"])
def test_a_foreign_tokenizer_file_is_refused(tmp_path, text):
    pytest.importorskip("tokenizers")
    (tmp_path / "tok.json").write_text(text, encoding="utf-8")
    table(tmp_path, "text,label\na,0\nb,1\n")
    settings = DataSettings(path="t.csv", text={"unit": "tokenizer", "tokenizer": "tok.json"})
    with pytest.raises(DataError, match=r"tok.json: not a tokenizer file"):
        load(settings, tmp_path)


def test_settings_that_contradict_each_other_are_reported():
    with pytest.raises(ConfigError, match="belong together"):
        DataSettings(path="t.csv", text={"unit": "tokenizer"})
    with pytest.raises(ConfigError, match="keep only one"):
        DataSettings(path="t.csv", text={"next": True, "answer": "a"})
    with pytest.raises(ConfigError, match="set together with `images`"):
        DataSettings(path="t.csv", images={}, text={})


def test_missing_settings_are_reported(tmp_path):
    path = table(tmp_path, "a,b,label\n" + "one word,two words,1\nmore words,and more,0\n" * 6)
    with pytest.raises(DataError, match="2 columns could contain the texts"):
        load(DataSettings(path=path, target="label", text={}))
    with pytest.raises(DataError, match="texts without a target"):
        load(DataSettings(path=path, target="a", text={"column": "a"}))
    with pytest.raises(DataError, match="no column 'c'"):
        load(DataSettings(path=path, text={"column": "c"}))
    dataset = load(DataSettings(path=path, target="label", text={"column": "a"}, split=NONE))
    with pytest.raises(DataError, match="expected a list of texts"):
        dataset.preprocessing.transform("one", with_target=False)


def test_preprocessing_of_texts_survives_json_and_takes_lists():
    dataset = from_arrays(["a b", "c"] * 6, [1, 0] * 6, settings=DataSettings(text={}, split=NONE))
    again = Preprocessing.from_json(json.loads(json.dumps(dataset.preprocessing.to_json())))
    report = Report()
    columns = again.transform({"x": ["b z"], "y": [1]}, with_target=True, report=report)
    assert columns["x"].tolist() == [[5, UNKNOWN]]
    assert columns["y"].tolist() == [[1.0]]
    assert report.unknown == {"text": 1}


def test_a_vocabulary_with_a_repeated_token_is_refused():
    with pytest.raises(ValueError, match="distinct tokens"):
        Vocabulary("words", False, ("a", "a"))


@pytest.mark.parametrize(
    "texts", [["a b", "c"], ("a b", "c"), np.array(["a b", "c"]), pl.Series(["a b", "c"])], ids=type
)
def test_texts_may_be_in_any_kind_of_list(texts):
    assert listed_texts(texts) == ["a b", "c"]


@pytest.mark.parametrize(
    "settings",
    [
        DataSettings(builtin="reviews", text=TextSettings(length=2_000_000_000)),
        DataSettings(builtin="tales", text=TextSettings(next=True, length=2_000_000_000, stride=1)),
        DataSettings(builtin="number_words", text=TextSettings(answer="german", answer_length=2_000_000_000)),
    ],
)
def test_lengths_that_would_fill_memory_are_refused_before_anything_is_allocated(settings):
    with pytest.raises(ResourceError, match=r"data\.text\.\w*length: texts of .* tokens would take"):
        load(settings)
