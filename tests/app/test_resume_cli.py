"""`retrograd train --resume`: what somebody types after a crash, and what they get."""

import dataclasses
import json

import pytest

import retrograd as rg
from retrograd.app.cli.main import main
from retrograd.record.runs import list_runs
from retrograd.record.tree import digest
from tests.app.test_cli import XOR as LONGER

XOR = LONGER.replace("{epochs: 100, batch_size: 4}", "{epochs: 30, batch_size: 4, checkpoint: {seconds: 0}}")


class Crash(Exception):
    """What ends a run in the middle."""


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "xor.yaml").write_text(XOR)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


@pytest.fixture
def told(place, capsys):
    def run(*arguments, code=0):
        assert main([str(each) for each in arguments]) == code
        found = capsys.readouterr()
        assert code or all(len(line) <= 80 for line in (found.out + found.err).splitlines() if "/" not in line)
        return found

    return run


def crashed(place, epoch=12, source="xor.yaml"):
    def crash(event):
        if event.epoch == epoch:
            raise Crash

    with pytest.raises(Crash):
        rg.train(source, watchers=(crash,))
    return list_runs(place / "runs")[-1].path


def weights(run):
    return digest(rg.load(run).variables.params)


@pytest.fixture
def whole(place):
    return weights(rg.train("xor.yaml", root="elsewhere").folder)


def test_a_run_that_broke_off_is_resumed_by_name(place, told, whole):
    folder = crashed(place)
    found = told("train", "--resume", "last")
    assert f"run folder {folder.relative_to(place)}" in found.err
    assert "continues after step" in found.err
    assert "30 epochs" in found.out
    assert weights(folder) == whole
    assert "the run has ended: all 30 epochs done; --extend N" in " ".join(
        told("train", "--resume", folder.name, code=2).err.split()
    )
    assert "continues" in told("runs", "show", "last").out


def test_auto_continues_an_unfinished_run_or_else_begins_one(place, told, whole):
    folder = crashed(place)
    first = json.loads(told("train", "xor.yaml", "--resume", "auto", "--json", "-q").out)
    assert (first["run"], weights(folder)) == (str(folder.relative_to(place)), whole)
    second = json.loads(told("train", "xor.yaml", "--resume", "auto", "--json", "-q").out)
    assert second["run"] != first["run"]
    assert weights(second["run"]) == whole
    exact = ("train", "xor.yaml", "--resume", "auto", "--run", "exactly", "-q")
    told(*exact)
    assert "the run has ended" in told(*exact, code=2).err


@pytest.mark.parametrize("has_model", [False, True])
def test_the_last_run_is_not_the_one_that_continues_but_the_one_whose_weights_it_began_with(place, told, has_model):
    (place / "warm.yaml").write_text(XOR.replace("{epochs: 30", "{start: last, epochs: 30"))
    first = rg.train("xor.yaml")
    folder = crashed(place, source="warm.yaml")
    if has_model:
        other = {**first.model.facts, "weights": "of an epoch of the run itself"}
        dataclasses.replace(first.model, facts=other).save(folder / "model.safetensors")
    found = json.loads(told("train", "warm.yaml", "--resume", "auto", "--json", "-q").out)
    assert found["run"] == str(folder.relative_to(place))


def test_a_finished_run_is_trained_further(place, told, whole):
    told("train", "xor.yaml", "--epochs", 20, "--run", "run", "-q")
    assert "30 epochs" in told("train", "--resume", "run", "--extend", 30).out
    assert weights("run") == whole


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            [],
            "missing argument 'CONFIG|DATA'; name a configuration or a data file, or continue a run with --resume RUN",
        ),
        (["--resume", "auto"], "missing argument 'CONFIG|DATA'"),
        (["--resume", "gone"], "no run 'gone'"),
        (["xor.yaml", "--extend", "9"], "--extend: only with --resume RUN; set the length"),
        (["xor.yaml", "--resume", "auto", "--extend", "9"], "--extend: not with --resume auto; name the run"),
        (["--resume", "last", "--run", "x"], "--run: a resumed run stays in its folder; omit it"),
        (["xor.yaml", "--resume", "auto", "--force"], "--force: not with --resume"),
        (["--resume", "last", "--epochs", "50"], "training.epochs: 30 in"),
        (["--resume", "last", "--lr", "0.3"], "optimizer.adam.learning_rate: 0.1 in"),
        (["xor.yaml", "--resume", "last", "--seed", "4"], "training.seed: 0 in"),
    ],
)
def test_what_cannot_be_gone_on_with_is_refused(place, told, arguments, words):
    if "last" in arguments:
        crashed(place, 2)
    assert words in " ".join(told("train", *arguments, code=2).err.split())
