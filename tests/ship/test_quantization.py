"""Runs as ONNX files of integers: what they compute, which layers stay in float32, and what is refused."""

import base64
import dataclasses
import json
import zlib

import jax
import numpy as np
import polars as pl
import pytest

import retrograd as rg
from retrograd.app.cli.main import main

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from retrograd.network.layer import Spec
from retrograd.ship.onnx.graph import Graph, Value, model_of
from retrograd.ship.onnx.network import write_network
from retrograd.ship.onnx.session import run, session
from retrograd.ship.quantization.folding import folded
from retrograd.ship.quantization.nodes import in_integers
from retrograd.ship.quantization.packing import packed
from retrograd.ship.quantization.reading import constants_of, layer_of
from retrograd.ship.quantization.running import outputs, ranges
from retrograd.ship.quantization.scales import Range, halves, integers

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    x = np.random.default_rng(1).normal(size=(900, 12)).astype(np.float32)
    y = np.where(x[:, :4].sum(1) > 0.5, "high", np.where(x[:, 4:8].sum(1) > 0, "middle", "low"))
    network = [{"dense": {"units": 32, "activation": "relu"}}, {"dense": {"units": 24, "activation": "tanh"}},
               {"dense": "classes"}]  # fmt: skip
    return rg.fit(x, y, network=network, epochs=12, batch_size=32, root=tmp_path_factory.mktemp("runs"), progress=False)


def graph_of(network, x, **others):
    """Return an untrained network in float32 as (graph, columns, output, layers)."""
    inputs = {name: Spec(a.shape, a.dtype) for name, a in {"x": x, **others}.items()}
    specs = jax.eval_shape(lambda key: network.init(key, inputs), jax.random.key(0))
    params = jax.tree.map(lambda p: RNG.normal(0, p.shape[0] ** -0.5, p.shape).astype(p.dtype), specs.params)
    state = jax.tree.map(lambda s: RNG.uniform(0.5, 1.5, s.shape).astype(s.dtype), specs.state)
    graph = Graph()
    columns = {
        graph.free(name): Value(name, (1, *spec.shape[1:]), dtype=str(spec.dtype)) for name, spec in inputs.items()
    }
    nodes = write_network(graph, network, rg.Variables(params, state), columns)
    return graph, columns, nodes[network.output], [node.name for node in network]


NETWORKS = {
    "picture": (rg.Network(rg.Conv2D(16, 3, padding="same"), rg.BatchNorm(), rg.ReLU(), rg.Conv2D(16, 3), rg.MaxPool(2),
                           rg.Conv2DTranspose(8, 3), rg.GlobalAveragePool(), rg.Dense(32), rg.BatchNorm()), (8, 8, 3)),
    "sequence": (rg.Network(rg.LSTM(16), rg.Dense(24, "relu"), rg.Dense(16)), (6, 16)),
    "attention": (rg.Network(rg.Dense(16), rg.MultiHeadAttention(2), rg.Dense(16, "gelu")), (5, 16)),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_become_integers_whatever_reads_them(name):
    network, shape = NETWORKS[name]
    x = RNG.normal(size=(80, *shape)).astype(np.float32)
    graph, columns, y, layers = graph_of(network, x)
    base = folded(graph, ())
    expected = outputs(graph, columns, y, {"x": x})
    np.testing.assert_allclose(outputs(base, columns, y, {"x": x}), expected, atol=1e-5)  # float32 sums
    assert not any(node.op_type == "BatchNormalization" for node in base.nodes)
    whole = in_integers(base, layers, ranges(base, columns, layers, {"x": x}), 7)
    assert [n for n, a in whole.constants.items() if a.dtype == np.float32 and a.ndim > 1 and a.size >= 256] == []
    computed = outputs(whole, columns, y, {"x": x})
    assert 0 < np.sum((computed - expected) ** 2) < 10**-2.5 * np.sum(expected**2)  # 25 dB


def test_an_embedding_and_its_transposed_weights_become_integers():
    network = rg.Network(rg.Embedding(64, 40), rg.named(rg.Dense(40), "out", share={"weight": "embedding_1/weight.T"}))
    ids = RNG.integers(0, 40, (20, 5)).astype(np.int32)
    graph, columns, y, layers = graph_of(network, ids)
    expected, observed = outputs(graph, columns, y, {"x": ids}), ranges(graph, columns, layers, {"x": ids})
    for some in ([layers[0]], layers):  # if it stays in float32, it transposes the float32 weights
        whole = in_integers(graph, some, observed, 7)
        computed = outputs(whole, columns, y, {"x": ids})
        assert 0 < np.sum((computed - expected) ** 2) < 10**-2.5 * np.sum(expected**2)  # 25 dB
    assert {a.dtype for a in constants_of(whole).values() if a.ndim > 1} == {np.dtype(np.int8)}


def test_products_that_read_their_weights_differently_compute_in_floating_point():
    graph, table = Graph(path="own"), RNG.normal(size=(16, 32)).astype(np.float32)
    graph.free("x")
    turned = graph.op("Gemm", "x", table.T.copy(), transB=1)  # W of y = x W.T
    columns = graph.op("Gather", table[::-1].copy(), RNG.integers(0, 32, 32), axis=1)
    y = Value(graph.op("Gemm", turned, graph.op("Transpose", columns, perm=[1, 0])), (1, 16))
    x, value = RNG.normal(size=(8, 16)).astype(np.float32), {"x": Value("x", (1, 16))}
    observed = ranges(graph, value, ["own"], {"x": x})
    assert observed == {}
    whole = in_integers(graph, ["own"], observed, 7)
    assert {array.dtype for array in whole.constants.values() if array.shape[:1] > (1,)} >= {np.dtype(np.int8)}
    expected, computed = (outputs(each, value, y, {"x": x}) for each in (graph, whole))
    assert 0 < np.sum((computed - expected) ** 2) < 10**-2.5 * np.sum(expected**2)  # 25 dB


def test_a_file_computes_integer_arithmetic(trained, tmp_path):
    """Compared with the same arithmetic in NumPy: sums of integer products, and one step per channel."""
    rg.quantize(trained, tmp_path / "m.onnx", max_drop=0.1, from_x=True)
    file = onnx.load(tmp_path / "m.onnx")
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in file.graph.initializer}
    makers = {name: node for node in file.graph.node for name in node.output}
    constants |= {
        name: constants[node.input[0]]
        for name, node in makers.items()
        if node.input[0] in constants and node.op_type == "Cast"
    }
    x = trained.dataset.test["x"][:50]
    y = x.astype(np.float64)
    for product, activate in zip([n for n in file.graph.node if n.op_type == "Gemm"], (relu, np.tanh), strict=False):
        read, weight, bias = (makers[name] for name in product.input)
        step, zero = (constants[name] for name in read.input[1:])
        whole = np.clip(np.rint(y / step) + zero, 0, 255).astype(np.int64) - int(zero)
        integer, scales = (constants[name] for name in weight.input[:2])
        assert np.abs(integer).max() == 63
        y = activate(
            (whole @ integer.astype(np.int64) + constants[bias.input[0]]) * scales.astype(np.float64) * float(step)
        )
    tanh = next(node.output[0] for node in file.graph.node if node.op_type == "Tanh")
    file.graph.output.append(onnx.helper.make_tensor_value_info(tanh, 1, None))
    np.testing.assert_allclose(run(session(file), {"x": x}, [tanh])[tanh], y, atol=1e-5)  # float32


