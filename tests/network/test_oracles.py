"""Layers against numbers from another implementation, in float64: outputs, deltas of inputs, gradients."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.network.blocks import Residual
from retrograd.network.layer import Context, Layer
from retrograd.network.layers import (
    CELU,
    ELU,
    GELU,
    GLU,
    SELU,
    Clip,
    Dense,
    Dropout,
    Embedding,
    HardSigmoid,
    HardSwish,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    SpatialDropout,
    Tanh,
)
from retrograd.network.layers.noise import dropout as dropout_module
from retrograd.network.layers.noise import spatial_dropout as spatial_dropout_module
from retrograd.network.network import Network
from retrograd.network.scope import named
from retrograd.propagation.backprop import backward, forward
from retrograd.propagation.one_layer import adjoint, run_layer
from tests.oracles import cases

KINDS = ("dense", "activation", "prelu", "dropout", "embedding", "residual")

ACTIVATIONS: dict[str, Callable[[dict[str, Any]], Layer]] = {
    "relu": lambda config: ReLU(),
    "celu": lambda config: CELU(config["alpha"]),
    "glu": lambda config: GLU(axis=config.get("dim", config.get("axis", -1))),
    "hardtanh": lambda config: Clip(),
    "relu6": lambda config: ReLU6(),
    "leaky_relu": lambda config: LeakyReLU(config["slope"]),
    "leaky_relu_02": lambda config: LeakyReLU(config["slope"]),
    "elu": lambda config: ELU(config["alpha"]),
    "elu_a05": lambda config: ELU(config["alpha"]),
    "selu": lambda config: SELU(),
    "gelu": lambda config: GELU(config["approximate"]),
    "gelu_tanh": lambda config: GELU(config["approximate"]),
    "silu": lambda config: SiLU(),
    "mish": lambda config: Mish(),
    "sigmoid": lambda config: Sigmoid(),
    "log_sigmoid": lambda config: LogSigmoid(),
    "tanh": lambda config: Tanh(),
    "softplus": lambda config: Softplus(),
    "softsign": lambda config: Softsign(),
    "hardswish": lambda config: HardSwish(),
    "hardsigmoid": lambda config: HardSigmoid(),
    "softmax": lambda config: Softmax(config["axis"]),
    "log_softmax": lambda config: LogSoftmax(config["axis"]),
}


def run(layer, params, inputs, dy, train=False):
    """Return y and the Backward of one layer, compiled as one program."""

    def both(params, key, inputs, dy):
        step = run_layer(layer, params, {}, Context(train, key, "oracle"), inputs)
        return step.y, adjoint(layer, params, step.tape, dy)

    given = jax.tree.map(jnp.asarray, (params, jax.random.key(0), inputs, dy))
    return jax.device_get(jax.jit(both)(*given))


def assert_case(case, found):
    """Each recorded answer that `found` names is the same within the case's tolerance, and none is missing."""
    answers = {name for name in case.arrays if name.startswith(("out.", "grad_"))}
    assert set(found) == answers
    for name, value in found.items():
        np.testing.assert_allclose(value, case.arrays[name], err_msg=name, **case.tol)


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("case", cases("dense"), ids=lambda case: case.id)
def test_dense_has_the_recorded_output_and_gradients(case):
    params = {name.removeprefix("param."): x.T for name, x in case.arrays.items() if name.startswith("param.")}
    layer = Dense(case.config["out_features"], bias=case.config["bias"])
    y, back = run(layer, params, (case.arrays["in.x"],), case.arrays["cot.y"])
    grads = {f"grad_param.{name}": grad.T for name, grad in back.grads.items()}
    assert_case(case, {"out.y": y, "grad_in.x": back.inputs[0], **grads})


@pytest.mark.parametrize("case", cases("activation"), ids=lambda case: case.id)
def test_activation_has_the_recorded_output_and_delta(case):
    layer = ACTIVATIONS[case.config["name"]](case.config)
    y, back = run(layer, {}, (case.arrays["in.x"],), case.arrays["cot.y"])
    assert_case(case, {"out.y": y, "grad_in.x": back.inputs[0]})


@pytest.mark.parametrize("case", cases("prelu"), ids=lambda case: case.id)
def test_prelu_has_the_recorded_gradient_of_its_slopes(case):
    x, dy = (np.moveaxis(case.arrays[name], 1, -1) for name in ("in.x", "cot.y"))  # channels are last here
    y, back = run(PReLU(), {"slope": case.arrays["param.weight"]}, (x,), dy)
    found = {"out.y": np.moveaxis(y, -1, 1), "grad_in.x": np.moveaxis(back.inputs[0], -1, 1)}
    assert_case(case, {**found, "grad_param.weight": back.grads["slope"]})


@pytest.mark.parametrize("case", cases("dropout"), ids=lambda case: case.id)
def test_dropout_has_the_recorded_output_and_delta_for_the_recorded_mask(case, monkeypatch):
    kept = case.arrays["in.mask"].astype(bool)
    spatial = case.config.get("spatial", False)  # the recorded channels are the second axis
    x, mask, dy = (np.moveaxis(a, 1, -1) if spatial else a for a in (case.arrays["in.x"], kept, case.arrays["cot.y"]))
    module = spatial_dropout_module if spatial else dropout_module
    monkeypatch.setattr(module, "draw_kept", lambda key, shape, rate: jnp.asarray(mask).reshape(shape))
    layer = (SpatialDropout if spatial else Dropout)(case.config["p"])
    y, back = run(layer, {}, (x,), dy, case.config["training"])
    found = {"out.y": y, "grad_in.x": back.inputs[0]}
    assert_case(case, {name: np.moveaxis(a, -1, 1) if spatial else a for name, a in found.items()})


@pytest.mark.parametrize("case", cases("embedding"), ids=lambda case: case.id)
def test_embedding_has_the_recorded_rows_and_gradient(case):
    vocabulary, units = case.arrays["param.weight"].shape
    layer = Embedding(units, vocabulary, case.config["padding_idx"])
    y, back = run(layer, {"weight": case.arrays["param.weight"]}, (case.arrays["in.ids"],), case.arrays["cot.y"])
    assert back.inputs == (None,)
    assert_case(case, {"out.y": y, "grad_param.weight": back.grads["weight"]})


@pytest.mark.parametrize("case", cases("residual"), ids=lambda case: case.id)
def test_residual_block_has_the_recorded_output_and_gradients(case):
    arrays, width = case.arrays, case.arrays["out.y"].shape[1]
    layers = (named(Dense(5), "first"), ReLU(), named(Dense(width), "second"))
    shortcut = (named(Dense(width, bias=False), "project"),) if case.config["projection"] else ()
    network = Network(named(Residual(layers, shortcut), "block"))
    places = {
        "W1": "block/first/weight",
        "b1": "block/first/bias",
        "W2": "block/second/weight",
        "b2": "block/second/bias",
    }
    places |= {"P": "block/project/weight"} if shortcut else {}
    params: dict[str, dict[str, Any]] = {}
    for name, path in places.items():
        node, _, param = path.rpartition("/")
        params.setdefault(node, {})[param] = jnp.asarray(arrays[f"param.{name}"].T)
    step = forward(network, params, {}, Context(), {"x": jnp.asarray(arrays["in.x"])})
    deltas, grads = backward(network, params, step.tapes, {network.output: jnp.asarray(arrays["cot.y"])})
    found = {
        f"grad_param.{name}": grads[path.rpartition("/")[0]][path.rpartition("/")[2]].T for name, path in places.items()
    }
    assert_case(case, {"out.y": step.outputs[network.output], "grad_in.x": deltas["x"], **found})
