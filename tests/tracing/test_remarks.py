"""What a trace remarks on a step."""

from types import SimpleNamespace

import numpy as np

import retrograd as rg
from retrograd.present.exact import Figures
from retrograd.tracing.remarks import _stopped_deltas


def test_only_a_plain_relu_is_said_to_be_dead_because_its_inputs_are_negative():
    def remark(layer):
        node = SimpleNamespace(path="a", layer=layer, slope=np.zeros((2, 3)), delta=np.ones((2, 3)))
        return list(_stopped_deltas(SimpleNamespace(nodes=[node]), Figures(4)))

    assert remark(rg.ReLU()) == ["a: 3 of 3 units pass back no delta: every input is negative in all rows."]
    assert remark(rg.ReLU(maximum=1.0)) == ["a: 3 of 3 units pass back no delta: the slope is 0 in all rows."]
