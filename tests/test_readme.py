"""The README is true: its configuration is the example's, its code runs, its lists are the registries."""

import json
import re
import runpy
import shlex
from pathlib import Path

import pytest

import retrograd as rg
from retrograd.app.cli.main import main
from retrograd.base.errors import ConfigError
from retrograd.data.settings import BUILTINS
from retrograd.network import own_layers
from retrograd.network.initializers import initializers
from retrograd.network.layer import layers
from retrograd.network.losses.loss import losses
from retrograd.network.scope import blocks
from retrograd.training.config.config import read_config
from retrograd.update.optimizer import optimizers
from retrograd.update.penalties import penalties
from retrograd.update.schedule import schedules

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


FENCED = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.M | re.S)


def blocks_of(language):
    return [text for name, text in FENCED if name == language]


def test_the_configuration_shown_is_the_examples():
    example = (ROOT / "examples" / "xor.yaml").read_text(encoding="utf-8")
    assert blocks_of("yaml")[0] == "".join(line + "\n" for line in example.splitlines() if not line.startswith("#"))


def test_the_step_by_hand_runs():
    names: dict = {}
    exec(next(code for code in blocks_of("python") if "rg.evaluate_losses" in code), names)
    assert names["grads"]["out"]["weight"].shape == (2, 1)


def test_the_mistakes_shown_are_those_that_are_reported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = next(block for block in blocks_of("") if "train wrong.yaml" in block)
    config, _, told = shown.partition("$ retrograd train wrong.yaml\n")
    (tmp_path / "wrong.yaml").write_text(config.replace("$ cat wrong.yaml\n", ""), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_config("wrong.yaml")
    assert [line.strip().removeprefix("error: ") for line in told.splitlines()] == str(caught.value).splitlines()


def test_the_wrong_layer_shown_is_caught_with_those_words():
    code = next(code for code in blocks_of("python") if "WrongDense" in code)
    names = {"rg": rg}
    exec(code, names)
    with pytest.raises(AssertionError) as caught:
        rg.check_layer(names["WrongDense"](3), (5, 4))
    assert str(caught.value).splitlines()[-1].strip() in README


@pytest.mark.parametrize(
    ("row", "names"),
    [
        ("layers", layers),
        ("blocks", blocks),
        ("losses", losses),
        ("optimizers", optimizers),
        ("schedules", schedules),
        ("penalties", penalties),
        ("initializers", initializers),
        ("built-in data", BUILTINS),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_lists_are_the_registries(row, names):
    (listed,) = re.findall(rf"^\| {row} \| (.*) \|$", README, re.M)
    assert re.findall(r"`([a-z_0-9]+)`", listed) == sorted(names)


def test_the_table_of_shipped_files_is_that_of_the_results_file():
    bench = runpy.run_path(str(ROOT / "benchmarks" / "bench_ship.py"))
    assert bench["table"](json.loads(bench["FIGURES"].read_text(encoding="utf-8"))["networks"]) in README


def test_the_guide_to_a_layer_of_ones_own_is_complete_and_runs_as_printed(tmp_path, monkeypatch, capsys):
    text = (ROOT / "docs" / "add-a-layer.md").read_text(encoding="utf-8")
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
    (source, check), config, commands = (
        [code for name, code in fenced if name == "python"],
        next(code for name, code in fenced if name == "yaml"),
        [line for name, code in fenced if not name for line in code.splitlines()],
    )
    monkeypatch.chdir(tmp_path)
    for own in (layers, own_layers):
        for name in ("_entries", "_names", "_files"):
            if hasattr(own, name):
                monkeypatch.setattr(own, name, dict(getattr(own, name)))
    (tmp_path / "square.py").write_text(source, encoding="utf-8")
    (tmp_path / "squares.yaml").write_text(config, encoding="utf-8")
    (tmp_path / "new.csv").write_text("x1,x2\n0,0\n0,1\n", encoding="utf-8")
    exec(check, {})
    for command in commands:
        words = shlex.split(command.partition(" > ")[0])[1:]
        assert main([*words, *(["--quiet"] if words[0] == "train" else [])]) == 0, command
    out = capsys.readouterr().out
    assert "accuracy" in out
    assert '"square"' in out
    (run,) = (tmp_path / "runs").iterdir()
    assert "layers of square.py, sha256 " in (run / "events.jsonl").read_text()
    (tmp_path / "square.py").write_text(source + "# edited", encoding="utf-8")
    assert main(["evaluate", "last", "new.csv", "--layers", "square.py"]) == 2
    assert "trained with another version of square.py" in capsys.readouterr().err
