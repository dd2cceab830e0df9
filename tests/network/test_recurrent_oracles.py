"""Recurrent layers against numbers from another implementation, in float64, stacked ones as networks of two nodes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.network.layer import Context
from retrograd.network.layers import GRU, LSTM, RNN
from retrograd.network.network import Network
from retrograd.network.scope import named
from retrograd.propagation.backprop import backward, forward
from tests.network.test_oracles import assert_case, run
from tests.oracles import cases

KINDS = ("rnn", "lstm", "gru", "gru_reset_before")
LAYERS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}
PARTS = {"rnn": ("last",), "lstm": ("last", "cell"), "gru": ("last",)}
FINAL = {"last": "h_n", "cell": "c_n"}
INITIAL = {"last": "h0", "cell": "c0"}


@pytest.mark.parametrize("case", cases("rnn", "lstm", "gru"), ids=lambda case: case.id)
def test_a_recurrent_layer_has_the_recorded_outputs_and_gradients(case):
    with jax.enable_x64(True):
        found = jax.device_get(recurred(case))
    assert_case(case, found)


@pytest.mark.parametrize("case", cases("gru_reset_before"), ids=lambda case: case.id)
def test_a_gru_with_the_reset_before_the_product_has_the_recorded_outputs_and_gradients(case):
    arrays = case.arrays
    layer = GRU(case.config["hidden"], output="all", reset="before")
    params = {"input_weight": arrays["param.weight_ih"].T, "recurrent_weight": arrays["param.weight_hh"].T}
    with jax.enable_x64(True):
        given = (arrays["in.x"], arrays["in.h0"])
        dy = {"sequence": arrays["cot.y"], "last": arrays["cot.h_n"]}
        y, back = run(layer, params | {"bias": arrays["param.bias"]}, given, dy)
    found = {"out.y": y["sequence"], "out.h_n": y["last"], "grad_in.x": back.inputs[0], "grad_in.h0": back.inputs[1]}
    found |= {f"grad_param.weight_{a}": back.grads[f"{b}_weight"].T for a, b in (("ih", "input"), ("hh", "recurrent"))}
    assert_case(case, {**found, "grad_param.bias": back.grads["bias"]})


def recurred(case):
    arrays, config, parts = case.arrays, case.config, PARTS[case.kind]
    ways = 2 if config["bidirectional"] else 1
    count = config["layers"]
    batch = {"x": jnp.asarray(arrays["in.x"])}
    if config["lengths"]:
        batch["mask"] = jnp.arange(batch["x"].shape[1]) < arrays["in.lengths"][:, None]
    entries, params, arriving = [], {}, {}
    for i in range(count):
        inputs = [f"layer{i - 1}.sequence" if i else "x", *(["mask"] if "mask" in batch else [])]
        for part in parts if config["initial_state"] else ():
            batch[f"{part}{i}"] = side_by_side(arrays[f"in.{INITIAL[part]}"], i, ways)
            inputs.append(f"{part}{i}")
        own = {"nonlinearity": config["nonlinearity"]} if case.kind == "rnn" else {}
        layer = LAYERS[case.kind](config["hidden"], config["bidirectional"], "all", bias=config["bias"], **own)
        entries.append(named(layer, f"layer{i}", inputs=inputs))
        params[f"layer{i}"] = ours(case, i, ways)
        arriving[f"layer{i}"] = {part: side_by_side(arrays[f"cot.{FINAL[part]}"], i, ways) for part in parts}
    if "cot.y" in arrays:
        arriving[f"layer{count - 1}"]["sequence"] = jnp.asarray(arrays["cot.y"])
    return passed(case, Network(*entries), params, batch, arriving, ways)


def passed(case, network, params, batch, arriving, ways):
    """Run forward and backward and name everything as the case does."""

    @jax.jit
    def both(params, batch, arriving):
        record = forward(network, params, {}, Context(), batch)
        return record.outputs, *backward(network, params, record.tapes, arriving)

    outputs, deltas, grads = both(params, batch, arriving)
    nodes = [node.name for node in network.nodes]
    found = {"grad_in.x": deltas["x"]}
    for part in PARTS[case.kind]:
        found[f"out.{FINAL[part]}"] = stacked([outputs[name][part] for name in nodes], ways)
        if case.config["initial_state"]:
            found[f"grad_in.{INITIAL[part]}"] = stacked([deltas[f"{part}{i}"] for i in range(len(nodes))], ways)
    if "cot.y" in case.arrays:
        found["out.y"] = outputs[nodes[-1]]["sequence"]
    for i, name in enumerate(nodes):
        found |= {f"grad_{key}": value for key, value in theirs(case.kind, grads[name], i, ways).items()}
    return found


def side_by_side(states, i, ways):
    """From [layers * ways, batch, units] to one layer's [batch, ways * units]."""
    return jnp.concatenate(list(jnp.asarray(states)[ways * i : ways * (i + 1)]), -1)


def stacked(states, ways):
    """The other way round."""
    return jnp.stack([half for state in states for half in jnp.split(state, ways, -1)])


def ours(case, i, ways):
    """One layer's parameters: transposed weights, and one bias where the two are only added."""
    params, units = {}, case.config["hidden"]
    for prefix, suffix in (("", ""), ("reverse_", "_reverse"))[:ways]:
        array = {
            name: case.arrays[f"param.{name}_l{i}{suffix}"]
            for name in ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if case.config["bias"] else ()))
        }
        params[f"{prefix}input_weight"] = jnp.asarray(array["weight_ih"].T)
        params[f"{prefix}recurrent_weight"] = jnp.asarray(array["weight_hh"].T)
        if case.config["bias"]:
            added = array["bias_ih"] + array["bias_hh"]
            if case.kind == "gru":
                added[-units:] = array["bias_ih"][-units:]
                params[f"{prefix}recurrent_bias"] = jnp.asarray(array["bias_hh"][-units:])
            params[f"{prefix}bias"] = jnp.asarray(added)
    return params


def theirs(kind, grads, i, ways):
    """One layer's gradients under the recorded names."""
    found = {}
    for prefix, suffix in (("", ""), ("reverse_", "_reverse"))[:ways]:
        place = f"param.{{}}_l{i}{suffix}"
        found[place.format("weight_ih")] = grads[f"{prefix}input_weight"].T
        found[place.format("weight_hh")] = grads[f"{prefix}recurrent_weight"].T
        if f"{prefix}bias" in grads:
            bias = grads[f"{prefix}bias"]
            found[place.format("bias_ih")] = bias
            if kind == "gru":
                state = grads[f"{prefix}recurrent_bias"]
                bias = np.concatenate([bias[: -len(state)], state])
            found[place.format("bias_hh")] = bias
    return found
