"""Convolutions against numbers from another implementation, in float64; its layout has the channels second."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.network.layer import Context
from retrograd.network.layers import Conv1D, Conv2D, Conv2DTranspose
from retrograd.propagation.one_layer import adjoint, run_layer
from tests.oracles import cases

KINDS = ("conv1d", "conv2d", "conv_transpose2d")


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def compare(case, layer, axes=(-1, -2)):
    """Channels move to the end; the weight's first two axes, [filters, channels] unless transposed, move to `axes`."""
    params = {"weight": jnp.moveaxis(case.arrays["param.weight"], (0, 1), axes)}
    params |= {"bias": jnp.asarray(case.arrays["param.bias"])} if "param.bias" in case.arrays else {}
    x, dy = (jnp.moveaxis(case.arrays[name], 1, -1) for name in ("in.x", "cot.y"))

    @jax.jit
    def both(params, x, dy):
        step = run_layer(layer, params, {}, Context(), (x,))
        return step.y, adjoint(layer, params, step.tape, dy)

    y, back = both(params, x, dy)
    found = {"out.y": jnp.moveaxis(y, -1, 1), "grad_in.x": jnp.moveaxis(back.inputs[0], -1, 1)}
    found |= {"grad_param.weight": jnp.moveaxis(back.grads["weight"], axes, (0, 1))}
    found |= {"grad_param.bias": back.grads["bias"]} if "bias" in params else {}
    assert set(found) == {name for name in case.arrays if name.startswith(("out.", "grad_"))}
    for name, value in found.items():
        np.testing.assert_allclose(value, case.arrays[name], err_msg=name, **case.tol)


def settings(case):
    names = ("stride", "dilation", "groups", "kernel", "bias")
    mode = case.config.get("padding_mode", "zeros")
    return {"filters": case.arrays["param.weight"].shape[0], "padding_mode": mode} | {
        name: case.config[name] for name in names
    }


def padding(case):
    """A word unchanged; the rule of `same` with a stride is ours; else numbers."""
    given = case.config["padding"]
    return given.split(" ")[0] if isinstance(given, str) else given


@pytest.mark.parametrize("case", cases("conv1d"), ids=lambda case: case.id)
def test_conv1d_has_the_recorded_output_and_gradients(case):
    given = padding(case)
    compare(case, Conv1D(**settings(case), padding=given if isinstance(given, str) else [given]))


@pytest.mark.parametrize("case", cases("conv2d"), ids=lambda case: case.id)
def test_conv2d_has_the_recorded_output_and_gradients(case):
    compare(case, Conv2D(**settings(case), padding=padding(case)))


@pytest.mark.parametrize("case", cases("conv_transpose2d"), ids=lambda case: case.id)
def test_conv2d_transpose_has_the_recorded_output_and_gradients(case):
    _, filters, *kernel = case.arrays["param.weight"].shape
    names = ("stride", "padding", "output_padding")
    compare(case, Conv2DTranspose(filters, kernel, **{name: case.config[name] for name in names}), axes=(-2, -1))
