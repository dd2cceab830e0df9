import pytest

from retrograd.base.document import parse_document
from retrograd.base.errors import ConfigError
from retrograd.base.full_width import odd_characters


@pytest.mark.parametrize(
    ("text", "place", "instead"),
    [
        ("data：xor\n", "line 1, column 5 contains '：'", "write ':'"),
        ("data: xor\nnetwork: ［dense］\n", "line 2, column 10 contains '［'", r"write '\['"),
        ("data: {path: “a.csv”}\n", "line 1, column 14 contains '“'", "write '\"'"),
        ("training: {epochs: １００}\n", "line 1, column 20 contains '１'", "write '1'"),
        ("data:\u00a0xor\n", "line 1, column 6 contains a no-break space", "write a space"),
        ("data: xor\ntraining:\n\tepochs: 5\n", "line 3, column 1 contains a tab", "write a space"),
        ("data: {path: a.csv， target: y: z}\n", "line 1, column 19 contains '，'", "write ','"),
    ],
)
def test_a_character_that_looks_like_another_is_named_with_its_place(text, place, instead):
    with pytest.raises(ConfigError, match=f"(?s){place}.*{instead}"):
        parse_document(text, "c.yaml")


def test_an_error_in_a_line_names_the_odd_character_in_it():
    document = parse_document("training:\n  epochs　: 5\n", "c.yaml")
    told = document.located(ConfigError("unknown key", where="training.epochs　"))
    assert "c.yaml:2" in str(told)
    assert "column 9 contains" in str(told)
    assert "write a space" in str(told)


def test_quoted_text_comments_and_names_may_hold_them():
    text = 'data: {path: "房价，面积：一.csv", target: 房价（万元）}  # 注释：无\nname: a\n'
    assert parse_document(text).values["data"] == {"path": "房价，面积：一.csv", "target": "房价（万元）"}
    assert odd_characters('a: "：" # ：\n') == {}
