"""Low-rank adaptation from outside a layer."""

import jax
import numpy as np
import pytest

import retrograd as rg
from retrograd.base.errors import ConfigError
from retrograd.network.adapt import adapters, merged
from retrograd.propagation.one_layer import adjoint, run_layer


def test_adapted_layers_begin_as_they_were_and_merge_into_what_they_compute():
    network = rg.Network(
        rg.named(rg.TransformerEncoder(4, 2, hidden=6, key_value_heads=1, rotary=True), "blocks"), rg.Dense(3)
    )
    adapted = rg.adapt(network, ["*/attention", "dense_1"], rank=2, alpha=3)
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    params = adapted.init(jax.random.key(0), {"x": x}).params
    assert list(adapters(adapted)) == ["blocks/1/attention", "dense_1"]
    assert set(params["dense_1"]) == {"weight", "bias", "weight_down", "weight_up"}
    first = network.init(jax.random.key(0), {"x": x}).params
    rng = np.random.default_rng(1)
    moved = {node: {name: rng.standard_normal(value.shape).astype(np.float32) if "_up" in name else value
                    for name, value in own.items()} for node, own in params.items()}  # fmt: skip

    @jax.jit
    def y(params):
        return rg.forward(adapted, params, {}, rg.Context(), {"x": x}).outputs[adapted.output]

    @jax.jit
    def plain(params):
        return rg.forward(network, params, {}, rg.Context(), {"x": x}).outputs[network.output]

    assert (y(params) == plain(first)).all()
    assert np.abs(y(moved) - y(params)).max() > 0.1
    np.testing.assert_allclose(y(moved), plain(merged(adapted, moved)), atol=1e-6)
    members = jax.tree.map(lambda value: np.stack([value, 2 * value]), moved)
    jax.tree.map(np.testing.assert_array_equal, jax.tree.map(lambda value: value[0], merged(adapted, members, 2)),
                 merged(adapted, moved))  # fmt: skip


def test_backward_of_an_adapted_layer_is_its_adjoint():
    network = rg.adapt(rg.Network(rg.Dense(3)), "dense_1", rank=2)
    layer = network.nodes[0].layer
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        x, dy = rng.standard_normal((5, 4)), rng.standard_normal((5, 3))
        shapes = {"weight": (4, 3), "bias": (3,), "weight_down": (4, 2), "weight_up": (2, 3)}
        params = {name: rng.standard_normal(shape) for name, shape in shapes.items()}

        def forward(params, x):
            return run_layer(layer, params, {}, rg.Context(), (x,)).y

        _, pull = jax.vjp(forward, params, x)
        back = adjoint(layer, params, run_layer(layer, params, {}, rg.Context(), (x,)).tape, dy)
        grads, dx = pull(dy)
        np.testing.assert_allclose(back.inputs[0], dx, atol=1e-12)
        assert set(back.grads) == set(grads)
        for name, grad in grads.items():
            np.testing.assert_allclose(back.grads[name], grad, atol=1e-12)
    assert "dA = s dW Bᵀ" in layer.formulas().backward


def test_a_pattern_without_layers_and_a_layer_without_weights_are_refused():
    network = rg.Network(rg.Dense(3), rg.Tanh())
    with pytest.raises(ConfigError, match="no layer matches"):
        rg.adapt(network, "*/attention")
    tied = rg.Network(
        rg.named(rg.Embedding(4, 9), "tokens"), rg.named(rg.Dense(9), "head", share={"weight": "tokens/weight.T"})
    )
    for layer in ("tokens", "head"):
        with pytest.raises(ConfigError, match="head shares the weights of tokens"):
            rg.adapt(tied, layer)
    with pytest.raises(ConfigError, match="tanh has no weights"):
        rg.adapt(network, "tanh_1").init(jax.random.key(0), {"x": np.zeros((2, 3), np.float32)})
