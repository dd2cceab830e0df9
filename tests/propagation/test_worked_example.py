"""The textbook's network for XOR, its numbers worked by hand to four decimals."""

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.network.layer import Context
from retrograd.network.layers import Dense
from retrograd.network.losses import MeanSquaredError
from retrograd.network.network import Network
from retrograd.network.scope import named
from retrograd.propagation.backprop import backprop
from retrograd.propagation.objective import Objective

NETWORK = Network(
    named(Dense(2, "sigmoid", weight=[[0.5, 0.9], [0.4, 1.0]], bias=[-0.8, 0.1]), "hidden"),
    named(Dense(1, "sigmoid", weight=[[-1.2], [1.1]], bias=[-0.3]), "output"),
)
HALF_SQUARED_ERROR = Objective("loss", MeanSquaredError(scale=0.5), (NETWORK.output, "t"))
EXPECTED = {
    "outputs": {
        "hidden": [0.1, 2.0],
        "hidden/sigmoid": [0.5250, 0.8808],
        "output": [0.0389],
        "output/sigmoid": [0.5097],
    },
    "deltas": {"output": [0.1274], "hidden": [-0.0381, 0.0147]},
}


def test_the_pass_gives_the_numbers_worked_by_hand():
    batch = {"x": jnp.array([[1.0, 1.0]]), "t": jnp.array([[0.0]])}
    params = NETWORK.init(jax.random.key(0), batch).params
    step = backprop(NETWORK, [HALF_SQUARED_ERROR], params, {}, Context(), batch)
    for kind, values in EXPECTED.items():
        for name, value in values.items():
            np.testing.assert_allclose(getattr(step, kind)[name][0], value, atol=5e-5, err_msg=f"{kind} of {name}")
    np.testing.assert_allclose(step.loss, 0.1299, atol=5e-5)
    np.testing.assert_allclose(step.grads["output"]["weight"][:, 0], [0.0669, 0.1122], atol=5e-5)
    np.testing.assert_allclose(step.grads["output"]["bias"], [0.1274], atol=5e-5)
    np.testing.assert_allclose(step.grads["hidden"]["weight"], [[-0.0381, 0.0147]] * 2, atol=5e-5)
    np.testing.assert_allclose(step.grads["hidden"]["bias"], [-0.0381, 0.0147], atol=5e-5)
