"""Runs as ONNX files: what they compute, and what is refused."""

import json
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

import retrograd as rg
from retrograd.app.cli.main import main
from retrograd.network.layer import Forward, layers

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from retrograd.ship.onnx import outside
from retrograd.ship.onnx.session import run, session

X = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
LABELS = np.where(X[:, 0] > 0.3, "high", np.where(X[:, 1] > 0, "middle", "low"))


def fit(tmp_path, x=X, y=LABELS, **settings):
    return rg.fit(x, y, epochs=1, root=tmp_path, progress=False, **settings)


def test_a_file_agrees_with_predict_for_any_number_of_rows(tmp_path):
    trained = fit(tmp_path, network=[{"dense": {"units": 5, "activation": "tanh"}}, {"dense": "classes"}])
    exported = rg.export(trained, tmp_path / "m.onnx", from_x=True)
    running = session(exported.path)
    for rows in (1, 2, 40):
        outputs = run(running, {"x": X[:rows]})
        assert outputs["label"].tolist() == trained.predict(X[:rows]).tolist()
        np.testing.assert_allclose(outputs["probabilities"], trained.predict_proba(X[:rows]), atol=1e-6)  # float32 sums
    assert exported.difference < 1e-5
    assert exported.compared == ("6 held-out rows", "64 generated rows")


def test_an_ensemble_is_one_file_that_averages(tmp_path):
    trained = fit(tmp_path, network=[{"dense": "classes"}], ensemble=2)
    exported = rg.export(trained, tmp_path / "m.onnx", from_x=True)
    outputs = run(session(exported.path), {"x": X})
    np.testing.assert_allclose(outputs["probabilities"], trained.predict_proba(X), atol=1e-6)  # float32 sums


def test_values_are_output_in_their_own_unit(tmp_path):
    y = 1000 + 50 * X[:, 0]
    trained = fit(tmp_path, y=y, network=[{"dense": 1}], data=rg.DataSettings(scale_target="standard"))
    exported = rg.export(trained, tmp_path / "m.onnx", from_x=True)
    outputs = run(session(exported.path), {"x": X})["values"][:, 0]
    # the last bit of a float32 times spread over level
    np.testing.assert_allclose(outputs, trained.predict(X), rtol=1e-7)


@pytest.mark.parametrize("members", [1, 2])
def test_counts_are_output_as_rates(tmp_path, members):
    counts = np.random.default_rng(0).poisson(np.exp(1 + X[:, 0])).astype(float)
    trained = rg.fit(X, counts, data=rg.DataSettings(task="regression"), loss="poisson_nll", network=[{"dense": 1}], ensemble=members,
                     optimizer={"adam": 0.1}, epochs=40, root=tmp_path, progress=False)  # fmt: skip
    rates = np.asarray(trained.predict(X))
    assert np.corrcoef(np.log(rates), X[:, 0])[0, 1] > 0.9
    assert trained.scores["train"]["r2"] > 0.5
    rg.export(trained, tmp_path / "m.onnx", from_x=True)
    outputs = run(session(tmp_path / "m.onnx"), {"x": X})
    np.testing.assert_allclose(outputs["values"][:, 0], rates, rtol=1e-5)


