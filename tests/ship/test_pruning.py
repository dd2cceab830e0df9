"""Channels removed from networks: the smaller network equals the full one with the removed parts set to zero."""

import dataclasses
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import retrograd as rg
from retrograd.app.cli.verbs.prune import words
from retrograd.data.dataset import from_arrays
from retrograd.network.network import Variables
from retrograd.ship.pruning import prune as pruning
from retrograd.ship.pruning.coupling import couple
from retrograd.ship.pruning.prune import prune_run
from retrograd.ship.pruning.statistics import measure_again
from retrograd.ship.pruning.surgery import Left, _trimmed, cut, is_exact, masked
from retrograd.training.prepare import prepare
from retrograd.training.run import as_config

IMAGE, ROW, SEQUENCE = (4, 6, 6, 3), (4, 5), (4, 6, 3)


HALVED = {
    "dense": ([rg.Dense(8, "prelu"), rg.Dropout(0.1), rg.Dense(8), rg.GLU(), rg.Dense(9), rg.Maxout(3), rg.Dense(2)],
              ROW, {"dense_1": 4, "dense_2": 4, "dense_3": 6}),
    "convolution": ([rg.Conv2D(6, activation="relu"), rg.BatchNorm(), rg.MaxPool(2), rg.Conv2D(4, 2), rg.Snake(),
                     rg.Flatten(), rg.Dense(6, "tanh"), rg.Dense(2)], IMAGE,
                    {"conv2d_1": 3, "conv2d_2": 2, "dense_1": 3}),
    "residual": ([rg.Conv2D(6, activation="relu"), rg.Residual([rg.Conv2D(6), rg.BatchNorm(), rg.ReLU(), rg.Conv2D(6)]),
                  rg.Residual([rg.Conv2D(4, stride=2), rg.ReLU(), rg.Conv2D(8)], [rg.Conv2D(8, 1, stride=2)]),
                  rg.GlobalAveragePool(), rg.Dense(2)], IMAGE,
                 {"conv2d_1": 3, "residual_1/conv2d_1": 3, "residual_1/conv2d_2": 3, "residual_2/conv2d_1": 2,
                  "residual_2/conv2d_2": 4, "residual_2/conv2d_3": 4}),
    "concat": ([rg.Branches([[rg.Conv2D(4)], [rg.Conv2D(6, 1), rg.ReLU()], []]), rg.InstanceNorm(), rg.Conv2D(4),
                rg.Upsample(2), rg.Pad(1), rg.Flatten(), rg.Dense(2)], IMAGE,
               {"branches_1/1/conv2d_1": 2, "branches_1/2/conv2d_1": 3, "conv2d_1": 2}),
    "groups": ([rg.Conv2D(8), rg.Conv2D(8, groups=2), rg.Conv2D(16, groups="depthwise"), rg.GroupNorm(16),
                rg.Conv2D(16, groups=16), rg.Conv2DTranspose(8, groups=2), rg.Conv2DTranspose(8, groups=8),
                rg.Conv2DTranspose(4), rg.GlobalMaxPool(), rg.Dense(2)], IMAGE,
               {"conv2d_1": 4, "conv2d_2": 4, "conv2d_transpose_1": 4, "conv2d_transpose_3": 2}),
    "shared": ([rg.named(rg.Dense(6, "tanh"), "a"), rg.named(rg.Dense(6, "tanh"), "b"),
                rg.named(rg.Dense(6), "c", share={"weight": "b/weight"}),
                rg.named(rg.Dense(6), "d", share={"weight": "b/weight.T"}),
                rg.Dense(2)], ROW, {"a": 3, "b": 3, "c": 3, "d": 3}),
    "gate": ([rg.named(rg.Conv2D(6), "image"), rg.GlobalAveragePool(), rg.Dense(6, "sigmoid"),
              rg.named(rg.Multiply(broadcast=True), "gated", inputs=["image", "dense_1"]), rg.Conv2D(2, 6, padding="valid"),
              rg.Reshape((-1,)), rg.Dense(2)], IMAGE, {"image": 3, "dense_1": 3, "conv2d_1": 1}),
    "attention": ([rg.Dense(8), rg.Residual([rg.MultiHeadAttention(4, 8, causal=True)]),
                   rg.MultiHeadAttention(4, key_value_heads=2, rotary=True, head_width=4), rg.FeedForward(8, gated=True),
                   rg.Take(-1), rg.Dense(2)], SEQUENCE,
                  {"dense_1": 4, "residual_1/multi_head_attention_1": 2, "multi_head_attention_1": 2,
                   "feed_forward_1/hidden": 16, "feed_forward_1/gate": 16, "feed_forward_1/output": 4}),
    "encoder": ([rg.Dense(8), rg.LearnedPositions(), rg.TransformerEncoder(8, 2, layers=2, causal=True),
                 rg.GlobalAveragePool(), rg.Dense(2)], SEQUENCE,
                {"dense_1": 4, "transformer_encoder_1/2/attention": 1, "transformer_encoder_1/1/feed_forward/hidden": 16,
                 "transformer_encoder_1/2/feed_forward/output": 4}),
    "sinus": ([rg.Dense(8), rg.Positions(), rg.TransformerEncoder(8, 4, norm="post", norm_kind="rms_norm"),
               rg.GlobalAveragePool(), rg.Dense(2)], SEQUENCE,
              {"dense_1": 8, "transformer_encoder_1/1/attention": 2, "transformer_encoder_1/1/feed_forward/hidden": 16}),
    "recurrent": ([rg.LSTM(6, bidirectional=True, layers=2, output="sequence"), rg.GRU(4, reset="before", output="all"),
                   rg.named(rg.GRU(4), "second", inputs=["gru_1.sequence", "gru_1.last"]),
                   rg.named(rg.RNN(6, bidirectional=True, merge="sum"), "third", inputs=["gru_1.sequence"]),
                   rg.named(rg.Concat(), "both", inputs=["second", "third"]), rg.Dense(2)], SEQUENCE,
                  {"lstm_1/1": 3, "lstm_1/2": 3, "gru_1": 2, "second": 2, "third": 3}),
    "repeat": ([rg.Dense(6), rg.Repeat(2, [rg.Residual([rg.Dense(4, "relu"), rg.Dense(6)])]), rg.Dense(2)], ROW,
               {"dense_1": 3, "repeat_1/1/residual_1/dense_1": 2, "repeat_1/2/residual_1/dense_2": 3}),
}  # fmt: skip


