"""Training from end to end: it learns, stops for a named reason, keeps the best weights, and is reproducible."""

import json

import numpy as np
import pytest

import retrograd as rg
from retrograd.record.run import RunFolder
from retrograd.record.tree import digest
from retrograd.training import ending as ending_module

XOR = {
    "data": "xor",
    "network": [{"dense": {"units": 8, "activation": "tanh"}}, {"dense": 1}],
    "optimizer": {"adam": 0.1},
}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4)).astype(np.float32)
LINE = (X @ [1.0, -2.0, 0.5, 0.0] + 3.0).astype(np.float32)


def xor(tmp_path, **training):
    return rg.train({**XOR, "training": {"epochs": 200, "batch_size": 4, **training}}, root=tmp_path)


def test_xor_is_learnt_and_everything_is_in_the_run_folder(tmp_path):
    run = xor(tmp_path)
    assert run.scores["train"]["accuracy"] == 1.0
    assert (run.stop.reason, len(run.history)) == ("epochs", 200)
    assert run.predict(np.array([[0, 0], [0, 1], [1, 0], [1, 1]])).tolist() == [0, 1, 1, 0]
    assert sorted(path.name for path in run.folder.iterdir() if path.name[0] != ".") == [
        "config.yaml",
        "events.jsonl",
        "model.safetensors",
        "plane.json",
        "predictions.json",
        "report.html",
    ]
    kinds = [json.loads(line)["kind"] for line in (run.folder / "events.jsonl").read_text().splitlines()]
    assert (kinds[0], kinds[-1], kinds.count("epoch")) == ("started", "stopped", 200)
    assert RunFolder.open(run.folder).summary().metrics["train"]["accuracy"] == 1.0


def test_the_same_seed_repeats_a_run_bit_for_bit_from_its_stored_configuration(tmp_path):
    first = xor(tmp_path, epochs=70)
    again = rg.train(first.folder / "config.yaml", root=tmp_path)
    other = xor(tmp_path, epochs=70, seed=1)
    weights = [digest(run.model.variables.params) for run in (first, again, other)]
    assert weights[0] == weights[1] != weights[2]
    assert [e.loss for e in first.history] == [e.loss for e in again.history]


def test_a_loaded_model_predicts_what_the_run_does(tmp_path):
    run = xor(tmp_path, epochs=30)
    loaded = rg.load(run.folder)
    x = RNG.uniform(size=(9, 2)).astype(np.float32)
    assert np.array_equal(loaded.outputs(x), run.model.outputs(x))
    assert np.allclose(loaded.predict_proba(x).sum(1), 1)
    assert loaded.evaluate({"x": [[0, 0], [0, 1]], "y": [0, 1]}).keys() >= {"loss", "accuracy"}


@pytest.mark.parametrize("batch_size", ["all", 1, 3])
def test_batches_of_all_rows_of_one_row_and_with_a_remainder(tmp_path, batch_size):
    run = xor(tmp_path, epochs=2, batch_size=batch_size)
    steps = {"all": 2, 1: 8, 3: 4}[batch_size]
    assert run.history[-1].step == steps


@pytest.mark.parametrize(
    ("training", "reason"),
    [
        ({"goal": {"metric": "loss", "value": 0.05}}, "goal"),
        ({"goal": {"metric": "accuracy", "value": 1.0}}, "goal"),
        ({"convergence": {"loss_change": 1e-3}}, "converged"),
        ({"convergence": {"gradient_norm": 1e-2}}, "converged"),
        ({"time_limit": 1e-9}, "time limit"),
        ({"early_stopping": {"patience": 1, "min_change": 10.0}}, "early stopping"),
        ({}, "epochs"),
    ],
)
def test_each_reason_for_stopping_has_its_name(tmp_path, training, reason):
    run = xor(tmp_path, epochs=300, **training)
    assert run.stop.reason == reason
    assert RunFolder.open(run.folder).summary().stop_reason == reason


def test_the_best_weights_are_kept_not_the_last(tmp_path):
    run = rg.fit(X, LINE, valid=(X[:20], LINE[:20] + 1.0), network=[{"dense": 16}, "relu", {"dense": 1}],
                 optimizer={"adam": 0.05}, epochs=60, early_stopping=None, root=tmp_path)  # fmt: skip
    losses = [epoch.metrics["valid"]["loss"] for epoch in run.history]
    assert run.best_epoch == int(np.argmin(losses)) + 1 < 60
    assert run.scores["valid"]["loss"] == pytest.approx(min(losses), rel=1e-4)


def test_a_plateau_lowers_the_learning_rate(tmp_path):
    rate = {"reduce_on_plateau": {"initial": 0.1, "patience": 0, "factor": 0.5, "threshold": 0.9}}
    run = rg.fit(X, LINE, network=[{"dense": 1}], optimizer={"sgd": {"learning_rate": rate}}, epochs=6, root=tmp_path)
    rates = [epoch.learning_rate for epoch in run.history]
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] < 0.05


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # 1e308 is no float32
def test_an_overflowing_first_update_is_blamed_on_the_rate_and_not_on_the_data(tmp_path):
    with pytest.raises(rg.NonFiniteError, match=r"step 1: the update of .*lower optimizer\.sgd\.learning_rate"):
        rg.train(
            {"data": "xor", "network": [{"dense": 1}], "optimizer": {"sgd": 1e308}, "training": {"guard": "stop"}},
            root=tmp_path,
        )


