"""A batch without rows, or an axis without elements: every layer and loss gives empty arrays or an error of ours."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.base.errors import RetrogradError
from retrograd.checking.draw import draw_input
from retrograd.network.layer import Context, Spec, layers
from retrograd.network.losses.loss import losses
from retrograd.propagation.one_layer import adjoint, run_layer

CASES = [
    pytest.param(registry[name](**example.settings), example.inputs, id=f"{name}-{i}")
    for registry in (layers, losses)
    for name in registry
    for i, example in enumerate(registry.entry(name).facts["examples"])
]


def drawn(inputs):
    arrays = [np.asarray(draw_input(np.random.default_rng(0), each)) for each in inputs]
    return [each.astype(np.float32) if each.dtype == np.float64 else each for each in arrays]


def passed(layer, arrays, train):
    """Shapes of what forward and backward return."""
    specs = [Spec(a.shape, a.dtype) for a in arrays]

    def run(key, *given):
        first = layer.init(key, *specs)
        step = run_layer(layer, first.params, first.state, Context(train, jax.random.key(7), "check"), given)
        back = adjoint(layer, first.params, step.tape, jax.tree.map(jnp.ones_like, step.y))
        return step.y, back.inputs, back.grads

    return jax.eval_shape(run, jax.random.key(0), *arrays)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(("layer", "inputs"), CASES)
def test_a_batch_without_rows_gives_empty_arrays_or_an_error_of_ours(layer, inputs, train):
    arrays = [each[:0] for each in drawn(inputs)]
    try:
        y, deltas, _ = passed(layer, arrays, train)
    except RetrogradError:
        return
    assert all(leaf.shape[:1] in ((0,), ()) for leaf in jax.tree.leaves(y))
    for delta, array in zip(deltas, arrays, strict=True):
        assert delta is None or delta.shape == array.shape


@pytest.mark.parametrize(("layer", "inputs"), CASES)
def test_an_axis_without_elements_gives_empty_arrays_or_an_error_of_ours(layer, inputs):
    for axis in range(1, max(each.ndim for each in drawn(inputs))):
        arrays = [np.take(each, [], axis=axis) if each.ndim > axis else each for each in drawn(inputs)]
        with contextlib.suppress(RetrogradError):
            passed(layer, arrays, train=False)


@pytest.mark.parametrize("name", losses)
def test_the_loss_of_no_rows_is_0(name):
    example = losses.entry(name).facts["examples"][0]
    arrays = [each[:0] for each in drawn(example.inputs)]
    ctx = Context(False, jax.random.key(0), "check")
    value = losses[name](**example.settings).forward({}, {}, ctx, *map(jnp.asarray, arrays)).y
    assert float(value) == 0.0
