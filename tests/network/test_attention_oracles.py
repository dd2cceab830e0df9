"""Attention and the Transformer's encoder against numbers from another implementation, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.network.blocks import TransformerEncoder
from retrograd.network.layer import Context
from retrograd.network.layers import MultiHeadAttention
from retrograd.network.layers.attention.scaled_dot_product import attend, attend_back
from retrograd.network.network import Network
from retrograd.network.scope import named
from retrograd.propagation.backprop import backward, forward
from tests.network.test_oracles import assert_case, run
from tests.oracles import cases

KINDS = ("mha", "sdpa", "transformer_encoder_layer")
PARTS = ("query", "key", "value")


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("case", cases("mha"), ids=lambda case: case.id)
def test_attention_has_the_recorded_output_weights_and_gradients(case):
    arrays, config = case.arrays, case.config
    added = "in.nd_attn_mask" in arrays
    given = [f"in.{part}" for part in PARTS if f"in.{part}" in arrays]
    inputs = [arrays[name] for name in given]
    if added:
        inputs.append(np.broadcast_to(arrays["in.nd_attn_mask"], (len(inputs[0]), *arrays["in.nd_attn_mask"].shape)))
    if "in.key_padding_mask" in arrays:
        inputs.append(arrays["in.key_padding_mask"] == 0)  # recorded: true where not to attend
    reads = ("query", "key", "value")[: len(given)] if len(given) != 2 else ("query", "memory")
    reads += (("scores",) if added else ()) + (("mask",) if "in.key_padding_mask" in arrays else ())
    layer = MultiHeadAttention(config["heads"], causal=config["causal"], output="all", reads=reads, bias=config["bias"])
    y, back = run(layer, ours(arrays), tuple(inputs), {"sequence": arrays["cot.y"], "weights": arrays["cot.attn"]})
    deltas = {f"grad_{name}": delta for name, delta in zip(given, back.inputs, strict=False)}
    grads = {f"grad_{name}": grad for name, grad in theirs(back.grads, arrays).items()}
    assert_case(case, {"out.y": y["sequence"], "out.attn": y["weights"], **deltas, **grads})


@pytest.mark.parametrize("case", cases("sdpa"), ids=lambda case: case.id)
def test_the_product_alone_has_the_recorded_output_and_deltas(case):
    q, k, v, dy = (jnp.asarray(case.arrays[name]) for name in ("in.q", "in.k", "in.v", "cot.y"))
    causal = case.config["causal"]
    tape = attend(q[:, :, None], k, v, None, causal)
    dq, dk, dv, _ = attend_back(tape, dy[:, :, None], None, causal)
    assert_case(case, {"out.y": tape.y[:, :, 0], "grad_in.q": dq[:, :, 0], "grad_in.k": dk, "grad_in.v": dv})


@pytest.mark.parametrize("case", cases("transformer_encoder_layer"), ids=lambda case: case.id)
def test_an_encoder_layer_has_the_recorded_output_and_gradients(case):
    arrays, config = case.arrays, case.config
    block = TransformerEncoder(
        config["embed"],
        config["heads"],
        hidden=config["ff"],
        activation=config["activation"],
        norm="pre" if config["norm_first"] else "post",
        final_norm=False,
        causal=config["causal"],
    )
    batch = {"x": jnp.asarray(arrays["in.x"])}
    if "in.key_padding_mask" in arrays:
        batch["mask"] = jnp.asarray(arrays["in.key_padding_mask"] == 0)
    network = Network(named(block, "encoder", inputs=list(batch)))
    params = encoder(arrays)

    @jax.jit
    def both(params, batch, dy):
        record = forward(network, params, {}, Context(), batch)
        return record.outputs[network.output], *backward(network, params, record.tapes, {network.output: dy})

    y, deltas, grads = both(params, batch, arrays["cot.y"])
    attention = {f"self_attn.{name}": x for name, x in packed(grads["encoder/1/attention"]).items()}
    found = {f"grad_param.{name}": grad for name, grad in attention.items()}
    for name, node, param in ENCODER:
        found[f"grad_param.{name}"] = grads[f"encoder/1/{node}"][param].T
    assert_case(case, {"out.y": y, "grad_in.x": deltas["x"], **found})


ENCODER = [
    (f"{name}.{'weight' if param != 'bias' else param}", node, param)
    for name, node, own in (
        ("linear1", "feed_forward/hidden", ("weight", "bias")),
        ("linear2", "feed_forward/output", ("weight", "bias")),
        ("norm1", "attention_norm", ("scale", "bias")),
        ("norm2", "feed_forward_norm", ("scale", "bias")),
    )
    for param in own
]  # (recorded name, node, parameter)


def encoder(arrays):
    """An encoder layer's parameters by node."""
    params = {"encoder/1/attention": ours(arrays, "param.self_attn.")}
    for name, node, param in ENCODER:
        params.setdefault(f"encoder/1/{node}", {})[param] = jnp.asarray(arrays[f"param.{name}"].T)
    return params


def ours(arrays, prefix="param."):
    """Attention's parameters: queries, keys and values apart, weights transposed."""
    if f"{prefix}in_proj_weight" in arrays:
        weights = np.split(arrays[f"{prefix}in_proj_weight"], 3)
    else:
        weights = [arrays[f"{prefix}{part[0]}_proj_weight"] for part in PARTS]
    params = {f"{part}_weight": jnp.asarray(w.T) for part, w in zip(PARTS, weights, strict=True)}
    params["output_weight"] = jnp.asarray(arrays[f"{prefix}out_proj.weight"].T)
    if f"{prefix}in_proj_bias" in arrays:
        biases = np.split(arrays[f"{prefix}in_proj_bias"], 3)
        params |= {f"{part}_bias": jnp.asarray(b) for part, b in zip(PARTS, biases, strict=True)}
        params["output_bias"] = jnp.asarray(arrays[f"{prefix}out_proj.bias"])
    return params


def packed(grads):
    """Attention's gradients under the recorded names, queries, keys and values in one array."""
    found = {"in_proj_weight": np.concatenate([grads[f"{part}_weight"].T for part in PARTS])}
    found["out_proj.weight"] = grads["output_weight"].T
    if "query_bias" in grads:
        found["in_proj_bias"] = np.concatenate([grads[f"{part}_bias"] for part in PARTS])
        found["out_proj.bias"] = grads["output_bias"]
    return found


def theirs(grads, arrays):
    """The same as recorded for keys or values of another width: three weights."""
    if "param.in_proj_weight" in arrays:
        return {f"param.{name}": grad for name, grad in packed(grads).items()}
    found = {f"param.{part[0]}_proj_weight": grads[f"{part}_weight"].T for part in PARTS}
    biases = np.concatenate([grads[f"{part}_bias"] for part in PARTS])
    rest = {"param.out_proj.weight": grads["output_weight"].T, "param.out_proj.bias": grads["output_bias"]}
    return {**found, **rest, "param.in_proj_bias": biases}
