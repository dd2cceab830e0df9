"""Where a table came without a configuration, errors, warnings and notes name options."""

import re
import warnings

import pytest

from retrograd.app.cli.main import main
from retrograd.app.cli.spelling import spelt_as_options, with_options
from retrograd.base.errors import ConfigError, Problem, RetrogradWarning
from retrograd.base.sentence import data_setting, entry_setting, setting

ROWS = [f"{i / 10},{i * 7 % 5},{'ab'[i % 2]}" for i in range(40)]


def table(rows=(), header="x,z,label"):
    """A good table with some rows replaced."""
    replaced = dict(rows)
    return "\n".join([header, *(replaced.get(i, row) for i, row in enumerate(ROWS))]) + "\n"


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("ignore it with " + data_setting("exclude", "[id]"), "ignore it with --set 'data.exclude=[id]'"),
        (data_setting("target") + " selects another", "--target selects another"),
        (data_setting("target", "[a, b]") + " selects both", "--target '[a, b]' selects both"),
        ("see " + data_setting("kinds"), "see --set data.kinds=..."),
        ("choose " + data_setting("split", "none"), "choose --set data.split=none"),
        ("check (" + setting("data.scale", "standard") + ")", "check (--set data.scale=standard)"),
        ("set " + data_setting("next", "true", section="text"), "set --set data.text.next=true"),
        ("add " + entry_setting("rotary", "true"), "add `rotary: true`"),
        ("the column `x` is empty", "the column `x` is empty"),
        ("the cell `kinds: x` of the user", "the cell `kinds: x` of the user"),
    ],
)
def test_settings_become_options(text, spelt):
    assert with_options(text) == spelt


def test_errors_and_warnings_name_options():
    problem = Problem("data.split.column", "missing", "see " + data_setting("kinds"))
    with (
        pytest.raises(ConfigError, match=r"^--set data.split.column: missing; see --set data.kinds=...$"),
        spelt_as_options(),
    ):
        raise ConfigError([problem])
    with pytest.raises(ConfigError, match=r"^data.split.column: missing; see `kinds:`$"), spelt_as_options(False):
        raise ConfigError([problem])
    shown = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_, **__: shown.append(str(message))
        with spelt_as_options():
            warnings.warn(RetrogradWarning("see " + data_setting("encoding")), stacklevel=1)
            warnings.warn("of another package", UserWarning, stacklevel=1)
    assert shown == ["see --set data.encoding=...", "of another package"]


@pytest.mark.parametrize(
    ("text", "settings", "as_options", "as_keys"),
    [
        pytest.param(
            table({1: "oops,1,a"}), {},
            "set --set data.invalid=missing to treat such cells as missing (with --set data.missing=drop, their rows "
            "are skipped), or --set 'data.kinds={x: category}' to keep them as words",
            "set `invalid: missing` to treat such cells as missing (with `missing: drop`, their rows are skipped), or "
            "`kinds: {x: category}` to keep them as words",
            id="words among numbers",
        ),
        pytest.param(
            re.sub(",[0-4],", ",,", table()), {},
            "ignore it with --set 'data.exclude=[z]'", "ignore it with `exclude: [z]`",
            id="an empty column",
        ),
        pytest.param(
            table({9: "1,1,c"}), {},
            "choose --set data.split.method=random", "choose `split: {method: random}`",
            id="a class with one row",
        ),
        pytest.param(
            table({3: "1,2", 4: "1,2,a,b"}), {},
            "set another --set data.separator=..., skip titles with --set data.skip_lines=..., or treat such lines as "
            "missing (--set data.invalid=missing)",
            "set another `separator:`, skip titles with `skip_lines:`, or treat such lines as missing "
            "(`invalid: missing`)",
            id="lines of other lengths",
        ),
        pytest.param(
            table(), {"target": "x", "task": "multiclass"},
            "choose --set data.task=regression, or --set 'data.kinds={x: category}' to treat them as names",
            "choose `task: regression`, or `kinds: {x: category}` to treat them as names",
            id="fractions as classes",
        ),
        pytest.param(
            table().replace("label", "words").replace(",a", ",").replace(",b", ","), {"target": "words"},
            "choose another with --target", "choose another with `target:`",
            id="an empty target",
        ),
    ],
)  # fmt: skip
def test_an_error_names_options_for_a_table_and_keys_for_a_configuration(
    text, settings, as_options, as_keys, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.csv").write_text(text)
    inside = ", ".join(f"{key}: {value}" for key, value in {"path": "d.csv", **settings}.items())
    (tmp_path / "d.yaml").write_text(f"data: {{{inside}}}\nnetwork: [{{dense: 1}}]\n")
    changes = [part for key, value in settings.items() for part in ("--set", f"data.{key}={value}")]
    assert main(["train", "d.csv", *changes]) == 2
    of_table = " ".join(capsys.readouterr().err.split())
    assert main(["train", "d.yaml"]) == 2
    of_configuration = " ".join(capsys.readouterr().err.split())
    assert as_options in of_table
    assert as_keys in of_configuration


def test_notes_name_options_even_from_the_cache(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.csv").write_text(table())
    for _ in range(2):
        command = "train d.csv --epochs 1 --set data.stream=always --cache cache"
        assert main(command.split()) == 0
        shown = " ".join(capsys.readouterr().err.split())
        assert "(assumed to be the target; --target selects another)" in shown
        assert "`target:`" not in shown
