"""Attention: masks, blocks of queries, grouped heads, rotary and other positions, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.base.errors import ConfigError, ShapeError
from retrograd.checking.contract import check_layer
from retrograd.network.entries import dump_entry, parse_entry
from retrograd.network.layer import Context
from retrograd.network.layers import Dense, LearnedPositions, MultiHeadAttention, Positions
from retrograd.network.layers.attention import scaled_dot_product
from retrograd.network.layers.attention.rotary import rotate
from retrograd.network.network import Network
from retrograd.network.scope import named
from retrograd.network.transformer import TransformerEncoder
from retrograd.propagation.backprop import forward
from retrograd.propagation.one_layer import adjoint, run_layer

SAME = {"rtol": 1e-12, "atol": 1e-12}  # the same sums in float64
rng = np.random.default_rng(6)
X = rng.normal(size=(2, 4, 6))


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


MASKED = ("query", "mask")


def first(layer, *inputs):
    """Parameters away from their first values, so that no bias is 0."""
    params = jax.eval_shape(layer.init, jax.random.key(0), *inputs).params
    numbers = np.random.default_rng(1)
    return {name: jnp.asarray(0.5 * numbers.normal(size=p.shape)) for name, p in params.items()}


def run(layer, params, *inputs, ctx=None):
    """Return the output, and the deltas and gradients of its sum of squares."""

    @jax.jit
    def both(params, ctx, *inputs):
        step = run_layer(layer, params, {}, ctx, inputs)
        return step.y, adjoint(layer, params, step.tape, jax.tree.map(lambda y: 2 * y, step.y))

    return both(params, ctx or Context(), *inputs)


def test_a_query_that_may_see_nothing_gives_the_output_bias_and_no_delta():
    layer = MultiHeadAttention(2, output="all", reads=MASKED)
    mask = np.array([[False] * 4, [True, True, False, True]])
    params = first(layer, X, mask)
    y, back = run(layer, params, X, mask)
    np.testing.assert_array_equal(y["sequence"][0], np.broadcast_to(params["output_bias"], (4, 6)))
    np.testing.assert_array_equal(y["weights"][0], 0)
    np.testing.assert_array_equal(back.inputs[0][0], 0)
    np.testing.assert_allclose(y["weights"][1].sum(-1), 1, **SAME)
    assert all(np.isfinite(grad).all() for grad in back.grads.values())


def test_masks_that_leave_one_key_or_none_keep_the_contract():
    mask = np.array([[False, False, True, False], [False, False, False, False]])
    check_layer(MultiHeadAttention(2, causal=True, output="all", reads=MASKED), X, mask)


def test_what_is_masked_counts_as_little_as_what_is_not_there():
    layer = MultiHeadAttention(3)
    params, memory = first(layer, X, X), rng.normal(size=(2, 5, 6))
    masked = MultiHeadAttention(3, reads=("query", "memory", "mask"))
    y, back = run(masked, params, X, memory, np.arange(5)[None] < np.array([[3], [3]]))
    short, expected = run(layer, params, X, memory[:, :3])
    np.testing.assert_allclose(y, short, **SAME)
    np.testing.assert_allclose(back.inputs[1][:, :3], expected.inputs[1], rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(back.inputs[1][:, 3:], 0)


def test_a_causal_step_does_not_see_later_ones_in_one_block_or_several(monkeypatch):
    monkeypatch.setattr(scaled_dot_product, "MANY_QUERIES", 3)  # four steps are four blocks now
    layer = MultiHeadAttention(2, causal=True)
    params = first(layer, X)
    blocks, back = run(layer, params, X)
    np.testing.assert_allclose(blocks[:, :2], run(layer, params, X[:, :2])[0], **SAME)
    monkeypatch.setattr(scaled_dot_product, "BLOCKS", 1)
    whole, expected = run(layer, params, X)
    np.testing.assert_allclose(blocks, whole, **SAME)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12), back, expected)


def test_heads_that_share_keys_are_heads_with_equal_ones():
    shared, apart = MultiHeadAttention(6, key_value_heads=3), MultiHeadAttention(6)
    params = first(shared, X)
    doubled = {
        name: jnp.repeat(p.reshape(-1, 3, 1), 2, 1).reshape(*p.shape[:-1], 6) if name[:3] in ("key", "val") else p
        for name, p in params.items()
    }
    np.testing.assert_allclose(run(shared, params, X)[0], run(apart, doubled, X)[0], **SAME)


def test_dropout_drops_weights_in_training_alone():
    layer = MultiHeadAttention(1, dropout=0.5, output="all")
    params = {name: jnp.eye(6) if "weight" in name else p * 0 for name, p in first(layer, X).items()}
    x = np.broadcast_to(np.eye(4, 6), (400, 4, 6))
    y, _ = run(layer, params, x)
    trained, _ = run(layer, params, x, ctx=Context(True, jax.random.key(0)))
    np.testing.assert_allclose(y["weights"], trained["weights"], **SAME)  # returned before dropout
    ratio = np.asarray(trained["sequence"][..., :4] / y["sequence"][..., :4])
    np.testing.assert_allclose(ratio[ratio > 0], 2, **SAME)
    assert abs((ratio > 0).mean() - 0.5) < 0.03  # 6400 draws: 0.03 is nearly five deviations


def test_a_product_of_turned_vectors_depends_on_their_distance():
    q, k = (np.broadcast_to(rng.normal(size=8), (6, 8)) for _ in range(2))
    products = np.asarray(rotate(jnp.asarray(q)) @ rotate(jnp.asarray(k)).T)
    for distance in range(-5, 6):
        diagonal = np.diagonal(products, distance)
        np.testing.assert_allclose(diagonal, diagonal[0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(rotate(rotate(jnp.asarray(q)), back=True), q, **SAME)
    np.testing.assert_allclose(products[0, 0], q[0] @ k[0], **SAME)


def test_sinusoidal_positions_are_waves_of_growing_length():
    y = Positions().forward({}, {}, Context(), jnp.zeros((1, 3, 4))).y[0]
    t = np.arange(3)
    np.testing.assert_allclose(y, np.stack([np.sin(t), np.cos(t), np.sin(t / 100), np.cos(t / 100)], 1), **SAME)


def test_learned_positions_end_with_their_length():
    layer = LearnedPositions(3)
    params = first(layer, X[:, :2])
    y, back = run(layer, params, X[:, :2])
    np.testing.assert_array_equal(y, X[:, :2] + params["weight"][:2])
    np.testing.assert_array_equal(back.grads["weight"][2], 0)
    with pytest.raises(ShapeError, match="a sequence of 4 steps exceeds 3 positions; set a larger `length`"):
        run(layer, params, X)


@pytest.mark.parametrize(
    ("layer", "inputs", "words"),
    [
        (MultiHeadAttention(4), [X], "6 units cannot be divided into 4 heads"),
        (MultiHeadAttention(2, rotary=True), [X], "6 units cannot be divided into 2 heads of even width"),
        (MultiHeadAttention(2, rotary=True, rotary_share=0.5), [X], "0.5 of a head of width 3 leaves no pair to rotate"),
        (MultiHeadAttention(2), [X[0]], r"query: expected \(batch, time, features\), got \(4, 6\)"),
        (MultiHeadAttention(2), [X, X[:, :2], X], "expected equal numbers of keys and values"),
        (MultiHeadAttention(2, reads=MASKED), [X, np.ones((2, 3), bool)], r"mask: expected \(2, 4\) or \(2, 4, 4\) or \(2, 2, 4, 4\), got \(2, 3\)"),
        (MultiHeadAttention(2), [X, np.ones((2, 4), bool)], r"memory: expected real numbers, got bool\[2, 4\]; name a mask"),
        (MultiHeadAttention(2, reads=MASKED), [X, X], r"mask: expected true or false, got float64\[2, 4, 6\]"),
        (MultiHeadAttention(2, reads=MASKED), [X], r"expected query, mask; got 1 inputs"),
        (MultiHeadAttention(2), [X, X, X, X], r"expected one to three without names; got 4 inputs"),
    ],
)  # fmt: skip
def test_inputs_that_do_not_fit_are_named(layer, inputs, words):
    columns = {f"x{i}": x for i, x in enumerate(inputs)}
    with pytest.raises(ShapeError, match=words):
        Network(layer, inputs=list(columns)).specs(columns)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"heads": 4, "key_value_heads": 3}, "key_value_heads: expected a divisor of 4 heads, found 3"),
        ({"heads": 4, "units": 6}, "units: expected a multiple of 4 heads, found 6"),
        ({"heads": 4, "rotary_base": 500}, "rotary_base: applies only to rotary positions; add `rotary: true`"),
        ({"heads": 2, "reads": ["memory", "mask"]}, "reads: expected one of query; query, memory; query, key, value"),
    ],
)
def test_settings_that_contradict_each_other_are_named(settings, words):
    with pytest.raises(ConfigError, match=words):
        MultiHeadAttention(**settings)


def test_inputs_are_given_by_name_in_any_order():
    mask = np.array([[True, True, False, True], [True, False, False, False]])
    columns = {"x": X, "seen": mask}
    plain = {"multi_head_attention": {"heads": 2}, "inputs": {"mask": "seen", "query": "x"}}
    entry = parse_entry(plain, "network.0")
    assert dump_entry(entry, filled=False)["inputs"] == plain["inputs"]
    network = Network(entry)
    other = Network(named(MultiHeadAttention(2, reads=MASKED), "multi_head_attention_1", inputs=["x", "seen"]))
    params, state = network.init(jax.random.key(0), columns)
    found, expected = (forward(n, params, state, Context(), columns).outputs[n.output] for n in (network, other))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("layer", "inputs", "words"),
    [
        (Dense(2), {"mask": "seen"}, "dense takes its inputs by order; give them as a list"),
        (TransformerEncoder(4, 2), {"mask": "seen"}, "a block takes its inputs by order; give them as a list"),
        (MultiHeadAttention(2), {"query": "x", "seen": "seen"}, "'seen'"),
    ],
)
def test_names_that_a_layer_does_not_have_are_reported(layer, inputs, words):
    with pytest.raises(ConfigError, match=words):
        Network(named(layer, "a", inputs=inputs))
