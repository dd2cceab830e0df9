"""`retrograd check` as somebody types it."""

import json
import os

import pytest

from retrograd.app.cli.main import main
from retrograd.network.layer import layers
from tests.app.test_cli import EXAMPLES
from tests.training.test_check import OWN

SHORT = ("all_ones", "digits", "digits_cnn", "xor", "xor_by_hand")
ALL = os.environ.get("RETROGRAD_ALL_CHECKS") == "1"


def example(path):
    """Return the example as a parameter; the others are left out unless all are asked for."""
    reason = "takes up to a minute: RETROGRAD_ALL_CHECKS=1 runs it"
    return pytest.param(path, marks=pytest.mark.skipif(path.stem not in SHORT and not ALL, reason=reason))


@pytest.mark.parametrize("path", [example(path) for path in EXAMPLES], ids=lambda path: path.stem)
def test_every_example_is_right_and_the_report_fits_80_columns(path, capsys):
    assert main(["check", str(path)]) == 0
    told = capsys.readouterr().out
    assert all(len(line) <= 80 for line in told.splitlines())
    assert "verdict: exact" in told or "verdict: acceptable" in told
    if path.stem == "xor":  # the same figures as JSON
        assert main(["check", str(path), "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert all(check["error"] <= 1e-6 for check in report["checks"])


def test_a_setting_is_changed_for_the_check_alone(capsys):
    path = next(path for path in EXAMPLES if path.stem == "xor")
    assert main(["check", str(path), "--set", "network.0.dense.units=5", "--json"]) == 0
    assert "dense_1" in capsys.readouterr().out
    assert main(["check", str(path), "--set", "network.0.dense.unit=5"]) == 2
    assert "did you mean 'units'?" in capsys.readouterr().err
    assert main(["check", "dense", "--set", "units=5"]) == 2
    assert "--set: only for a configuration" in capsys.readouterr().err


def test_a_wrong_layer_is_named_and_the_exit_code_is_7(tmp_path, capsys):
    (tmp_path / "own.py").write_text(OWN.replace("FACTOR", "2"))
    try:
        assert main(["check", str(tmp_path / "own.py")]) == 7
    finally:
        layers.forget("cube")
    told = capsys.readouterr().out
    assert "WRONG  cube (cube): gradient of input 0" in told
    assert "0.666667 times" in " ".join(told.split())
    assert "verdict: wrong" in told


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("dens", "did you mean 'dense'?"),
        ("nothing.yaml", "nothing.yaml: not found; check the path"),
        ("nothing.py", "nothing.py: not found; check the path"),
        ("flattn", "did you mean 'flatten'?"),
    ],
)
def test_missing_things_are_reported(argument, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["check", argument]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [("import retrograd\n", "registers no layer"), ("x = 1 /\n", "own.py:1"), ("\nprint(1 / 0)\n", "own.py:2")],
)
def test_an_unusable_file_is_reported_with_its_line(text, words, capsys, tmp_path):
    (tmp_path / "own.py").write_text(text)
    assert main(["check", str(tmp_path / "own.py")]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert "Traceback" not in told
