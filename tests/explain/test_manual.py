"""Everything that a configuration can name has a manual page, made from its registry."""

import pytest

import retrograd as rg
from retrograd.app.cli.main import main
from retrograd.base.errors import UsageError
from retrograd.base.schema import fields
from retrograd.explain.manual import REGISTRIES, names

NAMES = list(dict.fromkeys(name for registry in REGISTRIES for name in registry))


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_a_page_of_80_columns_with_its_settings(name):
    page = rg.manual(name)
    assert max(map(len, page.splitlines())) <= 80
    for registry in REGISTRIES:
        if name in registry:
            assert f"({registry.kind})" in page
            assert all(f"    {field.name}: " in page for field in fields(registry[name]))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("training.batch_size", "training.batch_size: default 32"),
        ("batch_size", "rows in one step"),
        ("optimizer.adam.beta1", "default 0.9"),
        ("share", "parameters that it takes from other nodes"),
        ("momentum", "batch_norm.momentum: default 0.1"),
    ],
)
def test_a_setting_has_a_page_by_its_path_or_its_name(name, words):
    assert words in rg.manual(name)


def test_an_unknown_name_is_told_with_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'dense'"):
        rg.manual("dens")


def test_the_list_names_everything_and_fits():
    listed = names()
    assert all(f"  {name} " in listed for name in NAMES)
    assert max(map(len, listed.splitlines())) <= 80


def test_the_command_tells_pages_lists_and_configurations(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "xor.yaml").write_text("data: xor\nnetwork: [{dense: 2}, tanh, {dense: 1}]\n")
    assert main(["explain", "relu"]) == 0
    assert "y = max(x, 0)" in capsys.readouterr().out
    assert main(["explain", "--list"]) == 0
    assert "LAYERS" in capsys.readouterr().out
    assert main(["explain", "xor.yaml", "--html", "page.html"]) == 0
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    assert main(["explain", "nothing"]) == 2
    assert "--list" in capsys.readouterr().err
    assert main(["explain", "missing.yaml"]) == 2
    assert "missing.yaml: not found" in capsys.readouterr().err
