"""The ONNX form of every registered layer, on the layer's own examples."""

import pytest

from retrograd.network.layer import layers

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from retrograd.ship.onnx.layer import differences
from retrograd.ship.onnx.registry import to_onnx

KINDS = [name for name in layers if layers[name].__module__.startswith("retrograd.")]
EXAMPLES = [(name, example) for name in KINDS for example in layers.entry(name).facts.get("examples", ())]
ALLOWED = 1e-5  # float32 sums in another order


def test_every_registered_layer_has_a_form():
    assert [name for name in KINDS if layers[name] not in to_onnx] == []


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=lambda part: part if isinstance(part, str) else "")
def test_a_form_computes_what_the_layer_computes_at_its_batch_and_at_twice_it(name, example):
    apart = differences(layers[name](**example.settings), *example.inputs)
    assert max(apart.values()) <= ALLOWED, apart