def test_non_finite_training_names_the_layer_and_keeps_good_weights(tmp_path):
    config = {"data": "xor", "network": [{"dense": 8}, "relu", {"dense": 1}], "loss": "mean_squared_error",
              "optimizer": {"sgd": 1e30}, "training": {"epochs": 50, "batch_size": 4}}  # fmt: skip
    with pytest.raises(rg.NonFiniteError, match=r"step \d+.*layer dense_.* first non-finite.*kept the"):
        rg.train(config, root=tmp_path)
    (folder,) = tmp_path.iterdir()
    assert "non-finite" in (folder / "report.html").read_text()
    stored = rg.load(folder)
    assert all(
        np.isfinite(leaf).all() for parameters in stored.variables.params.values() for leaf in parameters.values()
    )
    assert RunFolder.open(folder).summary().stop_reason == "non-finite"


def test_a_page_that_cannot_be_written_does_not_fail_the_run(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no room")

    monkeypatch.setattr(ending_module, "write_report", refuse)
    with pytest.warns(rg.RetrogradWarning, match="report.html was not written: no room"):
        run = xor(tmp_path, epochs=2)
    assert (run.folder / "model.safetensors").exists()
    assert not (run.folder / "report.html").exists()


def test_regression_is_measured_in_the_targets_unit(tmp_path):
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "price": 1000 * LINE})
    run = rg.fit(frame, target="price", epochs=200, root=tmp_path)
    assert run.scores["test"]["r2"] > 0.7  # the third feature is not in the data
    assert run.scores["test"]["root_mean_squared_error"] > 1
    assert abs(run.predict(frame).mean() - 3000) < 500


def test_fit_accepts_objects_names_and_frames_alike(tmp_path):
    y = (LINE > 3).astype(int)
    by_object = rg.fit(X, y, network=rg.Network(rg.Dense(6, "relu"), rg.Dense("classes")), loss=rg.BinaryCrossEntropy(),
                       optimizer=rg.Adam(0.01), epochs=3, root=tmp_path)  # fmt: skip
    by_name = rg.fit(X, y, network=[{"dense": {"units": 6, "activation": "relu"}}, {"dense": "classes"}],
                     loss="binary_cross_entropy", optimizer={"adam": 0.01}, epochs=3, root=tmp_path)  # fmt: skip
    weights = [digest(run.model.variables.params) for run in (by_object, by_name)]
    assert weights[0] == weights[1]


def test_sample_weights_and_several_classes(tmp_path):
    pl = pytest.importorskip("polars")
    kind = np.array(["低", "中", "高"])[np.digitize(LINE, [2, 4])]
    frame = pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "w": np.abs(X[:, 3]) + 0.1, "kind": kind})
    run = rg.fit(
        frame, target="kind", data=rg.DataSettings(weight="w"), epochs=40, optimizer={"adam": 0.02}, root=tmp_path
    )
    assert set(run.predict(frame)) <= {"低", "中", "高"}
    assert run.scores["train"]["accuracy"] > 0.7


def test_categories_can_be_embedded(tmp_path):
    pl = pytest.importorskip("polars")
    town = RNG.choice(["a", "b", "c"], 90)
    frame = pl.DataFrame({"size": X[:, 0], "town": town, "price": X[:, 0] + (town == "b") * 2.0})
    network = [
        {"embedding": {"vocabulary": "town", "units": 2}, "name": "place", "inputs": "town"},
        {"concat": {}, "inputs": ["x", "place"]},
        {"dense": {"units": 8, "activation": "tanh"}},
        {"dense": "targets"},
    ]
    run = rg.fit(frame, target="price", data=rg.DataSettings(categories="embed"), network=network,
                 optimizer={"adam": 0.03}, epochs=60, root=tmp_path)  # fmt: skip
    assert run.scores["test"]["r2"] > 0.9
    assert len(rg.load(run.folder).predict(frame)) == 90


def test_labels_outside_the_networks_classes_are_refused_before_training(tmp_path):
    with pytest.raises(IndexError, match=r"label 2 out of range \[0, 2\)"):
        rg.fit(X, np.arange(90) % 3, network=[{"dense": 2}], loss="cross_entropy", root=tmp_path)
    assert not list(tmp_path.iterdir())


def test_shapes_that_do_not_fit_are_refused_before_training(tmp_path):
    with pytest.raises(
        rg.ShapeError, match=r"loss \(mean_squared_error of dense_1, y\).*shape \(32, 3\), got \(32, 1\)"
    ):
        rg.fit(X, LINE, network=[{"dense": 3}], loss="mean_squared_error", root=tmp_path)
    assert not list(tmp_path.iterdir())
