"""A warm start: training starts with the weights of another run, and with nothing else of it."""

import shutil

import numpy as np
import pytest

import retrograd as rg
from retrograd.base.errors import ModelFileError, ResourceError, UsageError
from retrograd.data.dataset import from_arrays
from retrograd.data.settings import DataSettings
from retrograd.record.layout import START
from retrograd.record.model import load_model
from retrograd.record.tree import digest
from retrograd.record.writer import RunWriter
from retrograd.training.config.config import read_config
from retrograd.training.prepare import prepare
from retrograd.training.run import begin
from retrograd.training.use.predict import Model

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
def test_training_starts_with_the_weights_and_averages_of_a_run_or_a_file(runs, name, tmp_path):
    root, first = runs
    start = {"last": "last", "the folder": str(first.folder), "the file": str(first.folder / "model.safetensors")}[name]
    config = read_config(first.folder / "config.yaml", [f"training.start={start}"])
    prepared = prepare(config, first.dataset, root)
    for part, trained in zip(prepared.first(), first.model.variables, strict=True):
        assert digest(part) == digest(trained)
    assert prepared.config.training.start == str(first.folder / "model.safetensors")
    assert prepared.warnings() == ()


def test_a_second_run_continues_learning_where_the_first_one_was(runs, tmp_path):
    _, first = runs
    second = fit(tmp_path, start=str(first.folder), epochs=1)
    whole = fit(tmp_path, epochs=1)
    assert second.history[0].loss < first.history[0].loss
    assert whole.history[0].loss == first.history[0].loss
    assert second.folder / "model.safetensors" != first.folder / "model.safetensors"
    assert second.model.config.training.start == str(first.folder / "model.safetensors")


def test_a_float64_run_may_start_with_float32_weights(runs):
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


def test_other_classes_or_scales_are_reported(runs, tmp_path):
    _, first = runs
    config = read_config(first.folder / "config.yaml", [f"training.start={first.folder}"])
    scaled = from_arrays(X, Y, settings=DataSettings(scale="standard"))
    (warning,) = prepare(config, scaled).warnings()
    assert "was trained on other rows or columns" in warning


def test_a_path_is_relative_to_the_configurations_folder_and_a_name_to_the_runs(tmp_path):
    (tmp_path / "old").mkdir()
    text = "data: moons\nnetwork: [{{dense: 1}}]\ntraining: {{start: {0}}}\n"
    (tmp_path / "a.yaml").write_text(text.format("old"))
    (tmp_path / "b.yaml").write_text(text.format("older"))
    starts = [read_config(tmp_path / name).training.start for name in ("a.yaml", "b.yaml")]
    assert starts == [str(tmp_path / "old"), "older"]


# ------------------------------------------------------------------------------------ the weights that a run stores


def test_a_run_whose_initial_weights_are_missing_does_not_claim_to_have_started_with_others(runs, tmp_path):
    _, first = runs
    second = fit(tmp_path, start=str(first.folder))
    (second.folder / START).unlink()
    for repeat in (lambda: rg.resume(second, epochs=9, progress=False), lambda: rg.trace(second, step=1)):
        with pytest.raises(ModelFileError, match=r"start\.safetensors: the run's initial weights are gone"):
            repeat()


def test_the_weights_exist_while_they_are_being_rewritten(runs, tmp_path, monkeypatch):
    _, first = runs
    prepared = prepare(read_config(first.folder / "config.yaml", [f"training.start={first.folder}"]), first.dataset)

    def fail(model, path):
        raise RuntimeError

    with RunWriter.at(tmp_path / "run") as place:
        begin(place, prepared, readings=False)
        before = (place.path / START).read_bytes()
        monkeypatch.setattr(Model, "save", fail)
        with pytest.raises(RuntimeError):
            begin(place, prepared, readings=False)
        assert (place.path / START).read_bytes() == before


def test_a_run_saved_elsewhere_takes_its_initial_weights_along(runs, tmp_path):
    _, first = runs

    def vanish(event):
        shutil.rmtree(next(tmp_path.iterdir()))

    with pytest.raises(ResourceError, match=r"the run was saved in .*-rescued instead"):
        fit(tmp_path, start=str(first.folder), epochs=1, watchers=(vanish,))
    (rescued,) = tmp_path.iterdir()
    assert load_model(rescued / START).facts["weights"] == digest(first.model.variables.params)
