"""A warm start: training begins with the weights of another run, and with nothing else of it."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.base.errors import ModelFileError, UsageError
from retrograd.data.dataset import from_arrays
from retrograd.data.settings import DataSettings
from retrograd.record.tree import digest
from retrograd.training.config.config import read_config
from retrograd.training.prepare import prepare

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).astype(np.float32)
Y = (X @ np.array([1.0, -2.0, 0.5])).astype(np.float32)


def fit(root, y=Y, network=({"dense": 2}, "batch_norm", {"dense": 1}), **training):
    settings = {"epochs": 2, "batch_size": 20, "early_stopping": None, **training}
    return rg.fit(X, y, network=list(network), root=root, progress=False, **settings)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    return root, fit(root)


@pytest.mark.parametrize("name", ["last", "the folder", "the file"])
def test_training_begins_with_the_weights_and_averages_of_a_run_or_a_file(runs, name, tmp_path):
    root, first = runs
    start = {"last": "last", "the folder": str(first.folder), "the file": str(first.folder / "model.safetensors")}[name]
    config = read_config(first.folder / "config.yaml", [f"training.start={start}"])
    prepared = prepare(config, first.dataset, root)
    for part, trained in zip(prepared.first(), first.model.variables, strict=True):
        assert digest(part) == digest(trained)
    assert prepared.config.training.start == str(first.folder / "model.safetensors")
    assert prepared.warnings() == ()


def test_a_second_run_goes_on_learning_where_the_first_one_was(runs, tmp_path):
    _, first = runs
    second = fit(tmp_path, start=str(first.folder), epochs=1)
    whole = fit(tmp_path, epochs=1)
    assert second.history[0].loss < first.history[0].loss
    assert whole.history[0].loss == first.history[0].loss
    assert second.folder / "model.safetensors" != first.folder / "model.safetensors"
    assert second.model.config.training.start == str(first.folder / "model.safetensors")


def test_a_float64_run_may_begin_with_float32_weights(runs):
    _, first = runs
    changes = [f"training.start={first.folder}", "training.precision=float64"]
    weights = prepare(read_config(first.folder / "config.yaml", changes), first.dataset).first().params["dense_1"]
    assert weights["weight"].dtype == np.float64
    assert np.array_equal(weights["weight"], first.model.variables.params["dense_1"]["weight"])


def test_weights_that_do_not_fit_are_refused_by_name(runs, tmp_path):
    _, first = runs
    where = r"training\.start: .*model\.safetensors: dense_1/weight: expected \(3, 7\), found \(3, 2\)"
    with pytest.raises(ModelFileError, match=where):
        fit(tmp_path, start=str(first.folder), network=({"dense": 7}, "batch_norm", {"dense": 1}))
    with pytest.raises(UsageError, match=r"training\.start: .*: no run 'other'"):
        fit(tmp_path, start="other")
    assert list(tmp_path.iterdir()) == []


def test_other_classes_or_scales_are_told(runs, tmp_path):
    _, first = runs
    config = read_config(first.folder / "config.yaml", [f"training.start={first.folder}"])
    scaled = from_arrays(X, Y, settings=DataSettings(scale="standard"))
    (warning,) = prepare(config, scaled).warnings()
    assert "was trained on other rows or columns" in warning


def test_a_path_is_meant_from_the_folder_of_the_configuration_and_a_name_from_the_runs(tmp_path):
    (tmp_path / "old").mkdir()
    text = "data: moons\nnetwork: [{{dense: 1}}]\ntraining: {{start: {0}}}\n"
    (tmp_path / "a.yaml").write_text(text.format("old"))
    (tmp_path / "b.yaml").write_text(text.format("older"))
    starts = [read_config(tmp_path / name).training.start for name in ("a.yaml", "b.yaml")]
    assert starts == [str(tmp_path / "old"), "older"]
