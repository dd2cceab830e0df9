"""The large arrays of a step, as they are sent to the page."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from retrograd.studio.arrays import arrays_of, editable
from retrograd.tracing.source import open_source
from retrograd.tracing.trace import Desk, Request

CONFIG = {
    "data": "digits",
    "network": [{"dense": 12}, {"dense": "classes"}],
    "training": {"epochs": 1, "batch_size": 16},
}


@pytest.fixture(scope="module")
def step():
    return Desk(open_source(CONFIG), Request()).trace().numbers


def sent(step, phase, node="", title=""):
    arrays = arrays_of(step, {"phase": phase, "node": node, "title": title or node})
    values = [np.frombuffer(base64.b64decode(a["values"]), "<f4").reshape(a["shape"]) for a in arrays]
    return {array["key"]: (array, numbers) for array, numbers in zip(arrays, values, strict=True)}


def test_the_arrays_of_a_stop_are_sent_whole_and_pictures_are_marked(step):
    (facts, x), *_ = sent(step, "input").values()
    assert (facts["side"], facts["of"]) == (8, "rows")
    np.testing.assert_allclose(x, step.columns["x"], rtol=1e-6)
    backward = sent(step, "backward", "dense_1")
    assert set(backward) == {"delta:dense_1", "grad:dense_1/weight", "grad:dense_1/bias"}
    facts, grads = backward["grad:dense_1/weight"]
    assert (facts["side"], facts["of"]) == (8, "weight")
    np.testing.assert_allclose(grads, step.nodes[0].grads["weight"], rtol=1e-6)
    assert set(sent(step, "forward", "dense_2")) == {"output:dense_2"}
    assert sent(step, "update", "dense_2", "dense_2/bias") == {}  # small: its table shows everything
    assert sent(step, "loss") == {}


def test_weights_and_inputs_can_be_changed_but_computed_values_cannot(step):
    weight = next(p for p in step.parameters if p.path == "dense_1/weight")
    assert editable(step, "grad:dense_1/weight[3,4]") == {"place": "dense_1/weight[3,4]", "value": weight.before[3, 4]}
    assert editable(step, "output:x[2,5]") == {"place": "x[2,5]", "value": step.columns["x"][2, 5]}
    assert editable(step, "output:dense_1[0,0]") is None
    assert editable(step, "delta:dense_1[0,0]") is None
