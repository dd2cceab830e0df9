"""Groups of nodes that are computed again in backward: the same numbers, from less memory."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import retrograd as rg
from retrograd.network.entries import dump_entry, parse_entry


def wide(recompute):
    """A group with dropout, batch norm, several outputs, and a weight that it shares; others read it from outside."""
    inner = (
        rg.named(rg.RNN(3, output="all"), "rnn"),
        rg.named(rg.BatchNorm(), "norm", inputs="rnn.sequence"),
        rg.named(rg.Dropout(0.4), "dropout"),
        rg.named(rg.Dense(2, "tanh"), "dense", share={"weight": "embed/weight.T"}),
    )
    return rg.Network(
        rg.named(rg.Embedding(3, 2), "embed", inputs="ids"),
        rg.named(rg.Residual(inner, (rg.named(rg.Dense(2), "shortcut"),)), "block", recompute=recompute),
        rg.named(rg.Dense(2), "after"),
        rg.named(rg.Dense(2), "beside", inputs="block/rnn.last"),
        rg.named(rg.Dense(1), "single", inputs="block/dense", recompute=recompute),
    )


BATCH = {"ids": np.array([[0, 1, 1], [1, 0, 1]]), "y": np.array([[0, 1, 1], [0, 0, 1]]), "z": np.array([1, 0])}


def passed(network, step):
    objectives = [
        rg.Objective.on(network, rg.CrossEntropy(), "after", name="after"),
        rg.Objective.on(network, rg.CrossEntropy(), "beside", "z", name="beside", weight=0.5),
    ]

    @jax.jit
    def run(params, state, key, step):
        return rg.backprop(network, objectives, params, state, rg.Context(True, key, step=step), BATCH)

    first = jax.tree.map(lambda a: a.astype(jnp.float64), network.init(jax.random.key(0), BATCH))
    return jax.device_get(run(first.params, first.state, jax.random.key(4), step))


@functools.cache
def keeping_all():
    with jax.enable_x64(True):
        return passed(wide(False), None)


@pytest.mark.parametrize("step", [jnp.int32(5), None], ids=["step", "without"])
def test_every_number_of_the_pass_is_that_of_the_pass_that_keeps_all(step):
    kept = keeping_all()
    with jax.enable_x64(True):
        again = passed(wide(True), step)
    assert set(again.deltas) == set(kept.deltas) >= {"block/rnn", "block/norm", "block/dropout", "embed"}
    assert "single" not in again.deltas
    assert jax.tree.structure(again) == jax.tree.structure(kept)
    for found, expected in zip(jax.tree.leaves(again), jax.tree.leaves(kept), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    assert not np.allclose(again.state["block/norm"]["mean"], 0)
    assert (again.outputs["block/dropout"] == 0).any()


def language_model(recompute):
    blocks = rg.named(rg.TransformerEncoder(32, 2, layers=3, causal=True), "blocks", recompute=recompute)
    return rg.Network(rg.Embedding(32, 32), rg.LearnedPositions(64), blocks, rg.Dense(32))


def compiled(network, batch):
    stepper = rg.Stepper(network, [rg.Objective.on(network, rg.CrossEntropy())], rg.SGD(0.1))

    def start(key):
        return stepper.start(network.init(key, batch), key)

    train = jax.eval_shape(start, jax.random.key(0))
    return stepper.single.remembered(lambda lowered: lowered.compile(), train, batch)


def test_a_language_model_needs_at_most_half_of_the_memory():
    ids = np.random.default_rng(0).integers(0, 32, (16, 64)).astype(np.int32)
    batch = {"x": ids, "y": np.roll(ids, -1, 1)}
    kept, again = (compiled(language_model(recompute), batch).memory_analysis() for recompute in (False, True))
    assert again.temp_size_in_bytes < 0.5 * kept.temp_size_in_bytes


def test_a_group_is_a_block_or_each_part_of_a_stack_and_the_outermost_counts():
    network = language_model(True)
    assert {node.recompute for node in network} == {"", *(f"blocks/{i}" for i in range(1, 4))}
    assert all(node.name.startswith(node.recompute) for node in network)
    assert network.by_name["blocks/final_norm"].recompute == ""
    inner = rg.named(rg.Residual((rg.Dense(2),)), "inner", recompute=True)
    nested = rg.Network(rg.named(rg.Repeat(2, (inner,)), "outer", recompute=True))
    assert {node.recompute for node in nested} == {"outer/1", "outer/2"}


def test_a_configuration_says_so_beside_the_block():
    entry = parse_entry({"residual": [{"dense": 2}], "recompute": True}, "network.0")
    assert entry.recompute
    assert dump_entry(entry)["recompute"] is True
    assert "recompute" not in dump_entry(dataclasses.replace(entry, recompute=False))
    with pytest.raises(rg.ConfigError, match=r"network\.0\.recompute: expected true or false, found 'yes'"):
        parse_entry({"dense": 2, "recompute": "yes"}, "network.0")
