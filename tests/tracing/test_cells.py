"""Numbers of large layers opened: the parts are asked of the forward formulas, and add up to what the pass computed."""

import numpy as np
import pytest

from retrograd.base.errors import UsageError
from retrograd.tracing.cells import MOST_PARTS, Opener
from retrograd.tracing.source import open_source
from retrograd.tracing.trace import Desk, Request

CONFIG = {
    "data": "digits",
    "network": [
        {"reshape": [8, 8, 1]},
        {"conv2d": {"filters": 3, "kernel": 3, "stride": 2, "activation": "relu"}},
        "batch_norm",
        "flatten",
        {"dropout": 0.2},
        {"dense": {"units": 20, "activation": "tanh"}},
        {"dense": "classes"},
    ],
    "training": {"epochs": 1, "batch_size": 8},
}


@pytest.fixture(scope="module")
def opener():
    desk = Desk(open_source(CONFIG), Request())
    return Opener(desk.trace().numbers, desk.state)


def place(array, seed):
    return ",".join(map(str, (int(np.random.default_rng([seed, n]).integers(n)) for n in array.shape)))


def total(opened):
    return sum(part.value for part in opened.parts) + opened.rest


def test_every_gradient_and_delta_is_the_sum_of_its_parts(opener):
    for parameter in opener.step.parameters:
        for seed in range(2):
            index = place(parameter.gradient, seed)
            opened = opener.open(f"grad:{parameter.path}[{index}]")
            assert opened.is_sum, opened
            assert opened.value == parameter.gradient[tuple(map(int, index.split(",")))]
            assert total(opened) == pytest.approx(opened.value, rel=1e-9, abs=1e-14)
            assert len(opened.parts) <= MOST_PARTS
    for node in opener.step.nodes:
        opened = opener.open(f"delta:{node.path}[{place(node.delta, 3)}]")
        assert opened.is_sum, opened
        assert total(opened) == pytest.approx(opened.value, rel=1e-9, abs=1e-14)


def test_an_output_is_the_sum_of_inputs_times_weights_where_its_layer_is_linear(opener):
    linear = []
    for node in opener.step.nodes:
        opened = opener.open(f"output:{node.path}[{place(node.output, 5)}]")
        if opened.is_sum:
            linear.append(node.layer.kind)
            assert total(opened) == pytest.approx(opened.value, rel=1e-9, abs=1e-14)
        else:
            assert node.layer.kind in ("tanh", "batch_norm")
            assert opened.parts
    assert {"conv2d", "dense", "reshape", "flatten", "dropout", "relu"} <= set(linear)


def test_a_chain_leads_from_a_weight_to_the_loss(opener):
    opened = opener.open("grad:dense_1/weight[3,4]")
    names = []
    while True:
        reads = [factor for part in opened.parts[:1] for factor in part.factors if factor.reads.startswith("delta:")]
        if not reads:
            break
        opened = opener.open(reads[0].reads)
        assert opened.value == reads[0].value
        names.append(opened.key.partition("[")[0])
    assert names == ["delta:dense_1", "delta:dense_1/tanh", "delta:dense_2"]
    assert [part.factors[0].name for part in opened.parts] == ["∂loss/∂ dense_2"]


@pytest.mark.parametrize(
    ("key", "words"),
    [("output:nothing[0]", "no node"), ("delta:dense_1[0]", "the shape is"), ("grad:dense_1/weight[0,99]", "the shape is"),
     ("grad:dense_1/weight[0,1,2]", "the shape is"),
     ("grad:dense_1/x[0]", "no parameter"), ("slope:dense_1[0,0]", "expected output, delta, grad"), ("delta:x[0,0]", "no node")],
)  # fmt: skip
def test_a_number_that_is_not_there_is_refused(opener, key, words):
    with pytest.raises(UsageError, match=words):
        opener.open(key)