def relu(x):
    return np.maximum(x, 0)


NAMES = np.array(["high", "low", "middle"])


def accuracy(path, part):
    labels = run(session(path), {"x": part["x"]})["label"]
    return np.mean(labels == NAMES[part["y"]])


def spoilt(model, column, unit=None):
    """Return a model of the same function for a column 3000 times as large, as an input of a hidden layer is too."""
    params = jax.tree.map(np.array, model.variables.params)
    params["dense_1"]["weight"][column] /= 3000
    if unit is not None:
        params["dense_1"]["weight"][:, unit] *= 3000
        params["dense_1"]["bias"][unit] *= 3000
        params["dense_2"]["weight"][unit] /= 3000
    return dataclasses.replace(model, variables=rg.Variables(params, model.variables.state))


def rows_in_thousands(part, column):
    return {"x": part["x"] * np.where(np.arange(12) == column, 3000, 1).astype(np.float32), "y": NAMES[part["y"]]}


@pytest.mark.parametrize("column", [0, 5])
def test_a_column_in_thousands_is_detected_and_no_bad_file_is_written(trained, tmp_path, column):
    rows = rows_in_thousands(trained.dataset.test, column)
    made = rg.quantize(spoilt(trained.model, column), tmp_path / "m.onnx", calibrate=rows, from_x=True)
    assert made.layers[0].layer == "dense_1"
    assert made.kept_float == ("dense_1",)
    right = np.mean(run(session(made.path), {"x": rows["x"]})["label"] == rows["y"])
    assert made.drop <= 0.005
    assert made.float_score - right == pytest.approx(made.drop)


def test_if_no_layer_fits_the_budget_the_table_is_shown_and_nothing_is_written(trained, tmp_path, capsys):
    spoilt(trained.model, 0, unit=3).save(tmp_path / "model.rg")
    np.savez(tmp_path / "rows.npz", **rows_in_thousands(trained.dataset.test, 0))
    arguments = [str(tmp_path / name) for name in ("model.rg", "m.onnx", "rows.npz")]
    assert main(["quantize", *arguments[:2], "--calibrate", arguments[2], "--from-x"]) == 4
    printed, error = capsys.readouterr()
    assert {line.split()[0] for line in printed.splitlines()[1:]} == {"dense_1", "dense_2"}
    assert "accuracy falls by more than 0.5 %" in error
    assert not (tmp_path / "m.onnx").exists()


