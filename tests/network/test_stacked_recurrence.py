"""Several recurrent layers from one entry: the nodes, their inputs, and the numbers of layers written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import retrograd as rg
import retrograd.network.layers
from retrograd.base.errors import ConfigError, UsageError
from retrograd.network.entries import dump_entries, parse_entries
from retrograd.network.layer import Spec

PLAIN = [{"gru": {"units": 3, "layers": 3, "dropout": 0.2, "bidirectional": True}, "inputs": ["x", "mask"]}]


def test_layers_become_nodes_with_dropout_between_them_and_each_reads_the_mask():
    network = rg.Network(*parse_entries(PLAIN))
    assert [(node.name, node.layer.kind, node.inputs) for node in network] == [
        ("gru_1/1", "gru", ("x", "mask")),
        ("gru_1/dropout_1", "dropout", ("gru_1/1",)),
        ("gru_1/2", "gru", ("gru_1/dropout_1", "mask")),
        ("gru_1/dropout_2", "dropout", ("gru_1/2",)),
        ("gru_1/3", "gru", ("gru_1/dropout_2", "mask")),
    ]
    assert [node.layer.output for node in network if node.layer.kind == "gru"] == ["sequence", "sequence", "last"]
    assert network.resolve("gru_1") == "gru_1/3"
    entries = network.filled_entries()
    assert dump_entries(entries, filled=False)[0]["gru"]["layers"] == 3


def test_a_stack_computes_what_its_layers_written_out_compute():
    stack = rg.Network(rg.named(rg.LSTM(3, output="all", layers=2), "lstm", inputs=["x", "mask"], recompute=True),
                       rg.named(rg.Dense(2), "end", inputs="lstm.last"))  # fmt: skip
    apart = rg.Network(rg.named(rg.LSTM(3, output="sequence"), "lstm_1", inputs=["x", "mask"]),
                       rg.named(rg.LSTM(3, output="all"), "lstm_2", inputs=["lstm_1", "mask"]),
                       rg.named(rg.Dense(2), "end", inputs="lstm_2.last"))  # fmt: skip
    assert {node.recompute for node in stack} == {"lstm/1", "lstm/2", ""}
    rng = np.random.default_rng(1)
    batch = {"x": jnp.asarray(rng.normal(size=(2, 4, 3)), jnp.float32), "y": jnp.asarray([0, 1]),
             "mask": jnp.asarray([[True] * 4, [True, False, False, False]])}  # fmt: skip
    first = stack.init(jax.random.key(0), batch)
    renamed = {name.replace("/", "_"): own for name, own in first.params.items()}

    def passed(network, params):
        objective = rg.Objective.on(network, rg.CrossEntropy())
        run = jax.jit(lambda params: rg.backprop(network, [objective], params, {}, rg.Context(True), batch))
        return run(params)

    found, expected = passed(stack, first.params), passed(apart, renamed)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-6)
    for name, own in found.grads.items():
        for param, grad in own.items():
            np.testing.assert_allclose(grad, expected.grads[name.replace("/", "_")][param], rtol=1e-4, atol=1e-6)


def test_a_stack_begins_with_states_of_each_layer_and_shows_those_it_ends_with():
    plain = [
        {"lstm": {"units": 2, "layers": 2, "output": "all"}, "name": "first", "inputs": {"x": "x", "mask": "mask"}},
        {
            "lstm": {"units": 2, "layers": 2, "output": "all"},
            "name": "second",
            "inputs": {"x": "first.sequence", "last_1": "first/1.last", "cell_1": "first/1.cell", "last_2": "first.last",
                       "cell_2": "first/2.cell"},
        },
    ]  # fmt: skip
    network = rg.Network(*parse_entries(plain))
    assert [node.inputs for node in network] == [
        ("x", "mask"),
        ("first/1.sequence", "mask"),
        ("first/2.sequence", "first/1.last", "first/1.cell"),
        ("second/1.sequence", "first/2.last", "first/2.cell"),
    ]
    assert dump_entries(network.filled_entries(), filled=False)[1]["inputs"] == plain[1]["inputs"]
    shapes = network.specs({"x": Spec((2, 4, 3), jnp.float32), "mask": Spec((2, 4), jnp.bool_)})
    assert shapes["second/1"]["cell"].shape == (2, 2)
    shared = [{"gru": {"units": 2, "layers": 2}, "inputs": {"x": "x", "last": "h"}}]
    assert [node.inputs[1:] for node in rg.Network(*parse_entries(shared))] == [("h",), ("h",)]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"x": "x", "last_3": "h"}, "gru_1: inputs: none of the 2 layers reads last_3"),
        ({"last": "h", "x": "x"}, "inputs: expected x, mask, last in this order; found last, x"),
        ({"x": "x", "cell": "h"}, "found x, cell"),
    ],
)
def test_an_input_that_no_layer_of_a_stack_reads_is_named(inputs, message):
    with pytest.raises(ConfigError, match=message):
        rg.Network(*parse_entries([{"gru": {"units": 2, "layers": 2}, "inputs": inputs}]))


def test_what_a_stack_cannot_do_is_said():
    with pytest.raises(ConfigError, match="dropout: applies between layers, but there is only one"):
        rg.LSTM(3, dropout=0.1)
    with pytest.raises(ConfigError, match="a stack has no parameters to share"):
        rg.Network(rg.GRU(3), rg.named(rg.GRU(3, layers=2), "more", share={"bias": "gru_1/bias"}))
    with pytest.raises(UsageError, match="a stack of 2 layers is several nodes; let a Network expand it"):
        rg.RNN(3, layers=2).init(jax.random.key(0), Spec((1, 2, 3), jnp.float32))
