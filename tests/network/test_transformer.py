"""Transformer blocks: their nodes, and that their deltas are the adjoint of the whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.base.errors import ConfigError
from retrograd.network.blocks import FeedForward, TransformerDecoder, TransformerEncoder
from retrograd.network.entries import dump_entries, parse_entries
from retrograd.network.layer import Context
from retrograd.network.network import Network
from retrograd.network.scope import named
from retrograd.propagation.backprop import backward, forward

rng = np.random.default_rng(7)
BATCH = {
    "x": rng.normal(size=(2, 3, 4)),
    "memory": rng.normal(size=(2, 5, 6)),
    "mask": np.array([[True, True, False, True, False], [True, False, False, False, False]]),
}
SMALL = {"units": 4, "heads": 2, "hidden": 3}


def nodes(block):
    return [node.name.removeprefix("t/") for node in Network(named(block, "t")).nodes]


def test_an_encoder_normalises_before_each_part_and_at_the_end():
    layer = ["attention_norm", "attention", "attention_add", "feed_forward_norm", "feed_forward/hidden", "feed_forward/hidden/gelu", "feed_forward/output", "feed_forward_add"]  # fmt: skip
    assert nodes(TransformerEncoder(**SMALL, layers=2)) == [f"{i}/{part}" for i in (1, 2) for part in layer] + [
        "final_norm"
    ]


def test_or_after_each_sum():
    found = nodes(TransformerEncoder(**SMALL, norm="post", dropout=0.1))
    assert found == [
        "1/attention", "1/attention_dropout", "1/attention_add", "1/attention_norm", "1/feed_forward/hidden",
        "1/feed_forward/hidden/gelu", "1/feed_forward/dropout", "1/feed_forward/output", "1/feed_forward_dropout",
        "1/feed_forward_add", "1/feed_forward_norm",
    ]  # fmt: skip


def test_a_gated_feed_forward_block_multiplies_two_products():
    network = Network(named(FeedForward(4, activation="silu", gated=True), "t"))
    assert [(node.name, node.inputs) for node in network.nodes] == [
        ("t/hidden", ("x",)), ("t/hidden/silu", ("t/hidden",)), ("t/gate", ("x",)),
        ("t/multiply", ("t/hidden/silu", "t/gate")), ("t/output", ("t/multiply",)),
    ]  # fmt: skip
    assert network.specs({"x": BATCH["x"]})["t/hidden"].shape == (2, 3, 16)  # four times its units


@pytest.mark.parametrize(
    ("block", "inputs"),
    [
        (TransformerEncoder(**SMALL, causal=True, rotary=True, gated=True), ["x"]),
        (TransformerDecoder(**SMALL, key_value_heads=1, norm="post", activation="tanh"), ["x", "memory", "mask"]),
    ],
)
def test_a_block_s_deltas_and_gradients_are_the_adjoint_of_the_whole(block, inputs):
    with jax.enable_x64(True):
        batch = {name: jnp.asarray(BATCH[name]) for name in inputs}
        network = Network(named(block, "t", inputs=inputs))
        params = jax.tree.map(lambda p: p.astype(jnp.float64), network.init(jax.random.key(0), batch).params)
        reals = {name: x for name, x in batch.items() if name != "mask"}

        def y(params, reals):
            return forward(network, params, {}, Context(), {**batch, **reals})

        @jax.jit
        def both(params, reals):
            record = y(params, reals)
            dy = jnp.cos(jnp.arange(24.0)).reshape(2, 3, 4)
            deltas, grads = backward(network, params, record.tapes, {network.output: dy})
            _, pull_back = jax.vjp(lambda *at: y(*at).outputs[network.output], params, reals)
            return (grads, {name: deltas[name] for name in reals}), pull_back(dy)

        found, expected = both(params, reals)
        # float64; some true gradients are 0 (a bias of keys), so the comparison is absolute: other values are near 1
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10), found, expected)


def test_no_step_of_a_decoder_sees_a_later_one():
    network = Network(named(TransformerDecoder(**SMALL), "t", inputs=["x", "memory"]))
    batch = {name: np.float32(BATCH[name]) for name in ("x", "memory")}
    params = network.init(jax.random.key(0), batch).params
    changed = batch["x"].copy()
    changed[:, 2, 0] += 1
    y = jax.jit(lambda batch: forward(network, params, {}, Context(), batch).outputs[network.output])
    before, after = y(batch), y({**batch, "x": changed})
    np.testing.assert_array_equal(before[:, :2], after[:, :2])
    assert (before[:, 2] != after[:, 2]).all()


def test_a_configuration_reads_back_as_itself():
    written = [
        {"embedding": {"units": 4, "vocabulary": 9}},
        "learned_positions",
        {"transformer_encoder": {"units": 4, "heads": 2, "layers": 2, "causal": True, "activation": "relu"}},
        {"feed_forward": {"units": 4, "gated": True}},
        {"dense": 9},
    ]
    entries = parse_entries(written)
    assert parse_entries(dump_entries(entries)) == entries
    specs = Network(*entries).specs({"x": jax.ShapeDtypeStruct((2, 6), jnp.int32)})
    assert specs["dense_1"].shape == (2, 6, 9)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"units": 6, "heads": 4}, "transformer_encoder.units: expected a multiple of 4 heads, found 6"),
        ({"units": 8, "heads": 4, "key_value_heads": 3}, "key_value_heads: expected a divisor of 4 heads, found 3"),
        ({"units": 8, "heads": 2, "activation": "dropout"}, "'dropout' is not allowed here"),
    ],
)
def test_settings_that_contradict_each_other_are_named(settings, words):
    with pytest.raises(ConfigError, match=words):
        TransformerEncoder(**settings)
