"""Pooling against numbers from another implementation, in float64; its channels are the second axis, ours the last."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.network.layer import Context
from retrograd.network.layers import AdaptiveAveragePool, AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from retrograd.propagation.one_layer import adjoint, run_layer
from tests.oracles import cases

KINDS = (
    "maxpool1d", "maxpool2d", "avgpool1d", "avgpool2d", "global_avgpool2d", "global_maxpool2d", "adaptive_avgpool2d",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def compare(case, layer):
    x, dy = (jnp.moveaxis(jnp.asarray(case.arrays[name]), 1, -1) for name in ("in.x", "cot.y"))

    @jax.jit
    def both(x, dy):
        step = run_layer(layer, {}, {}, Context(), (x,))
        return step.y, adjoint(layer, {}, step.tape, dy).inputs[0]

    found = dict(zip(("out.y", "grad_in.x"), (jnp.moveaxis(each, -1, 1) for each in both(x, dy)), strict=True))
    for name, value in found.items():
        np.testing.assert_allclose(value, case.arrays[name], err_msg=name, **case.tol)


def settings(case):
    c = case.config
    return {"window": c["kernel"], "stride": c["stride"], "padding": c["padding"], "ceil": c["ceil_mode"]}


@pytest.mark.parametrize("case", cases("maxpool1d", "maxpool2d"), ids=lambda case: case.id)
def test_max_pool_has_the_recorded_output_and_delta(case):
    compare(case, MaxPool(**settings(case), dilation=case.config["dilation"]))


@pytest.mark.parametrize("case", cases("avgpool1d", "avgpool2d"), ids=lambda case: case.id)
def test_average_pool_has_the_recorded_output_and_delta(case):
    compare(case, AveragePool(**settings(case), count_padding=case.config["count_include_pad"]))


@pytest.mark.parametrize("case", cases("global_avgpool2d"), ids=lambda case: case.id)
def test_global_average_pool_has_the_recorded_output_and_delta(case):
    compare(case, GlobalAveragePool())


@pytest.mark.parametrize("case", cases("global_maxpool2d"), ids=lambda case: case.id)
def test_global_max_pool_has_the_recorded_output_and_delta(case):
    compare(case, GlobalMaxPool())


@pytest.mark.parametrize("case", cases("adaptive_avgpool2d"), ids=lambda case: case.id)
def test_adaptive_average_pool_has_the_recorded_output_and_delta(case):
    compare(case, AdaptiveAveragePool(case.config["output"]))