def test_the_metadata_describe_the_quantization(trained, tmp_path):
    made = rg.quantize(trained, tmp_path / "m.onnx", from_x=True, max_drop=0.1)
    (whole,) = onnx.load(made.path).metadata_props
    metadata = json.loads(zlib.decompress(base64.b64decode(whole.value)))
    assert metadata["checksum"] == trained.model.facts["weights"]
    assert metadata["quantized"] == {"bits": 7, "float32": [], "accuracy": pytest.approx(made.float_score - made.drop),
                                 "in_float32": made.float_score}  # fmt: skip
    assert made.answers == made.rows == len(trained.dataset.test["y"])
    assert made.doubt >= 3 / made.rows


def test_narrow_constants_and_short_names_change_no_bit():
    network, shape = NETWORKS["sequence"][0], (6, 16)
    masked = rg.Network(rg.named(rg.GRU(16), "gru", inputs=("x", "mask")), *network.entries[1:])
    x, mask = RNG.normal(size=(40, *shape)).astype(np.float32), RNG.random((40, 6)) < 0.7
    graph, columns, y, layers = graph_of(masked, x, mask=mask)
    whole = in_integers(graph, layers, ranges(graph, columns, layers, {"x": x, "mask": mask}), 8)
    whole.result(y, "y")
    ends = [("x", "float32", ["batch", *shape]), ("mask", "bool", ["batch", 6])], [("y", "float32", ["batch", 16])]
    model = model_of(whole, *ends)
    small = packed(model, layers)
    onnx.checker.check_model(small)
    expected, computed = (run(session(each), {"x": x, "mask": mask})["y"] for each in (model, small))
    np.testing.assert_array_equal(computed, expected)
    assert small.ByteSize() < 0.8 * model.ByteSize()
    assert {layer_of(node) for node in small.graph.node} <= {"", *layers}


@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e9])
def test_constants_of_16_bits_lose_at_most_their_last_bit(scale):
    array = np.array([1.0, -0.3, 1e-4, 0.0], np.float32) * np.float32(scale)
    near = halves(array)
    assert (near is None) == (scale != 1.0)
    assert near is None or np.abs(near - array).max() <= 2**-11


@pytest.mark.parametrize("bits", [7, 8])
def test_each_channel_has_its_scale_and_biases_fit(bits):
    weight = np.array([[1.0, 1000.0, 0.0, 1e-12], [-2.0, 500.0, 0.0, 0.0]], np.float32)
    whole = integers(weight, 1, bits, np.array([0.0, 0.0, 5.0, 5.0], np.float32), 0.5)
    largest = 2 ** (bits - 1) - 1
    assert np.abs(whole.values).max(0).tolist() == [largest, largest, 0, 0]
    assert (np.abs(whole.values * whole.scales - weight) <= whole.scales * 0.5001).all()  # float32
    assert 5.0 / (whole.scales[3] * 0.5) < 2**31


def test_zero_is_an_integer_of_every_range():
    for range_ in (Range().wider(1.0, 5.0), Range().wider(-3.0, -1.0), Range().wider(-1.0, 2.0), Range()):
        assert range_.low <= 0 <= range_.high
        assert 0 <= range_.zero <= 255
        assert (float(range_.zero) + range_.high / range_.scale) == pytest.approx(255, abs=0.5) or range_ == Range()


def test_the_command_reports_the_same_as_text_and_as_json(trained, tmp_path, capsys):
    arguments = ["quantize", str(trained.folder), str(tmp_path / "m.onnx"), "--from-x", "--max-drop", "5%"]
    assert main(arguments) == 2
    assert "the run's data are not there; pass rows with their targets: --calibrate FILE" in capsys.readouterr().err
    rows = tmp_path / "rows.npz"
    np.savez(rows, x=trained.dataset.test["x"], y=NAMES[trained.dataset.test["y"]])
    assert main([*arguments, "--calibrate", str(rows), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["part"], report["rows"], report["metric"], report["kept_float"]) == (
        "calibration",
        135,
        "accuracy",
        [],
    )
    assert report["bytes"] == (tmp_path / "m.onnx").stat().st_size < report["float_bytes"]
    assert main([*arguments, "--calibrate", str(rows)]) == 0
    text = capsys.readouterr().out
    assert f"{report['flipped']} of 135 predicted labels change" in text
    assert max(map(len, text.replace(str(tmp_path), "").splitlines())) <= 80


def test_cells_as_text_go_into_a_file_of_integers(tmp_path):
    rows = np.random.default_rng(2).normal(10, 4, (200, 2))
    frame = pl.DataFrame({"a": rows[:, 0], "kind": ["xy"[i % 2] for i in range(200)], "price": rows.sum(1)})
    run_ = rg.fit(frame, target="price", network=[rg.Dense(64, "relu"), rg.Dense(4), rg.Dense(1)], epochs=1,
                  root=tmp_path, progress=False)  # fmt: skip
    made = rg.quantize(run_, tmp_path / "m.onnx", cells="text", max_drop=0.5)
    texts = np.array([[repr(row[0]), row[1]] for row in frame.rows()], object)
    results = run(session(made.path), {"rows": texts})
    assert results["cells"].tolist() == [[0, 0]] * 200
    np.testing.assert_allclose(results["values"][:, 0], run_.predict(frame), atol=0.3)  # 7 bits of about 20
