"""`retrograd trace` from outside."""

import json
from pathlib import Path

import pytest

from retrograd.app.cli.main import main

EXAMPLES = Path(__file__).parents[2] / "examples"
BY_HAND = str(EXAMPLES / "xor_by_hand.yaml")


@pytest.fixture
def told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments, code=0):
        assert main([str(each) for each in arguments]) == code
        found = capsys.readouterr()
        return found.err if code else found.out

    return run


def test_the_example_by_hand_is_printed_and_written(told, tmp_path):
    text = told("trace", BY_HAND, "--sample", 3)
    assert "out[0] = 0.5250*(-1.2) + 0.8808*1.1 - 0.3 = 0.0389" in text
    assert max(map(len, text.splitlines())) <= 80
    told("trace", BY_HAND, "--sample", 3, "-o", "step.html")
    assert (tmp_path / "step.html").read_text().startswith("<!doctype html>")
    assert json.loads(told("trace", BY_HAND, "--sample", 3, "--format", "json"))["step"] == 1
    assert told("trace", BY_HAND, "--sample", 3, "--format", "markdown", "--decimals", 6).startswith("# trace of")


@pytest.mark.parametrize(("name", "start"), [("step.svg", b"<svg"), ("step.PNG", b"\x89PNG"), ("step.tex", b"\\docum")])
def test_the_ending_of_a_file_names_its_format(name, start, told, tmp_path):
    told("trace", BY_HAND, "--sample", 3, "-o", name)
    assert (tmp_path / name).read_bytes().startswith(start)


def test_an_unknown_ending_is_refused_before_anything_is_computed(told, tmp_path):
    error = told("trace", BY_HAND, "-o", "step.gif", code=2)
    assert "unknown extension '.gif'" in error
    assert ".svg" in error
    assert not (tmp_path / "step.gif").exists()
    told("trace", BY_HAND, "--sample", 3, "-o", "step.gif", "--format", "text")
    assert (tmp_path / "step.gif").read_text().startswith("trace of")


def test_a_given_delta_and_one_node(told):
    text = told("trace", EXAMPLES / "all_ones.yaml", "--sample", 0, "--delta", "-4", "--node", "hidden")
    assert "bias[0] = 1 - 0.1*(-4) = 1.4" in text
    assert "This step ascends" in text
    assert "out/weight" not in text


def test_a_run_is_traced_again_from_its_folder(told):
    told("train", BY_HAND, "--epochs", 3, "--run", "runs/mine", "--quiet")
    text = told("trace", "mine", "--step", 7, "--dtype", "float32")
    assert "trace of mine: step 7 of 12, 1 row, float32" in text
    assert "replayed bit for bit" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--step", "0"], "expected at least 1"),
        (["--step", "5000"], "there is no step 5000; the run takes steps 1 to 4000"),
        (["--sample", "4"], "there is no training row 4; rows are 0 to 3"),
        (["--sample", "0", "--batch"], "exclude each other"),
        (["--step", "2", "--break", "loss<1"], "exclude each other"),
        (["--node", "hiden"], "did you mean 'hidden'?"),
        (["--dtype", "float16"], "float16"),
        (["--format", "pdf"], "pdf"),
        (["--decimals", "99"], "no more than 17"),
        (["--delta", "x"], "expected numbers"),
        (["--delta", "1,2", "--sample", "0"], "2 numbers for the output [1, 1]; give 1"),
        (["--delta", "nan"], "finite"),
        (["--break", "grad>10"], "did you mean 'grad_norm'?"),
        (["--set", "optimizer.sgd.learning_rat=1"], "did you mean 'learning_rate'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_option_is_one_clear_error(told, tmp_path, arguments, message):
    error = told("trace", BY_HAND, *arguments, "-o", "page.html", code=2)
    assert message in error
    assert error.startswith("error: ")
    assert not (tmp_path / "page.html").exists()


def test_what_is_neither_configuration_nor_run_is_refused(told):
    assert "not found" in told("trace", "none.yaml", code=2)
    assert "no run 'none'" in told("trace", "none", code=2)
    told("train", BY_HAND, "--epochs", 1, "--run", "runs/mine", "--quiet")
    assert "a run is traced as it was" in told("trace", "mine", "--set", "training.seed=1", code=2)
