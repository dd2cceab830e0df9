"""Every registered layer: the contract on its examples, in strict promotion, and what it says of itself."""

import jax
import pytest

from retrograd.checking.contract import check_layer
from retrograd.network import layers as exported
from retrograd.network.layer import Activation, Layer, layers
from retrograd.network.losses import losses

# what test modules register for themselves is not ours
KINDS = [name for name in layers if layers[name].__module__.startswith("retrograd.")]
EXAMPLES = [(name, example) for name in KINDS for example in layers.entry(name).facts.get("examples", ())]
EVERYTHING = [(layers, name) for name in KINDS] + [(losses, name) for name in losses]

KEEP_SCALE = {
    "average_pool", "batch_norm", "color_jitter", "cutout", "dropout", "flatten", "gaussian_noise", "group_norm",
    "identity", "instance_norm", "layer_norm", "local_response_norm", "max_pool", "permute", "pixel_shuffle", "pixel_unshuffle", "random_crop",
    "random_flip", "random_rotation", "random_scaling", "reshape", "rms_norm", "spatial_dropout", "stochastic_depth", "time_shift", "upsample",
}  # fmt: skip
INITIALIZERS = {
    "celu": "he_normal", "clip": "glorot_uniform", "elu": "he_normal", "exponential": "glorot_uniform", "gelu": "he_normal", "hard_sigmoid": "glorot_uniform",
    "glu": "glorot_uniform", "hard_swish": "he_normal", "maxout": "glorot_uniform", "snake": "glorot_uniform",
    "sparsemax": "glorot_uniform",
    "identity": "glorot_uniform", "leaky_relu": "he_normal", "log_sigmoid": "glorot_uniform",
    "log_softmax": "glorot_uniform", "mish": "he_normal", "prelu": "he_normal", "relu": "he_normal",
    "relu6": "he_normal", "selu": "lecun_normal", "sigmoid": "glorot_uniform", "silu": "he_normal",
    "softmax": "glorot_uniform", "softplus": "glorot_uniform", "softsign": "glorot_uniform", "tanh": "glorot_uniform",
}  # fmt: skip


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=lambda part: part if isinstance(part, str) else "")
def test_layer_keeps_the_contract(name, example):
    with jax.numpy_dtype_promotion("strict"):  # it only forbids: what passes has the numbers of the default
        check_layer(layers[name](**example.settings), *example.inputs)


@pytest.mark.parametrize(("registry", "name"), EVERYTHING, ids=lambda part: part if isinstance(part, str) else "")
def test_layer_has_examples_equations_shapes_and_its_own_backward(registry, name):
    cls, facts = registry.entry(name)
    assert facts["examples"], "no example, no registration"
    first = cls(**facts["examples"][0].settings)
    assert first.kind == name
    assert first.derivation == "written"
    equations = cls.equations
    assert equations.forward
    assert equations.latex_forward
    assert equations.backward
    assert len(equations.backward) >= len(equations.latex_backward) >= 1
    assert "Shapes:" in " ".join(base.__doc__ or "" for base in cls.__mro__ if issubclass(base, Layer))


@pytest.mark.parametrize("name", KINDS)
def test_an_example_has_a_batch_of_one(name):
    assert any(example.inputs[0].shape[0] == 1 for example in layers.entry(name).facts["examples"])


def test_every_layer_is_exported_from_the_package():
    assert {cls.__name__ for cls in map(layers.__getitem__, KINDS)} == set(exported.__all__)


def test_each_activation_asks_for_the_initial_weights_that_keep_its_scale():
    activations = {name: layers[name] for name in KINDS if issubclass(layers[name], Activation)}
    assert {name: cls.initializer for name, cls in activations.items()} == INITIALIZERS


def test_only_layers_that_pass_signals_on_are_looked_through():
    assert {name for name in KINDS if layers[name].keeps_scale} == KEEP_SCALE
