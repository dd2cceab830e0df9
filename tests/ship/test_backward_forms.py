"""The ONNX form of each layer's backward pass, against the layer's own on its examples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import retrograd as rg
from retrograd.network.layer import Context, Spec, layers

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from retrograd.checking.draw import draw_input
from retrograd.ship.distance import distance
from retrograd.ship.onnx import backward
from retrograd.ship.onnx.backward.registry import Seen, to_onnx_backward
from retrograd.ship.onnx.graph import Graph, Value, model_of
from retrograd.ship.onnx.network import named
from retrograd.ship.onnx.session import run, session

assert backward.__all__
KINDS = [name for name in layers if layers[name] in to_onnx_backward]
ALLOWED = 1e-5  # float32 sums in another order


def family(name):
    return layers[name].__module__.removeprefix("retrograd.network.layers.").partition(".")[0]


@pytest.mark.parametrize("chosen", sorted({family(name) for name in KINDS}))
def test_backward_forms_compute_what_the_layers_compute(chosen):
    cases, refused = {}, []
    for name in KINDS:
        if family(name) == chosen and name != "token_dropout":  # identifiers have no delta
            for i, example in enumerate(layers.entry(name).facts.get("examples", ())):
                layer = layers[name](**example.settings)
                try:
                    to_onnx_backward.form_of(layer, name)
                except rg.ConfigError:
                    refused.append(f"{name} {i}")
                    continue
                cases[f"{name} {i}"] = (layer, example.inputs)
    apart = differences(cases)
    assert {case: far for case, far in apart.items() if not far <= ALLOWED} == {}
    assert len(refused) <= len(cases)


def test_a_setting_without_a_backward_form_is_refused_with_the_layers_name():
    for layer in (
        rg.LSTM(2, truncate=2),
        rg.GRU(2, bidirectional=True, merge="sum"),
        rg.Conv2D(1, padding_mode="reflect"),
    ):
        with pytest.raises(rg.ConfigError, match=rf"net: {layer.kind} with .* has no backward form in ONNX"):
            to_onnx_backward.form_of(layer, "net")


def differences(cases):
    """Return how far deltas and gradients of {case: (layer, inputs)} are from the layers', all in one program."""
    rng = np.random.default_rng(0)
    xs = {case: [narrow(draw_input(rng, each)) for each in inputs] for case, (_, inputs) in cases.items()}
    first = {case: random_variables(rng, layer, xs[case]) for case, (layer, _) in cases.items()}

    def forward(first, xs):
        return {case: layer.forward(*first[case], Context(), *xs[case]).y for case, (layer, _) in cases.items()}

    shapes = jax.eval_shape(forward, first, xs)
    dys = jax.tree.map(lambda s: rng.normal(size=s.shape).astype(np.float32), shapes)

    def both(first, xs, dys):
        outputs = {}
        for case, (layer, _) in cases.items():
            step = layer.forward(*first[case], Context(), *xs[case])
            back = layer.backward(first[case][0], step.tape, dys[case])
            deltas = {f"dx{i}": d for i, d in enumerate(back.inputs) if d is not None}
            outputs[case] = (step.y, deltas | dict(back.grads or {}))
        return outputs

    expected = jax.device_get(jax.jit(both)(first, xs, dys))
    fed = {f"{case}/x{i}": x for case, arrays in xs.items() for i, x in enumerate(arrays)}
    fed |= {f"{case}/d{name}": d for case, dy in dys.items() for name, d in named(dy).items()}
    results = run(session(model(cases, first, xs, dys, expected)), fed)
    return {f"{case}: {name}": distance(results[f"{case}: {name}"], part)
            for case, (y, parts) in expected.items() for name, part in (named(y) | parts).items()}  # fmt: skip


def random_variables(rng, layer, xs):
    """Return parameters and state, none with a value that would hide a term."""
    first = jax.eval_shape(lambda key: layer.init(key, *(Spec(x.shape, x.dtype) for x in xs)), jax.random.key(0))
    params = {name: rng.normal(0.3, 0.5, p.shape).astype(p.dtype) for name, p in first.params.items()}
    return params, {name: rng.uniform(0.5, 1.5, s.shape).astype(s.dtype) for name, s in first.state.items()}


def model(cases, first, xs, dys, expected):
    graph, ins, outs = Graph(), [], []

    def entrance(name, array):
        ins.append((graph.free(name), array.dtype.name, array.shape))
        return Value(name, array.shape, dtype=array.dtype.name)

    for case, (layer, _) in cases.items():
        params, state = first[case]
        inputs = tuple(entrance(f"{case}/x{i}", x) for i, x in enumerate(xs[case]))
        graph.path = case
        weights = {name: graph.constant(array, name) for name, array in (params | state).items()}
        y, parts = expected[case]
        step = to_onnx_backward.forward(graph, f"{case}/{layer.kind}", layer, weights, params | state, inputs, y)
        dy = {name: entrance(f"{case}/d{name}", d) for name, d in named(dys[case]).items()}
        dy = dy if isinstance(y, dict) else dy["output"]
        wants = tuple(f"dx{i}" in parts for i in range(len(inputs)))
        back = to_onnx_backward.backward(
            graph,
            f"{case}/{layer.kind}",
            Seen(layer, weights, inputs, step.y, step.tape, dy, wants, frozenset(params)),
        )
        deltas = {f"dx{i}": d for i, d in enumerate(back.inputs) if d is not None}
        for name, value in (named(step.y) | deltas | back.grads).items():
            graph.result(value, f"{case}: {name}")
            outs.append((f"{case}: {name}", "float32", (named(y) | parts)[name].shape))
    return model_of(graph, ins, outs)


def narrow(array):
    return array.astype(np.float32) if jnp.issubdtype(array.dtype, np.floating) else array
