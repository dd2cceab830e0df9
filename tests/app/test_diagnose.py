"""The commands `diagnose` and `repair` from outside: verdict, causes, patch, exit codes."""

import json

import pytest
import typer

from retrograd.app.cli.examined import carry, keep
from retrograd.app.cli.main import main
from retrograd.app.cli.options import Allowance, updates_or_time
from retrograd.app.cli.programs import program_at
from retrograd.app.cli.verbs.explain import place_of
from retrograd.network.layer import layers
from retrograd.record.events import Started
from retrograd.record.writer import RunWriter
from retrograd.report.story import read_story

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


def test_a_verdict_is_shown_though_the_run_cannot_be_written(sick, capsys):
    main(["train", "sick.yaml", "--run", "run", "--quiet"])
    (sick.parent / "run" / "diagnosis.json").mkdir()  # what cannot be replaced by a file
    capsys.readouterr()
    assert main(["diagnose", "run", "--seeds", "1"]) == 0
    out, err = capsys.readouterr()
    assert "ill: " in out
    assert "note: not stored with the run: run/diagnosis.json: not a regular file" in err
    assert main(["diagnose", "run", "--seeds", "1", "--strict"]) == 8


OWN = """\
from dataclasses import dataclass
import retrograd as rg

@rg.layers.register("bent", examples=rg.examples(({"units": 3}, [(5, 4)])))
@dataclass(frozen=True)
class Bent(rg.Dense):
    \"\"\"Multiply, and go back the wrong way.\"\"\"

    def backward(self, params, tape, dy):
        right = super().backward(params, tape, dy)
        return rg.Backward(right.inputs, {**right.grads, "weight": -right.grads["weight"]})
"""


def test_a_layer_of_ones_own_with_a_wrong_gradient_is_named_first(sick, capsys):
    (sick.parent / "own.py").write_text(OWN)
    sick.write_text(
        SICK.replace("dense: {units: 8, activation: relu, weight: zeros}", "bent: {units: 8, activation: tanh}")
    )
    try:
        assert main(["diagnose", "sick.yaml", "--layers", "own.py", "--seeds", "1", "--strict"]) == 8
    finally:
        layers.forget("bent")
    out = " ".join(capsys.readouterr().out.split())
    assert "1. wrong_gradient [B17]" in out
    assert "network.0 (bent_1): gradient of weight is wrong" in out
    assert "the sign is wrong" in out


@pytest.fixture
def run(sick):
    """The folder of a run of the sick network that has just begun."""
    with RunWriter.at(sick.parent / "R") as writer:
        writer.write_config(SICK)
        writer.record(Started("sick", "binary", 0))
    return writer


def test_diagnose_speaks_json_and_keeps_what_it_found_with_the_run(run, capsys):
    assert main(["diagnose", "R", "--seeds", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "ill"
    assert told["findings"][0]["name"] == "initial_weights"
    assert json.loads((run.path / "diagnosis.json").read_text()) == told
    assert "symmetric initialisation" in (run.path / "report.html").read_text()
    assert program_at("R", None, ["training.epochs=5"], run.path.parent).run is None  # it is that run no more


def test_repair_shows_a_patch_and_writes_it_beside_the_file(sick, run, capsys):
    assert main(["repair", "sick.yaml", "--seeds", "2", "--budget", "3000", "--apply"]) == 0
    out = capsys.readouterr().out
    assert "repaired: held-out score" in out
    assert "+++ sick.yaml (repaired)" in out
    made = sick.parent / "sick-repaired.yaml"
    new = made.read_text()
    assert "# begins at nothing" in new
    assert "zeros" not in new
    assert sick.read_text() == SICK
    carry(made, run.path)  # as `train sick-repaired.yaml` does
    keep(run.path, {"verdict": "healthy", "sentence": "it learns"})
    found = read_story(run).repaired
    assert "default_initial_weights" in [each.name for each in found.remedies]
    assert [each.gain > 0.02 for each in found.tried if each.accepted] == [True]
    assert found.difference.startswith("--- sick.yaml")
    page = (run.path / "report.html").read_text()
    assert "Repairs tried" in page
    assert "This run used the repaired configuration" in page
    (run.path / "repair.json").unlink()
    made.write_text(f"{new}# edited\n")
    carry(made, run.path)
    assert not (run.path / "repair.json").exists()


def test_an_unknown_source_is_refused(sick, capsys):
    assert main(["diagnose", "nothing.yaml"]) == 2
    assert "not found" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "allowed"),
    [("20000", Allowance(updates=20000)), ("90s", Allowance(seconds=90)), ("2m", Allowance(seconds=120)),
     ("0.5h", Allowance(seconds=1800))],
)  # fmt: skip
def test_a_budget_is_a_number_of_updates_or_a_time(text, allowed):
    assert updates_or_time(text) == allowed


@pytest.mark.parametrize("text", ["", "m", "0", "-2m", "nans", "2 weeks"])
def test_what_is_no_budget_is_refused(text):
    with pytest.raises(typer.BadParameter, match="expected"):
        updates_or_time(text)


def test_a_folder_and_a_pattern_of_parts_are_data_as_they_are_for_train(tmp_path):
    for part in range(2):
        rows = "".join(f"{i},{i * part},{i + part}\n" for i in range(20))
        (tmp_path / f"p{part}.csv").write_text(f"a,b,y\n{rows}")
    for place in (tmp_path, tmp_path / "*.csv"):
        assert sum(program_at(str(place), None, [], tmp_path).dataset.rows.values()) == 40
        assert place_of(str(place), tmp_path) == place
