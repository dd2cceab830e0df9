import pytest

from retrograd.base.errors import DataError, RetrogradWarning
from retrograd.data.settings import DataSettings
from retrograd.data.source import read_file


@pytest.fixture
def read(tmp_path):
    def write_and_read(content):
        path = tmp_path / "d.jsonl"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_file(path, DataSettings())

    return write_and_read


def test_keys_become_columns_and_an_absent_key_is_a_missing_value(read):
    table = read('{"x": 1.50, "ok": true}\n\n{"x": null, "名": "a"}\n')
    assert table.frame.to_dict(as_series=False) == {
        "x": ["1.50", None],
        "ok": ["true", None],
        "名": [None, "a"],
    }
    assert table.lines.tolist() == [1, 3]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"x": 1', "line 2, column"),
        ("[1]", "line 2: expected an object"),
        ('{"x": [1]}', "line 2, key 'x': a cell cannot be a list"),
        ('{"x": {"y": 1}}', "line 2, key 'x': a cell cannot be an object"),
        ('{"x": 1, "x": 2}', "line 2: duplicate key"),
        ('{"x": "\\ud800"}', "line 2 contains half a character"),
        ('{"x": ' + "[" * 100_000, "line 2 is nested too deep"),
    ],
)
def test_a_bad_line_is_reported_by_its_number(read, line, words):
    with pytest.raises(DataError, match=words):
        read('{"x": 1}\n' + line + "\n")


def test_a_number_of_many_digits_stays_text(read):
    assert read('{"x": ' + "9" * 6000 + "}\n").frame["x"][0] == "9" * 6000


def test_a_guessed_encoding_is_reported_once(read):
    with pytest.warns(RetrogradWarning, match="GB18030") as caught:
        read('{"城市": "北京"}\n'.encode("gb18030"))
    assert len(caught) == 1
