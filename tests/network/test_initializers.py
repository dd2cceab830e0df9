"""First values: distributions by their formula, numbers given, shapes that do not fit."""

import math

import jax
import numpy as np
import pytest

from retrograd.base.errors import ConfigError, ShapeError
from retrograd.base.schema import dump, parse_registered
from retrograd.network.initializers import (
    Constant,
    GlorotUniform,
    Normal,
    Orthogonal,
    TruncatedNormal,
    Uniform,
    Values,
    Zeros,
    draw,
    initializers,
)
from retrograd.network.layers import Dense

KEY = jax.random.key(3)
IN, OUT = 300, 100
GAUSSIAN = {
    "glorot_normal": 2 / (IN + OUT),
    "xavier_normal": 2 / (IN + OUT),
    "he_normal": 2 / IN,
    "lecun_normal": 1 / IN,
}
FLAT = {
    "glorot_uniform": 6 / (IN + OUT),
    "xavier_uniform": 6 / (IN + OUT),
    "he_uniform": 6 / IN,
    "lecun_uniform": 3 / IN,
}


def values(initializer, shape=(IN, OUT)):
    found = initializer(KEY, shape)
    assert found.dtype == np.float32
    return np.asarray(found, np.float64)


@pytest.mark.parametrize("name", GAUSSIAN)
def test_gaussian_rules_have_their_variance(name):
    found = values(initializers[name]())
    assert abs(found.mean()) < 4 * found.std() / math.sqrt(found.size)
    assert found.var() == pytest.approx(GAUSSIAN[name], rel=0.03)  # 4 standard errors of a variance of 30,000 values


@pytest.mark.parametrize("name", FLAT)
def test_uniform_rules_reach_their_limit_and_not_beyond(name):
    limit, found = math.sqrt(FLAT[name]), values(initializers[name]())
    assert 0.99 * limit < abs(found).max() <= limit * (1 + 1e-6)
    assert found.std() == pytest.approx(limit / math.sqrt(3), rel=0.02)


def test_plain_distributions_have_the_width_they_are_given():
    assert values(Normal(0.2)).std() == pytest.approx(0.2, rel=0.02)
    assert abs(values(TruncatedNormal(0.2))).max() <= 0.4 + 1e-6
    assert 0.29 < abs(values(Uniform(0.3))).max() <= 0.3


def test_orthogonal_columns_are_orthonormal_times_the_scale():
    found = values(Orthogonal(2.0), (6, 4))
    np.testing.assert_allclose(found.T @ found, 4 * np.eye(4), atol=1e-5)  # float32


@pytest.mark.parametrize("name", [name for name in initializers if name not in ("constant", "values")])
def test_bits_do_not_depend_on_the_precision_of_the_run(name):
    short = np.asarray(initializers[name]()(KEY, (4, 3)))
    with jax.enable_x64(True):
        long = np.asarray(initializers[name]()(KEY, (4, 3)))
    assert short.dtype == long.dtype == np.float32
    np.testing.assert_array_equal(short, long)


def test_the_key_is_folded_by_the_parameters_name():
    assert not np.array_equal(draw(Normal(), KEY, "weight", (3, 3)), draw(Normal(), KEY, "bias", (3, 3)))


def test_numbers_stand_for_themselves_in_a_configuration():
    layer = Dense(2, weight=[[0.5, 0.9], [0.4, 1]], bias=0.1)
    assert layer.weight == Values(((0.5, 0.9), (0.4, 1)))
    assert layer.bias == Constant(0.1)
    assert dump(layer) == {"units": 2, "activation": None, "weight": [[0.5, 0.9], [0.4, 1]], "bias": 0.1}
    np.testing.assert_array_equal(values(layer.weight, (2, 2)), np.float32([[0.5, 0.9], [0.4, 1]]))
    assert Dense(2, weight=np.eye(2)).weight == Values(((1.0, 0.0), (0.0, 1.0)))
    assert (Dense(2, bias=True).bias, Dense(2, bias=False).bias) == (Zeros(), False)


@pytest.mark.parametrize(
    "given", [[[1.0, 2.0], [3.0]], [[math.nan]], "glorot", {"normal": {"std_deviation": 0}}, [["a"]]]
)
def test_impossible_first_values_are_refused(given):
    with pytest.raises(ConfigError, match="weight"):
        Dense(2, weight=given)


def test_values_of_another_shape_name_both_shapes():
    with pytest.raises(
        ShapeError, match=r"weight: the given values have shape \(1, 2\), but the parameter has \(2, 2\)"
    ):
        draw(Values(((1.0, 2.0),)), KEY, "weight", (2, 2))


def test_a_rule_that_needs_two_axes_says_so():
    with pytest.raises(ShapeError, match=r"bias: glorot_uniform cannot fill shape \(3,\)"):
        draw(GlorotUniform(), KEY, "bias", (3,))


def test_every_initialiser_is_read_by_its_name():
    for name in initializers:
        given = {"constant": {"constant": 0.5}, "values": {"values": [1.0, 2.0]}}.get(name, name)
        assert initializers.name_of(type(parse_registered(initializers, given))) == name