@dataclass(frozen=True)
class NormOver(rg.Layer):
    """A norm over some of the channels, written without the package: the oracle for a norm over fewer of them."""

    places: tuple[int, ...]
    eps: float
    centred: bool

    def forward(self, params, state, ctx, x):
        part = x[..., jnp.array(self.places)]
        mean = part.mean(-1, keepdims=True) if self.centred else 0.0
        size = ((part - mean) ** 2).mean(-1, keepdims=True)
        y = (x - mean) / jnp.sqrt(size + self.eps) * params["scale"]
        return rg.Forward(y + params["bias"] if "bias" in params else y)


def pruned(layers, shape, keep=0.5):
    """Return the network, random weights, its coupled channels, the smaller network and a batch."""
    network = rg.Network(*layers)
    rng = np.random.default_rng(0)
    batch = {"x": rng.normal(size=shape).astype(np.float32), "y": rng.integers(0, 2, shape[0])}
    specs = jax.eval_shape(lambda key: network.init(key, batch), jax.random.key(0))
    noise = jax.tree.map(lambda leaf: rng.uniform(-0.5, 0.8, leaf.shape).astype(np.float32), specs.params)
    noise = Variables(noise, jax.tree.map(lambda leaf: rng.uniform(0.2, 1, leaf.shape).astype(np.float32), specs.state))
    objective = rg.Objective.on(network, rg.CrossEntropy())
    coupling = couple(network, [objective], noise, batch)
    chances = dict(enumerate(rng.random(10_000)))
    return network, noise, coupling, cut(network, coupling, noise, chances, keep, batch), batch


def with_partial_norms(network, coupling, gone):
    """Return the network with norms over the remaining channels only."""
    nodes = []
    for node in network:
        if isinstance(node.layer, (rg.LayerNorm, rg.RMSNorm)):
            (scale,) = [each for each in coupling.slices if each[:3] == ("params", node.name, "scale")]
            stayed = [i for i, root in enumerate(coupling.channels.roots(scale.labels)) if root not in gone]
            eps = node.layer.eps if node.layer.eps is not None else float(np.finfo(np.float32).eps)
            node = dataclasses.replace(node, layer=NormOver(tuple(stayed), eps, isinstance(node.layer, rg.LayerNorm)))
        nodes.append(node)
    return network.with_nodes(tuple(nodes))


