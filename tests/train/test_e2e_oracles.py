"""Three optimiser steps of whole networks, every weight after each, against another implementation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import retrograd as rg
from tests.oracles import all_cases

KINDS = ("e2e",)
NETWORKS = {
    "e2e_mlp_ce_adam": (
        [rg.named(rg.Dense(8, "tanh"), "l1"), rg.named(rg.Dense(3), "l2")],
        rg.CrossEntropy(),
        rg.Adam(0.01),
    ),
    "e2e_residual_huber_rmsprop": (
        [
            rg.named(rg.Dense(6, "relu"), "l1"),
            rg.named(rg.Dense(6, "relu"), "l2"),
            rg.named(rg.Add(), "sum", inputs=["l1", "l2"]),
            rg.named(rg.Dense(1), "l3"),
        ],
        rg.Huber(1.0),
        rg.RMSprop(0.01, decay=0.9, eps=1e-8),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_three_steps_of_training_equal_the_recorded_ones(name):
    case = all_cases()[name]
    entries, loss, optimizer = NETWORKS[name]
    with jax.enable_x64(True):
        network = rg.Network(*entries)
        stepper = rg.Stepper(network, [rg.Objective("loss", loss, (network.output, "y"))], optimizer)
        layers = sorted({key.split(".")[1] for key in case.arrays if key.startswith("param0.")})
        params = {layer: of(case, f"param0.{layer}") for layer in layers}
        train = stepper.start(rg.Variables(params, {}), jax.random.key(0))
        for t in range(3):
            x, y = jnp.asarray(case.arrays["in.X"][t]), jnp.asarray(case.arrays["in.Y"][t])
            result = jax.jit(stepper.evaluate)(train, {"x": x, "y": y})
            expect(case, result.loss, case.arrays[f"step{t + 1}.loss"])
            expect(case, result.outputs[network.output], case.arrays[f"step{t + 1}.out"])
            if t == 0:
                for layer in layers:
                    jax.tree.map(lambda a, b: expect(case, a, b), result.grads[layer], of(case, f"step1.grad.{layer}"))
            train, _ = stepper.single(train, {"x": x, "y": y})
            for layer in layers:
                jax.tree.map(
                    lambda a, b: expect(case, a, b), train.params[layer], of(case, f"step{t + 1}.param.{layer}")
                )


def of(case, prefix):
    """A dense layer's arrays, from [out, in] to [in, out]."""
    return {
        "weight": jnp.asarray(case.arrays[f"{prefix}.weight"].T),
        "bias": jnp.asarray(case.arrays[f"{prefix}.bias"]),
    }


def expect(case, found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=case.tol["rtol"], atol=case.tol["atol"])
