"""Normalisations against numbers from another implementation, in float64; its channels are the second axis, ours the last."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.network.layer import Context
from retrograd.network.layers import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from retrograd.propagation.one_layer import adjoint, run_layer
from tests.oracles import cases

KINDS = ("batchnorm", "batchnorm_steps", "layernorm", "groupnorm", "instancenorm", "rmsnorm")

# what a case calls a number -> what the layer does
PARAMS = {"weight": "scale", "bias": "bias"}
STATE = {"running_mean": "mean", "running_var": "var"}


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def last(x):
    """Channels from the second axis to the last."""
    return jnp.asarray(np.moveaxis(x, 1, -1) if x.ndim > 2 else x)


def second(x):
    return np.moveaxis(np.asarray(x), -1, 1) if x.ndim > 2 else np.asarray(x)


def given(case, prefix, names):
    return {ours: jnp.asarray(case.arrays[prefix + its]) for its, ours in names.items() if prefix + its in case.arrays}


def affine(case):
    return {"scale": "param.weight" in case.arrays, "bias": "param.bias" in case.arrays}


def compare(case, layer, to_ours=last, to_theirs=second, train=False):
    params = given(case, "param.", PARAMS)
    state = given(case, "state.", STATE)
    x, dy = to_ours(case.arrays["in.x"]), to_ours(case.arrays["cot.y"])
    step = run_layer(layer, params, state, Context(train), (x,))
    back = adjoint(layer, params, step.tape, dy)
    found = {"out.y": to_theirs(step.y), "grad_in.x": to_theirs(back.inputs[0])}
    found |= {f"grad_param.{its}": back.grads[ours] for its, ours in PARAMS.items() if ours in back.grads}
    if train:
        found |= {f"state_after.{its}": step.state[ours] for its, ours in STATE.items()}
    assert set(found) == {name for name in case.arrays if name.startswith(("out.", "grad_", "state_after."))}
    for name, value in found.items():
        np.testing.assert_allclose(value, case.arrays[name], err_msg=name, **case.tol)


@pytest.mark.parametrize("case", cases("batchnorm"), ids=lambda case: case.id)
def test_batch_norm_has_the_recorded_output_gradients_and_running_statistics(case):
    layer = BatchNorm(momentum=case.config["momentum"], eps=case.config["eps"], **affine(case))
    compare(case, layer, train=case.config["training"])


@pytest.mark.parametrize("case", cases("batchnorm_steps"), ids=lambda case: case.id)
def test_batch_norm_follows_the_recorded_running_statistics_over_several_batches(case):
    layer = BatchNorm(momentum=case.config["momentum"], eps=case.config["eps"])
    params, state = given(case, "param.", PARAMS), given(case, "state.", STATE)
    steps, backs = [], []
    for x, dy in zip(case.arrays["in.x"], case.arrays["cot.y"], strict=True):
        steps.append(run_layer(layer, params, state, Context(True), (jnp.asarray(x),)))
        backs.append(adjoint(layer, params, steps[-1].tape, jnp.asarray(dy)))
        state = steps[-1].state
    found = {"out.y": [step.y for step in steps], "grad_in.x": [back.inputs[0] for back in backs]}
    found |= {f"grad_param.{its}": sum(back.grads[ours] for back in backs) for its, ours in PARAMS.items()}
    found["out.y_eval"] = run_layer(layer, params, state, Context(False), (jnp.asarray(case.arrays["in.x"][0]),)).y
    found |= {f"state_after.{its}": state[ours] for its, ours in STATE.items()}
    for name, value in found.items():
        np.testing.assert_allclose(np.asarray(value), case.arrays[name], err_msg=name, **case.tol)


@pytest.mark.parametrize("case", cases("layernorm"), ids=lambda case: case.id)
def test_layer_norm_has_the_recorded_output_and_gradients(case):
    layer = LayerNorm(eps=case.config["eps"], axes=len(case.config["normalized_shape"]), **affine(case))
    compare(case, layer, jnp.asarray, np.asarray)


@pytest.mark.parametrize("case", cases("groupnorm"), ids=lambda case: case.id)
def test_group_norm_has_the_recorded_output_and_gradients(case):
    compare(case, GroupNorm(groups=case.config["groups"], eps=case.config["eps"]))


@pytest.mark.parametrize("case", cases("instancenorm"), ids=lambda case: case.id)
def test_instance_norm_has_the_recorded_output_and_gradients(case):
    compare(case, InstanceNorm(eps=case.config["eps"]))


@pytest.mark.parametrize("case", cases("rmsnorm"), ids=lambda case: case.id)
def test_rms_norm_has_the_recorded_output_and_gradients(case):
    compare(case, RMSNorm(eps=case.config["eps"]), jnp.asarray, np.asarray)
