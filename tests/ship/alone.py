"""Single layers as an ONNX model, and how far its results are from the layers' own."""

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.checking.draw import draw_input
from retrograd.network.layer import Context, Spec
from retrograd.ship.distance import distance
from retrograd.ship.onnx.graph import BATCH, Graph, Value, model_of
from retrograd.ship.onnx.network import named, to_onnx
from retrograd.ship.onnx.session import run, session


def differences(cases, seed=0):
    """Return for {name: (layer, inputs)} how far the outputs of the ONNX forms are from the layers'.

    At the batch size of the inputs and at twice it: the largest difference over the largest output or 1, by case, output
    and rows; infinity for a wrong shape.

    All cases share one program and one graph, because building those is expensive.
    """
    rng = np.random.default_rng(seed)
    once, more = ({case: [_narrow(draw_input(rng, each)) for each in inputs] for case, (_, inputs) in cases.items()}
                  for _ in range(2))  # fmt: skip
    twice = {case: [np.concatenate(pair) for pair in zip(xs, more[case], strict=True)] for case, xs in once.items()}
    specs = {case: [Spec(x.shape, x.dtype) for x in xs] for case, xs in once.items()}
    weights = {case: _weights(rng, layer, specs[case]) for case, (layer, _) in cases.items()}

    def outputs(weights, batches):
        return [{case: layer.forward(*weights[case], Context(), *xs[case]).y for case, (layer, _) in cases.items()}
                for xs in batches]  # fmt: skip

    expected = jax.device_get(jax.jit(outputs)(weights, (once, twice)))
    running = session(_model(cases, weights, specs, expected[0]))
    apart = {}
    for xs, ys in zip((once, twice), expected, strict=True):
        results = run(running, {f"{case}/x{i}": x for case, arrays in xs.items() for i, x in enumerate(arrays)})
        for case, y in ys.items():
            rows = len(xs[case][0])
            apart |= {f"{case}: {name} of {rows} rows": distance(results[f"{case}/{name}"], part)
                      for name, part in named(y).items()}  # fmt: skip
    return apart


def _weights(rng, layer, specs):
    """Return parameters and state of a layer's shapes, none hiding a term; variances are above 0."""
    first = jax.eval_shape(lambda key: layer.init(key, *specs), jax.random.key(0))
    params = {name: rng.normal(0.3, 0.5, p.shape).astype(p.dtype) for name, p in first.params.items()}
    return params, {name: rng.uniform(0.5, 1.5, s.shape).astype(s.dtype) for name, s in first.state.items()}


def _model(cases, weights, specs, outputs):
    """Return layers as one ONNX model: inputs CASE/x0, CASE/x1, ..., outputs CASE/output or CASE/NAME."""
    graph, ins, outs = Graph(), [], []
    for case, (layer, _) in cases.items():
        params, state = weights[case]
        values = [Value(graph.free(f"{case}/x{i}"), spec.shape, dtype=np.dtype(spec.dtype).name)
                  for i, spec in enumerate(specs[case])]  # fmt: skip
        made = named(to_onnx.write(graph, f"{case}/{layer.kind}", layer, params | state, values, outputs[case]))
        for name, value in made.items():
            graph.result(value, f"{case}/{name}")
            outs.append((f"{case}/{name}", value.dtype, _free(value.shape, case)))
        ins += [(value.name, value.dtype, _free(value.shape, case)) for value in values]
    return model_of(graph, ins, outs)


def _free(shape, case):
    return [f"{BATCH} of {case}", *shape[1:]]


def _narrow(array):
    return array.astype(np.float32) if jnp.issubdtype(array.dtype, np.floating) else array
