"""`retrograd generate` and predictions of what is no table, from outside."""

import json

import numpy as np
import pytest
from PIL import Image

import retrograd as rg
from retrograd.app.cli.main import main


@pytest.fixture(scope="module")
def speaker(tmp_path_factory):
    """The folder of a tiny language model."""
    root = tmp_path_factory.mktemp("speaker")
    config = {
        "data": {"builtin": "tales", "samples": 30, "text": {"next": True, "unit": "characters", "length": 16}},
        "network": [
            {"embedding": {"units": 4, "vocabulary": "tokens"}},
            {"gru": {"units": 4, "output": "sequence"}},
            {"dense": "classes"},
        ],
        "training": {"epochs": 1},
    }
    return rg.train(config, root=root).folder


def test_a_text_is_continued_the_same_with_the_same_seed_and_as_json(speaker, capsys):
    said = []
    for arguments in (["--seed", "1"], ["--seed", "1"], ["--json", "--seed", "1"]):
        assert main(["generate", str(speaker), "the ", "--length", "8", *arguments]) == 0
        said.append(capsys.readouterr().out.removesuffix("\n"))
    assert said[0] == said[1] == json.loads(said[2])["text"]
    assert main(["generate", str(speaker), "--beam", "2", "--length", "3", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 2


@pytest.mark.parametrize("arguments", [["--beam", "2", "--greedy"], ["--greedy", "--top", "3"], ["--temperature", "0"]])
def test_options_that_contradict_each_other_are_refused(speaker, capsys, arguments):
    assert main(["generate", str(speaker), *arguments]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_language_model_predicts_no_rows_and_names_the_verb_that_it_has(speaker, capsys, tmp_path):
    (tmp_path / "a.txt").write_text("the fox\n")
    assert main(["predict", str(speaker), str(tmp_path / "a.txt")]) == 2
    assert "retrograd generate" in capsys.readouterr().err


def test_masks_are_written_as_a_stack_and_summarised_as_shares(tmp_path, capsys):
    config = {
        "data": {"builtin": "shapes", "samples": 20, "images": {"color": "grey"}},
        "network": [{"conv2d": {"filters": "classes", "kernel": 1}}],
        "training": {"epochs": 1},
    }
    run = rg.train(config, root=tmp_path).folder
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(tmp_path / "a.png")
    assert main(["predict", str(run), str(tmp_path / "a.png")]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header == "image,share_0,share_1,share_2,share_3"
    assert row.startswith("a.png,")
    assert main(["predict", str(run), str(tmp_path / "a.png"), "--out", str(tmp_path / "m.npz")]) == 0
    with np.load(tmp_path / "m.npz") as stored:
        assert stored["y"].shape == (1, 32, 32)
