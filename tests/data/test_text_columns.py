"""Free text along with numbers: recognised by the whole column, split into tokens, and restored with the model."""

import json

import numpy as np
import polars as pl
import pytest

from retrograd.base.errors import ConfigError, DataError
from retrograd.data.cells.kinds import find_kinds
from retrograd.data.cells.vocabulary import Vocabulary
from retrograd.data.dataset import from_frame
from retrograd.data.preprocessing import Preprocessing
from retrograd.data.report import Report
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table
from retrograd.data.tables.text_column import fit_text_column

FILLER = ("the", "a", "box")
HAN = "这个产品好用质量错物流快包装差服务态度一般价格便宜推荐购买失望"


def kind_of(cells, **settings):
    table = Table(pl.DataFrame({"c": cells}))
    return find_kinds(table, ("c",), DataSettings(**settings))["c"].kind


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([f"the {word} thing number {i} was fine" for i in range(40) for word in FILLER[:3]], "text"),
        ([f"<p>Very <b>nice</b> item {i} 😀</p>" for i in range(90)], "text"),
        (["word " * 4000 + str(i) for i in range(12)], "text"),
        ([HAN[i % 20 : i % 20 + 9] + HAN[i // 20 :][:4] for i in range(80)], "text"),
        ([f"short text, row {chr(97 + i)}" for i in range(8)], "text"),
        ([f"John Smith{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(100)], "identifier"),
        ([HAN[i % 25 : i % 25 + 2] + HAN[i // 25] for i in range(75)], "identifier"),  # names of three characters
        ([f"https://example.org/a/b/c/{i}?x=y" for i in range(90)], "identifier"),
        ([f"Mon Jan 5 10:0{i % 10}:00 {1900 + i}" for i in range(90)], "date"),
        ([f"a text of kind {i % 5}" for i in range(50)], "category"),
    ],
)
def test_free_text_is_distinguished_from_names_and_categories_by_the_whole_column(cells, kind):
    assert kind_of(cells) == kind


def test_a_kind_makes_a_column_text_or_not():
    assert kind_of(["a", "b"], kinds={"c": "text"}) == "text"
    assert kind_of([f"the text of row {i}" for i in range(90)], kinds={"c": "category"}) == "category"


def test_a_text_column_becomes_tokens_and_a_mask_beside_the_numbers():
    frame = pl.DataFrame({"my.review": ["good one", None, "bad"], "n": [1.0, 2.0, 3.0], "y": [1.5, 2.5, 3.5]})
    settings = DataSettings(kinds={"my.review": "text"}, scale="none")
    data = from_frame(frame, "y", settings=settings)
    assert any("my.review" in note for note in data.notes)
    np.testing.assert_array_equal(data.train["x"], [[0, 1], [1, 2], [0, 3]])  # the second one: no text
    assert data.features == ("my.review_missing", "n")
    bad, good, one = 4, 5, 6
    np.testing.assert_array_equal(data.train["my_review"], [[good, one], [1, 0], [bad, 0]])
    np.testing.assert_array_equal(data.train["my_review_mask"], [[1, 1], [1, 0], [1, 0]])
    assert data.sizes == {"my_review": 7, "features": 2, "targets": 1}
    again = Preprocessing.from_json(json.loads(json.dumps(data.preprocessing.to_json())))
    assert again == data.preprocessing
    report = Report()
    columns = again.transform(pl.DataFrame({"n": [1.0], "my.review": ["good good bad and more"]}), with_target=False,
                              report=report)  # fmt: skip
    np.testing.assert_array_equal(columns["my_review"], [[good, good]])
    assert "text 'my.review': 2 of 5 tokens unknown, such as 'and'" in report.sentences()
    assert "text 'my.review': 1 text cut to the length" in report.sentences()


def test_the_text_section_says_how_text_columns_are_cut():
    frame = pl.DataFrame({"t": ["AbA", "b"], "n": [1.0, 2.0], "y": [1.5, 2.5]})
    settings = DataSettings(kinds={"t": "text"}, text={"unit": "characters", "lower": True, "length": 2})
    data = from_frame(frame, "y", settings=settings)
    np.testing.assert_array_equal(data.train["t"], [[4, 5], [5, 0]])
    assert "x" in data.train
    tokenizer = DataSettings(text={"unit": "tokenizer", "tokenizer": "tokens.json"})
    with pytest.raises(ConfigError, match="a tokenizer cannot be used for text next to other columns"):
        fit_text_column("t", frame["t"], tokenizer)


def test_text_alone_reports_the_columns_that_it_leaves_out():
    frame = pl.DataFrame({"t": ["a b", "b a"] * 6, "n": range(12), "y": ["u", "v"] * 6})
    notes = from_frame(frame, "y", settings=DataSettings(text={"column": "t"})).notes
    assert any(note.startswith("ignored: n; to use them along with the text, set `kinds: {t: text}`") for note in notes)


def test_an_empty_text_column_and_a_clash_of_names_are_refused():
    frame = pl.DataFrame({"t": [None, None, "a b c"], "n": [1.0, 2.0, 3.0], "y": [1.5, 2.5, 3.5]})
    settings = DataSettings(kinds={"t": "text"}, split={"method": "time", "valid": 0.0, "test": 0.3})
    with pytest.raises(DataError, match="column 't' is empty in the training part"):
        from_frame(frame, "y", settings=settings)
    clash = pl.DataFrame({"x": ["a", "b"], "n": [1.0, 2.0], "y": [1.5, 2.5]})
    with pytest.raises(DataError, match="the embedded column 'x' has the same name as another batch column"):
        from_frame(clash, "y", settings=DataSettings(kinds={"x": "text"}))


def test_each_chinese_or_japanese_character_is_a_word_and_they_are_joined_without_blanks():
    vocabulary = Vocabulary("words", False, ("我", "喜", "欢", "iPhone", "手", "机", "。", "カ"))
    numbers = vocabulary.encode("我喜欢iPhone手机。")
    assert numbers.tolist() == [4, 5, 6, 7, 8, 9, 10]
    assert vocabulary.decode(numbers) == "我喜欢iPhone手机。"
