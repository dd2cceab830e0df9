"""The commands `diagnose` and `repair` from outside: verdict, causes, patch, exit codes."""

import json

import pytest

from retrograd.app.cli.main import main

SICK = """\
name: sick
data: {builtin: moons, samples: 200}
network:
  # begins at nothing
  - dense: {units: 8, activation: relu, weight: zeros}   # hidden
  - dense: {units: 1, weight: zeros}
optimizer: {adam: 0.01}
training: {epochs: 20, batch_size: 20}
"""


@pytest.fixture
def sick(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "sick.yaml"
    path.write_text(SICK)
    return path


def test_diagnose_names_the_cause_with_its_evidence_in_80_columns(sick, capsys):
    assert main(["diagnose", "sick.yaml", "--seeds", "1", "--strict"]) == 8
    out = capsys.readouterr().out
    assert "ill: " in out
    assert "1. initial_weights [S06]" in out
    assert "next  retrograd repair sick.yaml" in out
    assert max(map(len, out.splitlines())) <= 80
    assert sorted(path.name for path in sick.parent.iterdir()) == ["sick.yaml"]


def test_diagnose_speaks_json(sick, capsys):
    assert main(["diagnose", "sick.yaml", "--seeds", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "ill"
    assert told["findings"][0]["name"] == "initial_weights"


def test_repair_shows_a_patch_and_writes_it_beside_the_file(sick, capsys):
    assert main(["repair", "sick.yaml", "--seeds", "2", "--budget", "3000", "--apply"]) == 0
    out = capsys.readouterr().out
    assert "repaired: held-out score" in out
    assert "+++ sick.yaml (repaired)" in out
    new = (sick.parent / "sick-repaired.yaml").read_text()
    assert "# begins at nothing" in new
    assert "zeros" not in new
    assert sick.read_text() == SICK


def test_an_unknown_source_is_refused(sick, capsys):
    assert main(["diagnose", "nothing.yaml"]) == 2
    assert "not found" in capsys.readouterr().err
