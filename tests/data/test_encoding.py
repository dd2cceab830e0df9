import codecs

import pytest

from retrograd.base.errors import ConfigError, DataError, RetrogradWarning
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


def test_text_of_no_recognised_encoding_asks_for_its_name(read):
    with pytest.raises(DataError, match="encoding: latin-1"):
        read("x,y\ncafé,1\n".encode("latin-1"))


def test_a_wrong_chosen_encoding_names_what_does_not_fit(read):
    with pytest.raises(DataError, match=r"not utf-8: .*byte 0xe9"):
        read("x,y\ncafé,1\n".encode("latin-1"), encoding="utf-8")


@pytest.mark.parametrize("name", ["utf-99", "zip", "rot13"])
def test_what_is_no_text_encoding_is_a_wrong_setting(read, name):
    with pytest.raises(ConfigError, match=f"unknown encoding '{name}'"):
        read(b"x,y\n1,2\n", encoding=name)


def test_a_character_torn_by_the_reading_is_still_recognised(read, monkeypatch):
    monkeypatch.setattr("retrograd.data.files.CHUNK_BYTES", 1)
    assert read(TEXT.encode("utf-8")) == EXPECTED
