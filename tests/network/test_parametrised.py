"""Weights that are made from other numbers: spectral norm against PyTorch, and how a network treats the layer inside."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import retrograd as rg
import retrograd.network.layers
from retrograd.base.errors import RetrogradError
from retrograd.network.entries import dump_entries, parse_entries
from retrograd.network.layer import Context

PLAIN = [
    {"weight_norm": {"layer": {"dense": {"units": "classes", "activation": "relu"}}}, "name": "first"},
    {"spectral_norm": {"layer": {"conv1d": {"filters": 2, "kernel": 2}}, "parameters": ["weight"]}},
]


def test_spectral_norm_has_pytorchs_numbers_after_two_steps_of_its_iteration():
    with jax.enable_x64(True):
        layer = rg.SpectralNorm(rg.Dense(2, bias=False), iterations=2)
        params = {"weight": jnp.array([[0.5, -1.0], [2.0, 0.3], [-0.7, 1.1]])}
        state = {"weight_left": jnp.array([0.6, 0.0, 0.8]), "weight_right": jnp.array([1.0, 0.0])}
        x, dy = jnp.array([[1.0, 0.5, -1.0], [0.2, -0.3, 2.0]]), jnp.array([[1.0, -0.5], [0.3, 0.8]])
        step = layer.forward(params, state, Context(True), x)
        back = layer.backward(params, step.tape, dy)
    for ours, torchs in (  # torch 2.13, float64
        (step.y, [[1.0135468452570633, -0.8983710673869426], [-0.8753359118129184, 0.8799429429277233]]),
        (step.state["weight_left"], [-0.42959613285162973, -0.7293576433247396, 0.5324327100795992]),
        (step.state["weight_right"], [-0.86645770274035, 0.49925048759306667]),
        (back.inputs[0], [[0.4607031114804834, 0.8523007562388942, -0.5758788893506042],
                          [-0.2994570224623142, 0.38699061364360604, 0.30867108469192395]]),
        (back.grads["weight"], [[0.16182105895947857, 0.0315032889427527], [-0.3654764668656245, 0.09367887845408435],
                                [0.2204062567480824, 0.7342967358015406]]),
    ):  # fmt: skip
        np.testing.assert_allclose(ours, torchs, rtol=1e-9, atol=1e-12)


def test_a_network_sees_the_layer_inside():
    network = rg.Network(*parse_entries(PLAIN)).fill({"classes": 3})
    assert [node.name for node in network] == ["first", "first/relu", "spectral_norm_1"]
    inside = network.by_name["first"].layer.wrapped
    assert (inside.units, type(inside.weight).__name__, inside.activation) == (3, "HeNormal", None)
    assert dump_entries(rg.Network(*parse_entries(PLAIN)).entries, filled=False) == PLAIN
    filled = dump_entries(network.filled_entries())
    assert filled[0]["weight_norm"]["layer"]["dense"]["weight"] == "he_normal"
    shapes = {name: value.shape for name, value in network.by_name["spectral_norm_1"].layer.init(
        jax.random.key(0), rg.Spec((1, 4, 3), jnp.float32)).state.items()}  # fmt: skip
    assert shapes == {"weight_left": (6,), "weight_right": (2,)}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer": {"lstm": {"units": 2, "layers": 2}}}, "layer: lstm expands to several layers"),
        ({"layer": {"weight_norm": {"layer": {"dense": 2}}}}, "layer: weight_norm is a parametrisation itself"),
        ({"layer": "relu"}, "layer: relu has no weights; choose a layer that has"),
        ({"layer": {"dense": 2}, "parameters": ["wieght"]}, "dense has no parameter 'wieght'; did you mean 'weight'"),
        ({"layer": {"dense": 2}, "parameters": ["bias"]}, "'bias' has one axis, expected a matrix"),
    ],
)
def test_what_has_no_weights_to_make_is_named(settings, message):
    with pytest.raises(RetrogradError, match=message):
        specs_of(settings)


def specs_of(settings):
    network = rg.Network(*parse_entries([{"spectral_norm": settings}]))
    return network.specs({"x": rg.Spec((1, 3), jnp.float32)})
