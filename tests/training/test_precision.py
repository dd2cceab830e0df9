"""Runs in float32, float64 and bfloat16: they learn, are stored and predict; how far their gradients differ."""

import jax
import numpy as np
import pytest

import retrograd as rg
from retrograd.network.precision import computing_in, in_bfloat16, in_precision

SMOOTH = 0.01  # relative error of bfloat16's gradients where nothing has a kink: eight bits, 2^-9, a few times over
KINKED = 0.06  # relu switches units whose sum is within the rounding of 0
CNN = [{"reshape": [8, 8, 1]}, {"conv2d": {"filters": 4, "activation": "relu"}}, {"max_pool": 2}, "flatten",
       {"dense": "classes"}]  # fmt: skip
MLP = [{"dense": {"units": 16, "activation": "tanh"}}, "batch_norm", {"dense": "classes"}]


def digits(precision, network, tmp_path, **training):
    plain = {
        "data": "digits",
        "network": network,
        "optimizer": {"adam": 0.01},
        "training": {"epochs": 3, "batch_size": 128, "precision": precision, **training},
    }
    return rg.train(plain, folder=tmp_path / precision)


@pytest.mark.parametrize("precision", ["float64", "bfloat16"])
def test_a_run_learns_and_its_file_predicts_the_same(precision, tmp_path):
    run = digits(precision, CNN if precision == "bfloat16" else MLP, tmp_path)
    stored = np.dtype("float64" if precision == "float64" else "float32")
    leaves = jax.tree.leaves(tuple(run.model.variables))
    assert {np.asarray(leaf).dtype for leaf in leaves} == {stored}
    assert run.history[-1].metrics["valid"]["accuracy"] > 0.75
    model = rg.load(run.folder)
    assert {np.asarray(leaf).dtype for leaf in jax.tree.leaves(tuple(model.variables))} == {stored}
    x = np.random.default_rng(0).uniform(0, 16, (5, 64))
    np.testing.assert_array_equal(model.outputs(x), run.model.outputs(x))
    assert model.outputs(x).dtype == stored
    lines = (run.folder / "config.yaml").read_text()
    assert f"precision: {precision}" in lines


def test_float64_starts_with_the_numbers_of_float32_and_then_has_more_digits(tmp_path):
    wide, narrow = (digits(p, [{"dense": "classes"}], tmp_path, epochs=1) for p in ("float64", "float32"))
    one, other = (jax.device_get(run.model.variables.params["dense_1"]["weight"]) for run in (wide, narrow))
    np.testing.assert_allclose(one, other, atol=1e-5)
    assert (one != one.astype(np.float32)).any()
    losses = [run.history[0].metrics["valid"]["loss"] for run in (wide, narrow)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert not jax.config.jax_enable_x64


def gradients(network, batch, precision):
    stepper = rg.Stepper(network, [rg.Objective.on(network, rg.CrossEntropy())], rg.SGD(0.1), precision=precision)
    first = network.init(jax.random.key(0), batch)
    with computing_in(precision):
        rounded = in_precision((first, batch), precision)
        outcome = jax.jit(stepper.evaluate)(stepper.start(rounded[0], jax.random.key(1)), rounded[1])
        return jax.device_get((outcome.grads, outcome.loss, outcome.deltas))


def error(computed, expected):
    computed, expected = (
        np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)]) for tree in (computed, expected)
    )
    return np.linalg.norm(computed - expected) / np.linalg.norm(expected)


RNG = np.random.default_rng(2)
TOKENS = RNG.integers(0, 20, (4, 12)).astype(np.int32)
NETWORKS = {
    "mlp": (rg.Network(rg.Dense(32, "tanh"), rg.LayerNorm(), rg.Dense(5)), (16, 10), SMOOTH),
    "cnn": (rg.Network(rg.Conv2D(4, activation="relu"), rg.MaxPool(2), rg.Flatten(), rg.Dense(5)), (16, 8, 8, 1), KINKED),
    "gpt": (rg.Network(rg.Embedding(16, 20), rg.LearnedPositions(12), rg.TransformerEncoder(16, 2, causal=True),
                       rg.Dense(20)), None, SMOOTH),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_of_bfloat16_are_near_those_of_float32_which_are_near_those_of_float64(name):
    network, shape, allowed = NETWORKS[name]
    batch = {"x": TOKENS, "y": np.roll(TOKENS, -1, 1)}
    if shape:
        batch = {"x": RNG.normal(size=shape).astype(np.float32), "y": RNG.integers(0, 5, shape[0]).astype(np.int32)}
    compared = ("float32", "bfloat16", *(("float64",) if name == "mlp" else ()))
    results = {precision: gradients(network, batch, precision) for precision in compared}
    assert 1e-5 < error(results["bfloat16"][0], results["float32"][0]) < allowed
    leaves = {precision: jax.tree.leaves(results[precision]) for precision in results}
    assert {leaf.dtype.name for leaf in leaves["bfloat16"]} == {"float32"}  # at every boundary
    if name == "mlp":
        assert error(results["float32"][0], results["float64"][0]) < 2e-5
        assert {leaf.dtype.name for leaf in leaves["float64"]} == {"float64"}


def test_only_layers_that_multiply_matrices_are_rounded():
    network = NETWORKS["gpt"][0]
    rounded = {node.name for node in in_bfloat16(network) if node.layer is not network.by_name[node.name].layer}
    kinds = {network.by_name[name].layer.kind for name in rounded}
    assert kinds == {"dense", "multi_head_attention"}
    assert [str(node) for node in in_bfloat16(network)] == [str(node) for node in network]


def test_an_unknown_precision_is_refused():
    with pytest.raises(rg.ConfigError, match=r"precision: expected one of float32, float64, bfloat16, found 'float16'"):
        rg.TrainingSettings(precision="float16")