def test_the_file_says_what_it_is(tmp_path):
    trained = fit(tmp_path, network=[{"dense": "classes"}])
    rg.export(trained, tmp_path / "m.onnx", from_x=True)
    metadata = {entry.key: json.loads(entry.value) for entry in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert metadata["classes"] == ["high", "low", "middle"]
    assert metadata["run"] == trained.folder.name
    assert metadata["checksum"] == trained.model.facts["weights"]
    assert metadata["least_onnxruntime"] == "1.20"


def test_shared_weights_are_stored_once_and_several_outputs_are_written(tmp_path):
    network = [
        {"dense": {"units": 4, "activation": "tanh"}, "name": "first"},
        {"dense": 4, "share": {"weight": "first/weight"}, "name": "second"},
        {"dense": 4, "share": {"weight": "first/weight.T"}, "name": "third"},
        {"dense": "classes", "name": "out"},
    ]
    losses = {"out": {"loss": "cross_entropy"}, "second": {"loss": "mean_squared_error", "target": "x", "weight": 0.1}}
    config = {"data": "iris", "network": network, "losses": losses, "training": {"epochs": 1}}
    trained = rg.train(config, root=tmp_path)
    exported = rg.export(trained, tmp_path / "m.onnx", from_x=True)
    file = onnx.load(exported.path)
    assert [w.name for w in file.graph.initializer if list(w.dims) == [4, 4]] == ["first/weight"]
    assert [name for name, _, _ in exported.outputs] == ["label", "probabilities", "output_second"]


@pytest.fixture
def own_layer():
    @layers.register("own_double", examples=[])
    @dataclass(frozen=True)
    class OwnDouble(rg.Layer):
        """Twice the input."""

        def forward(self, params, state, ctx, x):
            return Forward(2 * x)

    yield OwnDouble
    layers.forget("own_double")


def test_a_layer_without_a_form_is_named_and_a_wrong_form_is_detected(tmp_path, own_layer):
    trained = fit(tmp_path, network=[{"own_double": {}, "name": "twice"}, {"dense": "classes"}])
    path = tmp_path / "m.onnx"
    with pytest.raises(
        rg.ConfigError, match=r"twice: own_double has no ONNX form; .*@rg.to_onnx.register\(OwnDouble\)"
    ):
        rg.export(trained, path, from_x=True)

    @rg.to_onnx.register(own_layer)
    def wrong(graph, layer, weights, x):
        return graph.op("Mul", x, 3.0)

    with pytest.raises(rg.ModelFileError, match=r"the first node that differs is twice \(own_double\)"):
        rg.export(trained, path, from_x=True)
    assert not path.exists()

    @rg.to_onnx.register(own_layer)
    def right(graph, layer, weights, x):
        return graph.op("Mul", x, 2.0)

    assert rg.export(trained, path, from_x=True).difference < 1e-5


def test_the_command_line_lists_inputs_and_outputs(tmp_path, capsys):
    trained = fit(tmp_path, network=[{"dense": "classes"}])
    assert main(["export", str(trained.folder), str(tmp_path / "m.onnx"), "--from-x"]) == 0
    out = capsys.readouterr().out
    assert "input   x  float [batch, 6]" in out
    assert "output  label  string [batch]" in out
    assert max(map(len, out.splitlines()[1:])) <= 80
    assert main(["export", str(trained.folder), str(tmp_path / "m.tflite")]) == 2
    assert "unknown extension '.tflite'" in capsys.readouterr().err


def test_weights_too_large_for_one_file_are_written_to_a_second_one_and_reported(tmp_path, capsys, monkeypatch):
    trained = fit(tmp_path, network=[{"dense": 64}, {"dense": "classes"}])
    whole = rg.export(trained, tmp_path / "whole.onnx", from_x=True)
    monkeypatch.setattr(outside, "LARGEST", 2000)
    (tmp_path / "there").mkdir()
    path = tmp_path / "there" / "m.onnx"
    assert main(["export", str(trained.folder), str(path), "--from-x"]) == 0
    assert "over 2 GB: the weights are in m.onnx.data; keep it next to the model" in capsys.readouterr().out
    assert path.stat().st_size < whole.bytes - 6 * 64 * 4 + 100  # and where these are
    onnx.checker.check_model(str(path))
    for name, output in run(session(whole.path), {"x": X}).items():
        np.testing.assert_array_equal(run(session(path), {"x": X})[name], output)
    assert {t.data_location for t in onnx.load(path, load_external_data=False).graph.initializer} == {0, 1}
    with pytest.raises(rg.ResourceError, match="a training step can have at most 2 GB"):
        rg.export(trained, path, from_x=True, train_step="head")
    made = rg.quantize(trained, tmp_path / "there" / "q.onnx", from_x=True, max_drop=0.9)
    assert made.weights is None  # the integers are small enough
    assert run(session(made.path), {"x": X})["probabilities"].shape == (40, 3)


def test_columns_may_have_the_names_of_outputs(tmp_path):
    frame = pl.DataFrame({"values": np.arange(30.0), "label": ["a", "b", "c"] * 10, "price": np.arange(30.0) ** 2})
    trained = fit(tmp_path, frame, None, target="price", network=[{"dense": 1}])
    exported = rg.export(trained, tmp_path / "m.onnx")
    assert [name for name, *_ in exported.inputs] == ["values", "label"]
    assert [name for name, *_ in exported.outputs] == ["values_2", "cells"]


def test_the_file_names_the_run_that_last_stands_for(tmp_path):
    trained = fit(tmp_path, network=[{"dense": "classes"}])
    rg.export("last", tmp_path / "m.onnx", from_x=True, runs=tmp_path)
    metadata = {entry.key: json.loads(entry.value) for entry in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert metadata["run"] == trained.folder.name


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("net.c", {"cells": "text"}, "cells: a C file contains only the network"),
        ("net.c", {"opset": 18}, "opset: a C file contains only the network"),
        ("m.onnx", {"cells": "text", "from_x": True}, "cells: the network's columns are not cells"),
        ("m.onnx", {"cells": "words"}, "cells: expected typed or text, found 'words'"),
        ("m.onnx", {"cells": "text", "opset": 18}, "opset: expected 20, found 18"),
    ],
)
def test_incompatible_settings_are_refused_before_anything_is_read(tmp_path, name, settings, message):
    with pytest.raises(rg.UsageError, match=message):
        rg.export(tmp_path / "nowhere", tmp_path / name, **settings)
    assert list(tmp_path.iterdir()) == []
