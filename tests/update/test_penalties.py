"""Penalties: value and gradient against differences, and which parameters they are on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.base.errors import ConfigError
from retrograd.base.schema import dump_registered, parse_registered
from retrograd.update.penalties import L1, L2, penalise, penalties

WEIGHT = [[1.0, -2.0], [0.0, 3.0]]
PARAMS = {
    "dense_1": {"weight": jnp.asarray(WEIGHT), "bias": jnp.asarray([0.5, -0.5])},
    "block/norm": {"scale": jnp.ones(2), "bias": jnp.ones(2)},
    "dense_2": {"weight": jnp.ones((2, 1)), "bias": jnp.zeros(1)},
}


def touched(*given):
    """The paths that have a gradient."""
    _, grads = penalise(given, PARAMS)
    return {f"{node}/{name}" for node, own in grads.items() for name, g in own.items() if g.any()}


@pytest.mark.parametrize("name", penalties)
def test_settings_survive_a_round_trip(name):
    settings = parse_registered(penalties, {name: penalties.entry(name).facts["example"]})
    assert parse_registered(penalties, dump_registered(penalties, settings)) == settings
    assert penalties[name](0.5) == parse_registered(penalties, {name: 0.5})


@pytest.mark.parametrize("name", penalties)
def test_every_penalty_states_formula_and_source(name):
    assert "gradient = " in penalties[name].formula
    assert penalties[name].latex
    assert "See:" in penalties[name].__doc__


@pytest.mark.parametrize("name", penalties)
def test_gradient_is_the_slope_of_the_value(name):
    penalty = penalties[name](0.3)
    with jax.enable_x64(True):
        w = jax.random.normal(jax.random.key(1), (4, 3))  # no number near the kink at 0
        u = jax.random.normal(jax.random.key(2), (4, 3))
        slope = (penalty.value(w + 1e-4 * u) - penalty.value(w - 1e-4 * u)) / 2e-4
        found = jnp.sum(penalty.gradient(w) * u)
        np.testing.assert_allclose(float(found), float(slope), rtol=1e-9)


def test_values_are_half_the_squares_and_the_absolute_sum():
    assert float(L2(0.1).value(jnp.asarray(WEIGHT))) == pytest.approx(0.1 / 2 * 14)
    assert float(L1(0.1).value(jnp.asarray(WEIGHT))) == pytest.approx(0.1 * 6)
    np.testing.assert_allclose(L1(0.1).gradient(jnp.asarray(WEIGHT)), [[0.1, -0.1], [0, 0.1]], rtol=1e-6)


def test_several_penalties_add_up():
    value, grads = penalise([L1(0.1), L2(0.2)], PARAMS)
    assert float(value) == pytest.approx(0.1 * (6 + 2) + 0.1 * (14 + 2))
    np.testing.assert_allclose(grads["dense_1"]["weight"], 0.1 * np.sign(WEIGHT) + 0.2 * np.asarray(WEIGHT), rtol=1e-6)


def test_gradients_have_the_tree_and_types_of_the_parameters():
    value, grads = jax.eval_shape(lambda params: penalise([L1(0.1), L2(0.2)], params), PARAMS)
    assert jax.tree.map(lambda p: (p.shape, p.dtype), grads) == jax.tree.map(lambda p: (p.shape, p.dtype), PARAMS)
    assert value.shape == ()


def test_biases_and_scales_are_exempt_unless_chosen():
    assert touched(L2(0.1)) == {"dense_1/weight", "dense_2/weight"}
    assert touched(L2(0.1, ("*/scale",))) == {"block/norm/scale"}
    assert touched(L2(0.1, "dense_1/*")) == {"dense_1/weight", "dense_1/bias"}
    assert touched(L1(0.1, "dense_2/weight"), L2(0.1, "*norm/*")) == {
        "dense_2/weight", "block/norm/scale", "block/norm/bias"}  # fmt: skip


def test_a_pattern_that_matches_nothing_is_an_error_with_the_nearest_path():
    with pytest.raises(ConfigError) as caught:
        penalise([L2(0.1, ("dense1/weight",))], PARAMS)
    assert str(caught.value) == (
        "penalties.0.l2.parameters: no parameter matches 'dense1/weight'; did you mean 'dense_1/weight'?"
    )


def test_a_network_without_weights_is_an_error():
    with pytest.raises(ConfigError, match="has no weights; name the parameters"):
        penalise([L2(0.1)], {"norm": PARAMS["block/norm"]})


def test_a_negative_strength_is_an_error():
    with pytest.raises(ConfigError, match=r"l2.strength: expected a finite number >= 0, found -1"):
        parse_registered(penalties, {"l2": -1})
