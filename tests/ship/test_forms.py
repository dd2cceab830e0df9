"""The ONNX form of every registered layer, on the layer's own examples."""

from dataclasses import dataclass

import pytest

import retrograd as rg
from retrograd.network.layer import layers

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from retrograd.ship.c.forms import to_c
from retrograd.ship.onnx.registry import to_onnx
from tests.ship.alone import differences

LAYERS = [name for name in layers if layers[name].__module__.startswith("retrograd.")]
KINDS = [name for name in LAYERS if name != "match_boxes"]  # it produces targets: no deployed network contains it
FAMILIES = {name: layers[name].__module__.removeprefix("retrograd.network.layers.").partition(".")[0] for name in KINDS}
ALLOWED = 1e-5  # float32 sums in another order


def test_every_registered_layer_has_a_form_except_the_one_that_produces_targets():
    assert [name for name in LAYERS if layers[name] not in to_onnx] == ["match_boxes"]
    with pytest.raises(rg.ConfigError, match=r"net: match_boxes has no ONNX form"):
        to_onnx.form_of(rg.MatchBoxes(3), "net")


@pytest.mark.parametrize("name", KINDS)
def test_a_form_names_every_setting_of_its_layer(name):
    assert to_onnx.unnamed(layers[name]) == []


@pytest.mark.parametrize("family", sorted({*FAMILIES.values()}))
def test_forms_compute_what_the_layers_compute_at_their_batch_size_and_at_twice_it(family):
    examples = {
        f"{name} {i}": (layers[name](**example.settings), example.inputs)
        for name in KINDS
        if FAMILIES[name] == family
        for i, example in enumerate(layers.entry(name).facts.get("examples", ()))
    }
    apart = differences(examples)
    assert len(apart) >= 2 * len(examples)
    assert {case: far for case, far in apart.items() if not far <= ALLOWED} == {}


def test_a_setting_that_a_form_does_not_name_is_refused_unless_it_is_at_its_default():
    @dataclass(frozen=True)
    class Steeper(rg.Tanh):
        factor: float = 1.0

    to_onnx.register(Steeper, settings="")(lambda g, layer, weights, x: g.op("Tanh", x))
    assert to_onnx.unnamed(Steeper) == ["factor"]
    to_onnx.form_of(Steeper(), "net")
    with pytest.raises(rg.ConfigError, match=r"net: .* with factor 2.0 has no ONNX form"):
        to_onnx.form_of(Steeper(2.0), "net")


@pytest.mark.parametrize(
    "layer",
    [rg.Conv2D(1, padding_mode="reflect"), rg.ReLU(maximum=1.0), rg.AveragePool(dilation=2)],
    ids=lambda x: x.kind,
)
def test_c_refuses_the_settings_that_it_does_not_write(layer):
    to_c.form_of(type(layer)(*[1] * (layer.kind == "conv2d")), "net")
    with pytest.raises(rg.ConfigError, match=r"net: .* with .* cannot be written in C"):
        to_c.form_of(layer, "net")
