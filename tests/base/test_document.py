"""Documents: YAML and JSON read without executing anything, every key with its line."""

import pytest
from ruamel.yaml import YAML

from retrograd.base.document import parse_document, parse_value, read_document, write_document
from retrograd.base.errors import ConfigError, UsageError

BOMB = "a: &a [1,1,1,1,1,1,1,1]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdef", "bcdefg", strict=True)
)


def test_every_key_has_its_line():
    document = parse_document("name: x\nnetwork:\n  - dense:\n      units: 3\n  - relu\n", "net.yaml")
    assert document.place("network.0.dense.units") == "net.yaml:4: network.0.dense.units"
    assert document.place("network.1") == "net.yaml:5: network.1"
    assert document.place("network.0.dense.missing") == "net.yaml:3: network.0.dense.missing"
    assert document.place("nowhere") == "net.yaml: nowhere"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"f.yaml: the file is empty"),
        ("[]", r"expected settings such as data, network, loss; found a list"),
        ("null", r"the file is empty"),
        ('"x"', r"found a text"),
        (
            '{"lr": 0.1,',
            r"f.yaml:1:12: not well-formed YAML: [^:]*; the bracket opened at line 1, column 1 may be unclosed",
        ),
        ("a: 1\nb: 2\na: 3\n", r"f.yaml:3.*duplicate key 'a'"),
        ("a: !!python/object/apply:os.system ['true']", r"f.yaml:1.*tag.*never executes"),
        ("a: !thing 1", r"tag !thing is not allowed"),
        ("a: " + "[" * 60 + "]" * 60, r"nested too deep"),
        ("a: " + "9" * 5000, r"number too long \(5000 digits\)"),
        (BOMB, r"more than 50000 values"),
        ("a:\n\t- b", r"f.yaml:2:1"),
        ("a: b: c", r"f.yaml:1:5"),
    ],
)
def test_what_is_no_plain_document_is_refused_with_its_place(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_document(text, "f.yaml")


def test_yaml_1_2_numbers_and_words():
    values = parse_document("a: 1e-3\nb: no\nc: 0.5\nd: true\ne: null\nf: 010\n").values
    assert values == {"a": 1e-3, "b": "no", "c": 0.5, "d": True, "e": None, "f": 10}


def test_files_that_cannot_be_configurations(tmp_path):
    with pytest.raises(UsageError, match="not found"):
        read_document(tmp_path / "no.yaml")
    with pytest.raises(UsageError, match="not a regular file"):
        read_document(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(ConfigError, match="not UTF-8 at byte 9"):
        read_document(tmp_path / "latin.yaml")
    (tmp_path / "large.yaml").write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(ConfigError, match="too large"):
        read_document(tmp_path / "large.yaml")


def test_what_is_written_reads_back_the_same():
    values = {
        "name": "名字",
        "network": [
            {"dense": {"units": 2, "weight": [[1, 2.5], [3, 4]], "bias": False}},
            "relu",
            {"dense": 1, "name": "out"},
        ],
        "data": {},
        "loss": None,
        "note": "a: 'b' # c",
    }
    assert parse_document(write_document(values)).values == values


def test_a_value_on_the_command_line_is_yaml():
    assert [parse_value(text) for text in ("0.1", "[1, 2]", "all", "{cosine: 0.1}")] == [
        0.1,
        [1, 2],
        "all",
        {"cosine": 0.1},
    ]


def test_numbers_are_read_as_numbers_by_readers_of_yaml_1_1_too():
    values = {"eps": 1e-08, "large": 1e22, "small": 1.5e-7, "plain": 0.5, "negative": -1e-5}
    text = write_document({"deep": [values], **values})
    assert "eps: 1.0e-08" in text
    old = YAML(typ="safe", pure=True)
    old.version = (1, 1)
    for found in (old.load(text), parse_document(text).values):
        assert found == {"deep": [values], **values}
