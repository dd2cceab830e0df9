"""Every example runs, with a small budget, and learns; the figures of a whole run stand in the examples themselves."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

import retrograd as rg

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SMALL = "optimizer.adam.learning_rate=0.01"
BUDGETS = {  # example: (changes, metric of the test part, how good it must be at least, and in the first epoch at most)
    "digits_cnn": (["training.epochs=2"], "accuracy", 0.8),
    "digits_resnet": (["training.epochs=2"], "accuracy", 0.5),
    "shapes_unet": (["training.epochs=3", "data.samples=100"], "accuracy", 0.75),
    "shapes_boxes": (["training.epochs=4", "data.samples=150"], "average_precision", 0.0),
    "waves_lstm": (["training.epochs=5", "data.samples=300", SMALL], "accuracy", 0.4),
    "demand_gru": (["training.epochs=4", "data.samples=600", SMALL], "r2", 0.5),
    "tales_gpt": (["training.epochs=2", "data.samples=100", "data.text.length=32"], "accuracy", 0.2),
    "number_words": (["training.epochs=2", "data.samples=400", SMALL], "accuracy", 0.25),
    "reviews_gru": (["training.epochs=4", "data.samples=400"], "accuracy", 0.7),
    "digits_autoencoder": (["training.epochs=3"], None, 0.0),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Each example's run with its small budget, trained once."""
    root, runs = tmp_path_factory.mktemp("runs"), {}

    def run(name):
        if name not in runs:
            config = rg.read_config(EXAMPLES / f"{name}.yaml", BUDGETS[name][0])
            runs[name] = rg.train(config, root=root)
        return runs[name]

    return run


@pytest.mark.parametrize("name", BUDGETS)
def test_an_example_learns_within_a_few_epochs(trained, name):
    run, (_, metric, least) = trained(name), BUDGETS[name]
    assert run.history[-1].loss < 0.95 * run.history[0].loss
    assert metric is None or run.scores["test"][metric] >= least


def test_every_example_is_run_here_or_in_a_test_of_its_own():
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == {*BUDGETS, "xor", "digits"}
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {"one_step_by_hand", "balance"}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_an_example_states_the_figure_that_it_reaches(path):
    head = "".join(line for line in path.read_text(encoding="utf-8").splitlines(True) if line.startswith("#"))
    assert path.stem == "xor" or re.search(r"\d(\.\d+)? %|\d\.\d+", head)


def test_the_segmented_pixels_come_back_as_masks(trained):
    run = trained("shapes_unet")
    pixels = np.zeros((2, 32, 32), np.uint8)
    found = run.predict(pixels)
    assert found.shape == (2, 32, 32)
    assert set(np.unique(found)) <= {0, 1, 2, 3}


def test_boxes_are_found_in_pixels(trained):
    found = trained("shapes_boxes").predict(np.zeros((2, 64, 64), np.uint8))
    assert [boxes.shape[1] for boxes in found] == [6, 6]


def test_the_series_is_forecast_beyond_its_end(trained):
    run = trained("demand_gru")
    frame = {"warmth": np.zeros(30), "y": np.full(30, 10.0)}
    assert run.predict(frame).shape == (7, 3)


def test_tales_are_told_the_same_with_the_same_seed(trained):
    model = trained("tales_gpt").model
    told = [rg.generate(model, "the ", length=20, seed=seed) for seed in (1, 1, 2)]
    assert told[0] == told[1] != told[2]
    assert len(rg.beam_search(model, "the ", width=2, length=8)) == 2


def test_numbers_are_translated_one_by_one_or_many_at_once(trained):
    model = trained("number_words").model
    texts = ["twelve", "forty two"]
    assert list(model.predict(texts)) == [rg.generate(model, text, temperature=0) for text in texts]
    assert rg.beam_search(model, "twelve", width=1)[0][0] == model.predict(["twelve"])[0]


def test_the_pole_stands_longer_after_a_few_rounds():
    spec = importlib.util.spec_from_file_location("balance", EXAMPLES / "balance.py")
    balance = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(balance)
    stood = balance.train(rounds=16)
    assert np.mean(stood[-3:]) > 1.3 * np.mean(stood[:3])
