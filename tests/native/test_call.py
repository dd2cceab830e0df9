"""A kernel's call inside vmap, scan, cond, derivatives, threads and meshes gives the formula's numbers."""

import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from retrograd.native.convolution import Epilogue
from retrograd.native.library import kernels
from retrograd.network.layers.convolution.convolution import convolve, weight_gradient
from retrograd.network.layers.shared.window import place_window
from tests.closeness import assert_same_sums

pytestmark = pytest.mark.usefixtures("variant")

WINDOW = place_window((6, 7), 3, 1, 1, "same")
RNG = np.random.default_rng(0)
X, WEIGHT = (RNG.normal(size=shape).astype(np.float32) for shape in ((4, 6, 7, 5), (3, 3, 5, 8)))
BIAS, RESIDUAL = (RNG.normal(size=shape).astype(np.float32) for shape in ((8,), (4, 6, 7, 8)))
MANY_X, MANY_WEIGHTS = np.stack([X, 2 * X, -X]), np.stack([WEIGHT, WEIGHT + 1, WEIGHT])


def forward(x, weight):
    return convolve(x, weight, WINDOW)


def fused(x, weight, residual):
    return convolve(x, weight, WINDOW, 1, Epilogue(BIAS, residual, True))


def gradient(x, dy):
    return weight_gradient(x, dy, WINDOW, 1, jnp.float32)


def same(function, *arguments):
    """Run with kernels and without; `function` must not be compiled yet."""
    found = jax.jit(lambda *a: function(*a))(*arguments)
    with kernels(False):
        expected = jax.jit(lambda *a: function(*a))(*arguments)
    assert_same_sums(found, expected)


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0)])
def test_vmap_gives_each_its_own(axes):
    arguments = [MANY_X if axes[0] == 0 else X, MANY_WEIGHTS if axes[1] == 0 else WEIGHT]
    same(jax.vmap(forward, axes), *arguments)
    same(jax.vmap(fused, (*axes, None)), *arguments, RESIDUAL)
    dy = forward(X, WEIGHT)
    same(jax.vmap(gradient, axes), arguments[0], np.stack([dy, 2 * dy, dy]) if axes[1] == 0 else dy)


def test_inside_scan_and_cond():
    same(lambda many: lax.scan(lambda c, x: (c, forward(x, WEIGHT)), 0, many)[1], MANY_X)
    same(lambda x: lax.cond(x[0, 0, 0, 0] < 9, lambda: forward(x, WEIGHT), lambda: jnp.zeros((4, 6, 7, 8))), X)


def test_derivatives_are_the_formulas():
    same(jax.grad(lambda x, w: (forward(x, w) ** 2).sum(), (0, 1)), X, WEIGHT)
    same(jax.grad(lambda x, r: (fused(x, WEIGHT, r) ** 2).sum(), (0, 1)), X, RESIDUAL)
    same(lambda x: jax.jvp(lambda x: forward(x, WEIGHT), (x,), (x,))[1], X)


def test_eight_threads_at_once_get_the_same_bits():
    step = jax.jit(lambda x, w: (forward(x, w), gradient(x, forward(x, w))))
    expected = [np.asarray(a).tobytes() for a in step(X, WEIGHT)]

    def many(_):
        return all([np.asarray(a).tobytes() for a in step(X, WEIGHT)] == expected for _ in range(20))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(many, range(8)))


SHARDED = """
    import jax, jax.numpy as jnp, numpy as np
    from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
    from tests.closeness import assert_same_sums
    from tests.native.test_call import RESIDUAL, WEIGHT, X, forward, fused, gradient
    import retrograd as rg
    from retrograd.propagation.one_layer import adjoint, run_layer
    from retrograd.native.library import kernels
    from retrograd.network.layer import Context, Spec
    mesh = jax.make_mesh((4,), ("batch",), axis_types=(AxisType.Auto,))
    x = jax.device_put(X, NamedSharding(mesh, P("batch")))
    weight = jax.device_put(WEIGHT, NamedSharding(mesh, P()))
    residual = jax.device_put(RESIDUAL, NamedSharding(mesh, P("batch")))
    step = jax.jit(lambda x, w, r: (fused(x, w, r), gradient(x, forward(x, w))))
    compiled = step.lower(x, weight, residual).compile()
    text = compiled.as_text()
    assert "retrograd_convolve" in text and "f32[1,6,7,5]" in text, text  # one example on each device
    assert "all-gather" not in text, text
    found = compiled(x, weight, residual)
    assert found[0].sharding.spec[0] == "batch", found[0].sharding
    with kernels(False):
        expected = fused(X, WEIGHT, RESIDUAL), gradient(X, forward(X, WEIGHT))
    assert_same_sums(found, expected)

    sequence = np.random.default_rng(0).normal(size=(32, 20, 5)).astype(np.float32)
    for layer in (rg.LSTM(16, bidirectional=True, output="all"), rg.GRU(16, output="sequence")):
        params = layer.init(jax.random.key(0), Spec(sequence.shape, sequence.dtype)).params

        def both_ways(params, x):
            step = run_layer(layer, params, {}, Context(True), (x,))
            return step.y, adjoint(layer, params, step.tape, step.y)

        given = jax.device_put(params, NamedSharding(mesh, P())), jax.device_put(sequence, NamedSharding(mesh, P("batch")))
        compiled = jax.jit(both_ways).lower(*given).compile()
        text = compiled.as_text()
        assert "retrograd_recurrent_gradients" in text and "f32[20,8,16]" in text, text
        assert isinstance(layer, rg.GRU) or "all-gather" not in text, text
        with kernels(False):
            expected = jax.jit(lambda *a: both_ways(*a))(params, sequence)
        assert_same_sums(compiled(*given), expected)
    print("equal")
"""


def test_on_a_mesh_each_device_computes_its_part_of_the_batch():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(SHARDED)], capture_output=True, text=True,
                          env={**os.environ, "XLA_FLAGS": flags}, timeout=120)  # fmt: skip
    assert done.stdout == "equal\n", done.stderr