@pytest.mark.parametrize("case", HALVED)
def test_the_smaller_network_equals_the_full_one_with_removed_parts_set_to_zero(case):
    layers, shape, sizes = HALVED[case]
    network, variables, coupling, smaller, batch = pruned(layers, shape)
    after = {each.node: each.after for each in smaller.left if each.setting in ("units", "filters", "heads")}
    heads = {each.node: each.after for each in smaller.left if each.setting == "heads"}
    assert (after | heads) | sizes == after | heads
    assert is_exact(coupling, smaller.gone) == (case != "encoder")

    def output(network, variables):
        return rg.forward(network, *variables, rg.Context(), batch).outputs[network.output]

    def both(whole, small):
        return output(with_partial_norms(network, coupling, smaller.gone), whole), output(smaller.network, small)

    expected, got = jax.jit(both)(masked(coupling, variables, smaller.gone), smaller.variables)
    np.testing.assert_allclose(got, expected, atol=2e-5 * np.abs(expected).max())  # float32: sums in another order
    assert np.abs(expected).max() > 1e-3


@pytest.mark.parametrize("case", ["residual", "shared"])
def test_the_first_gradients_of_the_smaller_network_are_those_of_the_full_one_with_zeros(case):
    """Fine-tuning therefore starts where the masked network would; removed parts are cut out of its gradients."""
    layers, shape, _ = HALVED[case]
    network, variables, coupling, smaller, batch = pruned(layers, shape)

    def first_gradients(network, variables):
        objectives = [rg.Objective.on(network, rg.CrossEntropy())]
        return rg.backprop(network, objectives, *variables, rg.Context(), batch)[::4]  # loss, grads

    (expected, grads), (loss, got) = jax.jit(
        lambda whole, small: (first_gradients(network, whole), first_gradients(smaller.network, small))
    )(masked(coupling, variables, smaller.gone), smaller.variables)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)  # float32: sums in another order
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(got))
    expected = _trimmed(coupling, Variables(grads, variables.state), smaller.gone).params
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6 * largest), got, expected)
    assert largest > 1e-3


def test_parts_left_unchanged_are_named_with_their_reason():
    layers = [rg.Dense(6), rg.Softmax(), rg.Dense(4, weight=np.ones((6, 4)).tolist()), rg.Dense(2)]
    with pytest.raises(
        rg.ConfigError, match=r"dense_1: read by softmax_1 .*dense_2: the initial values .* a loss reads"
    ):
        pruned(layers, ROW)


def test_outputs_and_shared_weights_of_a_layer_without_a_rule_stay_unchanged():
    @dataclass(frozen=True)
    class Turned(rg.Layer):
        def init(self, key, x):
            return rg.Init({"weight": jnp.eye(x.shape[-1])})

        def forward(self, params, state, ctx, x):
            return rg.Forward(x @ params["weight"])

    layers = [rg.named(rg.Dense(6), "a"), rg.named(Turned(), "turned"), rg.named(rg.Dense(6), "b", inputs=["x"]),
              rg.Dense(6), rg.named(rg.Dense(6), "c", share={"weight": "turned/weight"}),
              rg.named(rg.Add(), "sum", inputs=["turned", "c"]), rg.Dense(4), rg.Dense(2)]  # fmt: skip
    *_, smaller, _ = pruned(layers, ROW)
    assert {each.node: each.after for each in smaller.left} == {
        "a": 6, "b": 3, "dense_1": 6, "c": 6, "dense_2": 2, "dense_3": 2}  # fmt: skip
    assert {each.node: each.reason for each in smaller.left}["dense_1"] == "shared with turned (Turned)"


def test_an_unknown_block_keeps_its_widths():
    @dataclass(frozen=True)
    class Twice(rg.Block):
        def expand(self, scope, *inputs):
            return scope.chain([rg.Dense(6), rg.Dense(6)], *inputs)

    *_, smaller, _ = pruned([rg.Dense(4), Twice(), rg.Dense(2)], ROW)
    reasons = {each.node: each.reason for each in smaller.left}
    assert reasons["dense_1"] == ""
    assert reasons["twice_1/dense_1"] == "made by a block that pruning does not support"


def test_layers_created_by_one_setting_keep_the_same_number_of_units():
    repeated = rg.Repeat(2, [rg.Dense(6, "relu")])  # the second's units are the network's output
    with pytest.raises(rg.ConfigError, match=r"repeat_1/1/dense_1: one setting would need two values"):
        pruned([repeated], ROW)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 5)).astype(np.float32)
    network = [rg.Dense(16, "relu"), rg.Dense(8, "relu"), rg.Dense("classes")]
    return rg.fit(x, (x[:, 0] + x[:, 1] > 0).astype(int), network=network, epochs=20, progress=False, seed=0,
                  root=tmp_path_factory.mktemp("runs"))  # fmt: skip


