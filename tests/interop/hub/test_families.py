"""Models that transformers wrote compute here what they compute there; their numbers lie beside them."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

import retrograd as rg
from retrograd.base.document import parse_document
from retrograd.interop.hub.importing import import_folder
from retrograd.network.precision import computing_in
from retrograd.record.hub.family import joined
from retrograd.training.config.config import config_of
from retrograd.training.config.weights import WeightsSettings
from retrograd.training.pretrained import pretrained

MODELS = Path(__file__).parent / "models"  # benchmarks/oracle_transformers.py --numbers


def read(family, precision="float64"):
    """Return network, weights, columns and transformers' numbers of a small model."""
    told = json.loads((MODELS / family / "numbers.json").read_text())
    columns = {name: np.asarray(column) for name, column in told["columns"].items()}
    columns = {name: column if column.dtype == bool else column.astype(np.int32) for name, column in columns.items()}
    network = rg.Network(*config_of(parse_document(import_folder(MODELS / family).text)).network)
    expected = jax.eval_shape(lambda key: network.init(key, columns), jax.random.key(0))
    expected = jax.tree.map(lambda spec: jax.ShapeDtypeStruct(spec.shape, precision), expected)
    return network, pretrained(WeightsSettings(str(MODELS / family)), expected), columns, told


@pytest.mark.parametrize("family", ["gpt2", "bert", "llama"])
def test_logits_and_gradients_are_those_of_transformers(family):
    network, weights, columns, told = read(family)
    assert not weights.drawn
    logits = np.array(told["logits"])
    seed = np.cos(np.arange(logits.size)).reshape(logits.shape)
    with computing_in("float64"):
        params = weights.variables(network, jax.random.key(0), columns).params

        @jax.jit
        def passed(params, seed):
            record = rg.forward(network, params, {}, rg.Context(), columns)
            return record.outputs[network.output], rg.backward(network, params, record.tapes, {network.output: seed})[1]

        y, grads = jax.device_get(passed(params, seed))
    np.testing.assert_allclose(y, logits, atol=2e-6)  # transformers turns heads and takes RMS in float32
    found = {taken.key: joined(taken, grads) for taken in weights.plan.taken}
    for name, (total, along) in told["gradients"].items():
        grad = found[name]
        wave = np.cos(np.arange(grad.size)).reshape(grad.shape)
        np.testing.assert_allclose([np.abs(grad).sum(), (grad * wave).sum()], [total, along], atol=2e-6 * (1 + total))
