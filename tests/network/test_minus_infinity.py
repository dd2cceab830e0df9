"""Values of -infinity, as masks leave them, give no NaN and no delta to what they do not come from."""

import jax.numpy as jnp
import numpy as np

from retrograd.network.layer import Context
from retrograd.network.layers import AdaptiveMaxPool, LogSumExp
from retrograd.propagation.one_layer import adjoint, run_layer


def both_ways(layer, x):
    step = run_layer(layer, {}, {}, Context(), (jnp.asarray(x, jnp.float32),))
    return step.y, adjoint(layer, {}, step.tape, jnp.ones_like(step.y)).inputs[0]


def test_the_smooth_maximum_of_nothing_but_minus_infinity_has_no_slope():
    y, dx = both_ways(LogSumExp(), [[-np.inf, -np.inf], [-np.inf, 1.0]])
    np.testing.assert_array_equal(y, [[-np.inf], [1.0]])
    np.testing.assert_array_equal(dx, [[0.0, 0.0], [0.0, 1.0]])


def test_a_region_of_nothing_but_minus_infinity_keeps_its_delta():
    x = np.full((1, 3, 4, 1), -np.inf)
    x[0, 0, 0, 0] = 2.0
    y, dx = both_ways(AdaptiveMaxPool(2), x)
    np.testing.assert_array_equal(y[0, ..., 0], [[2.0, -np.inf], [-np.inf, -np.inf]])
    np.testing.assert_array_equal(dx[0, ..., 0], [[1, 0, 1, 0], [1, 0, 1, 0], [0, 0, 0, 0]])
