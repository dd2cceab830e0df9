import codecs

import pytest

from retrograd.base.errors import ConfigError, DataError, RetrogradWarning
from retrograd.data.read.encoding import find_encoding
from retrograd.data.settings import DataSettings
from retrograd.data.source import read_file

TEXT = "城市,值\n北京,1\n上海,2\n"


@pytest.fixture
def read(tmp_path):
    def write_and_read(content, **settings):
        path = tmp_path / "d.csv"
        path.write_bytes(content)
        return read_file(path, DataSettings(**settings)).frame.to_dict(as_series=False)

    return write_and_read


EXPECTED = {"城市": ["北京", "上海"], "值": ["1", "2"]}


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode("utf-8"),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
    ],
)
def test_unicode_is_recognised(read, content):
    assert read(content) == EXPECTED


def test_gb18030_is_recognised_with_a_warning_that_shows_a_sample(read):
    with pytest.warns(RetrogradWarning, match=r"GB18030.*城市,值.*`encoding:`"):
        assert read(TEXT.encode("gb18030")) == EXPECTED


def test_a_chosen_encoding_needs_no_warning(read):
    assert read(TEXT.encode("gb18030"), encoding="gb18030") == EXPECTED
    assert read("x,y\ncafé,1\n".encode("latin-1"), encoding="latin-1") == {"x": ["café"], "y": ["1"]}


LETTERS = {
    "cp1252": ["Stadt,Größe\nMünchen,1\nKöln,2\n", "nome\nSão João\nconexões\n", "nimi\nHämäläinen\nyö\n", "temp °C,v\n20,1\n",
               "price\n5 €\n", "t\nit’s “fine” – ok\n", "STADT\nKÄRNTEN\nÖSTERREICH\n", "name,x\ncafé,1\n", "£,v\n1,2\n"],
    "gb18030": ["姓名,备注\n王小明,今天天气很好\n", "股票,值\nA股,1\nT恤,2\n中国银行,3\n"],
    "cp932": ["都市,値段\n東京,1\nおおさか,2\nナゴヤ,3\n", "商品名,価格\nりんご,1\n"],
    "euc_jp": ["商品名,価格\nりんご,1\nみかん,2\n"],
    "cp950": ["城市,房價,面積\n臺北,12000,85\n今天天氣很好我們去公園散步,1,2\n"],
    "cp949": ["도시,가격\n서울,1\n부산은 큰 도시입니다,2\n대한민국 만세,3\n우리나라 좋은나라 사람들,4\n"],
    "cp1251": ["город,цена\nМосква,1\nСанкт-Петербург,2\n"],
    "koi8-r": ["город,цена\nМосква,1\nСанкт-Петербург,2\n"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in LETTERS.items() for text in texts])
def test_other_encodings_are_recognised_by_their_letters_and_reported(tmp_path, name, text):
    content = text.encode(name)
    with pytest.warns(RetrogradWarning, match="not UTF-8; read as .* such as .*`encoding:`"):
        encoding = find_encoding(lambda: iter([content]), tmp_path / "d.csv")
    assert content.decode(encoding) == text


def test_a_wrong_chosen_encoding_is_reported_with_what_does_not_fit(read):
    with pytest.raises(DataError, match=r"not valid utf-8: .*byte 0xe9"):
        read("x,y\ncafé,1\n".encode("latin-1"), encoding="utf-8")


@pytest.mark.parametrize("name", ["utf-99", "zip", "rot13"])
def test_an_encoding_not_for_text_is_refused(read, name):
    with pytest.raises(ConfigError, match=f"unknown encoding '{name}'"):
        read(b"x,y\n1,2\n", encoding=name)


def test_a_character_split_between_reads_is_still_recognised(read, monkeypatch):
    monkeypatch.setattr("retrograd.data.read.files.CHUNK_BYTES", 1)
    assert read(TEXT.encode("utf-8")) == EXPECTED