def test_a_pruned_run_is_a_separate_run_with_a_smaller_network(run, tmp_path):
    smaller = rg.prune(run, keep=0.25, epochs=3, runs=tmp_path)
    assert [node.layer.units for node in smaller.model.network if isinstance(node.layer, rg.Dense)] == [4, 2, 1]
    assert len(smaller.history) == 3
    assert smaller.scores["test"]["accuracy"] > 0.7
    again = rg.load(smaller.folder)
    further = rg.resume(smaller, epochs=4, progress=False)
    assert len(further.history) == 4
    x = np.zeros((2, 5), np.float32)
    np.testing.assert_array_equal(again.predict(x), smaller.predict(x))
    assert (smaller.folder / "start.safetensors").exists()
    assert "pruned by taylor, keep 0.25: dense_1 units 16 -> 4" in (smaller.folder / "events.jsonl").read_text()


def test_units_that_matter_are_kept(run, tmp_path):
    for by in ("taylor", "magnitude"):
        found = prune_run(run, 0.5, by=by, epochs=1, scratch=by == "taylor", runs=tmp_path)
        before, pruned_only, retrained, *scratch = found.lines
        assert (found.part, found.metric, found.rows) == ("test", "accuracy", 30)
        assert pruned_only.weights == retrained.weights < before.weights / 1.9
        assert before.scores["accuracy"] - pruned_only.scores["accuracy"] < 0.2
        assert [line.name for line in scratch] == ["from scratch"] * (by == "taylor")
        assert found.difference < 1e-6
    long = dataclasses.replace(
        found, run=None, left=(*found.left, *(Left("deep/" * 20 + "x", "units", 9, 9, "why " * 30),) * 9)
    )
    text = words(long, max_drop=0.005)
    assert [line for line in text.splitlines() if len(line) > 80 and "deep/" not in line] == []  # a path is not wrapped
    assert "dense_1  16  ->  8  units" in text
    assert "one of 30 rows is 3.33 %: too few to measure 0.5 %" in text


def test_a_run_that_lost_too_much_is_not_kept(run, tmp_path):
    with pytest.raises(rg.ModelFileError, match=r"test accuracy went from .* at most 0 % may be lost; no run was kept"):
        rg.prune(run, keep=0.07, epochs=1, max_drop=0.0, runs=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_pruning_that_changes_the_output_is_detected(run, tmp_path, monkeypatch):
    monkeypatch.setattr(pruning, "masked", lambda coupling, variables, gone: variables)
    with pytest.raises(rg.ModelFileError, match="the pruned network differs from the original one"):
        rg.prune(run, keep=0.5, runs=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("arguments", "message"), [
    ({"keep": 1.0}, "keep: expected a share between 0 and 1, found 1"),
    ({"by": "chance"}, "by: expected taylor or magnitude"),
    ({"epochs": 0}, "epochs: expected at least 1, found 0"),
    ({"max_drop": -1.0}, "max_drop: expected a share, 0 or more"),
])  # fmt: skip
def test_impossible_requests_are_refused(run, arguments, message, tmp_path):
    with pytest.raises(rg.UsageError, match=message):
        rg.prune(run, runs=tmp_path, **arguments)


def test_a_run_whose_data_are_missing_says_how_to_supply_them(run):
    with pytest.raises(rg.UsageError, match=r"passed from Python.*rg.prune\(\.\.\., dataset="):
        rg.prune(run.folder)


def test_running_statistics_are_measured_again_after_channels_are_removed(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(3, 1, (96, 4)).astype(np.float32)
    config = {"network": [{"dense": 4}, "batch_norm", "relu", {"dense": "classes"}], "training": {"batch_size": 32}}
    prepared = prepare(
        as_config(config), from_arrays(x, rng.integers(0, 2, 96), settings=rg.DataSettings(split="none"))
    )
    first = prepared.first()
    again = measure_again(prepared, first)
    z = np.asarray(prepared.dataset.train["x"]) @ np.asarray(first.params["dense_1"]["weight"])
    np.testing.assert_allclose(again.state["batch_norm_1"]["mean"], z.mean(0), atol=0.2)  # of the last dozen batches
    assert again.params is first.params
