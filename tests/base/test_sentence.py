"""Sentences keep the settings that they mention apart from their prose."""

import ast
import copy
import json
import pickle
import re
from pathlib import Path

import pytest

from retrograd.base.errors import ConfigError, Problem, RetrogradError, RetrogradWarning
from retrograd.base.finding import Finding
from retrograd.base.sentence import (
    Mention,
    Sentence,
    data_setting,
    entry_setting,
    from_plain,
    joined,
    parts_of,
    sentence,
    setting,
    spelt,
    to_plain,
)

SOURCE = Path(__file__).parents[2] / "src" / "retrograd"
IGNORE_ID = "ignore it with " + data_setting("exclude", "[id]")


@pytest.mark.parametrize(
    ("mention", "written", "path"),
    [
        (data_setting("target"), "`target:`", "data.target"),
        (data_setting("exclude", "[id]"), "`exclude: [id]`", "data.exclude"),
        (data_setting("text.next", "true"), "`text: {next: true}`", "data.text.next"),
        (data_setting("next", "true", section="text"), "`next: true`", "data.text.next"),
        (setting("data.scale", "standard"), "`data: {scale: standard}`", "data.scale"),
        (setting("data", "xor"), "`data: xor`", "data"),
        (setting("data.text.next", "true"), "`data: {text: {next: true}}`", "data.text.next"),
        (setting("missing", "init", within="weights"), "`missing: init`", "weights.missing"),
        (entry_setting("rotary", "true"), "`rotary: true`", ""),
    ],
)
def test_a_mention_reads_as_in_a_configuration_and_knows_its_path(mention, written, path):
    assert mention == written
    assert spelt(mention, lambda part: part.path) == path


def test_a_sentence_is_a_string():
    assert IGNORE_ID == "ignore it with `exclude: [id]`"
    assert hash(IGNORE_ID) == hash(str(IGNORE_ID))
    assert type(str(IGNORE_ID)) is str
    assert f"{IGNORE_ID:>32}|" == "  ignore it with `exclude: [id]`|"
    assert "x; %s" % IGNORE_ID == f"x; {IGNORE_ID}" == "x; ignore it with `exclude: [id]`"  # noqa: UP031
    assert json.loads(json.dumps({"cure": IGNORE_ID})) == {"cure": str(IGNORE_ID)}
    assert Sentence() == ""
    assert not Sentence()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda text: pickle.loads(pickle.dumps(text))])
def test_a_copy_keeps_the_mentions(copied):
    assert parts_of(copied(IGNORE_ID)) == parts_of(IGNORE_ID)
    error = copied(ConfigError("missing", where="data", cure=IGNORE_ID))
    assert parts_of(error.problems[0].cure) == parts_of(IGNORE_ID)


def test_a_stored_sentence_keeps_the_mentions():
    stored = json.loads(json.dumps(to_plain(IGNORE_ID)))
    assert parts_of(from_plain(stored)) == parts_of(IGNORE_ID)
    assert from_plain(to_plain("as it is")) == "as it is"


def test_adding_and_joining_keep_the_mentions():
    kinds = Mention("kinds", "", "data.kinds")
    exclude = parts_of(IGNORE_ID)[1]
    assert parts_of("see " + data_setting("kinds") + " first") == ("see ", kinds, " first")
    assert parts_of(data_setting("kinds") + data_setting("kinds")) == (kinds, kinds)
    assert parts_of(joined("; ", ["no column", IGNORE_ID])) == ("no column", "; ", "ignore it with ", exclude)
    with pytest.raises(TypeError):
        IGNORE_ID + 1


def test_a_form_takes_a_mention_in_each_place():
    text = sentence("choose {}, or see {}", data_setting("split", "none"), data_setting("kinds"))
    assert text == "choose `split: none`, or see `kinds:`"
    assert spelt(text, lambda mention: mention.path) == "choose data.split, or see data.kinds"
    with pytest.raises(ValueError, match="shorter"):
        sentence("choose {}, or see {}", data_setting("kinds"))


def test_problems_findings_errors_and_warnings_keep_the_mentions():
    def paths(text):
        return [part.path for part in parts_of(text) if isinstance(part, Mention)]

    problem = Problem("d.csv:2", "see " + data_setting("kinds"), IGNORE_ID)
    assert paths(problem.sentence) == ["data.kinds", "data.exclude"]
    assert str(problem) == "d.csv:2: see `kinds:`; ignore it with `exclude: [id]`"
    assert paths(RetrogradError([problem, problem]).sentence) == ["data.kinds", "data.exclude"] * 2
    assert paths(Finding("row_name", "column 'id'", IGNORE_ID).sentence) == ["data.exclude"]
    assert paths(RetrogradWarning(IGNORE_ID).args[0]) == ["data.exclude"]


def literals(path: Path):
    """The texts in a file with `X` for each inserted value, without its docstrings."""
    tree = ast.parse(path.read_text())
    skipped = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    skipped |= {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            yield (
                node.lineno,
                "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def test_every_text_names_its_settings_as_data():
    marked = [
        f"{path.relative_to(SOURCE)}:{line}: {text}"
        for path in sorted(SOURCE.rglob("*.py"))
        for line, text in literals(path)
        if re.search(r"`[a-zX_]+:( [^`]*)?`", text)
    ]
    assert marked == [], "name the setting with data_setting(), setting() or entry_setting()"
