"""The kernels of attention against its sums in float64, at random shapes and options."""

import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import retrograd as rg
from retrograd.native import attention as native
from retrograd.native.library import kernels
from retrograd.network.layer import Context, Spec
from retrograd.network.layers.attention.heads import ROLES, Heads, Packed, joined
from retrograd.network.layers.attention.projections import FEEDS, UNNAMED
from retrograd.propagation.one_layer import adjoint, run_layer
from tests.closeness import CLOSE, assert_same_sums, error_by_norm


@pytest.fixture(autouse=True)
def every_shape(monkeypatch, variant):
    monkeypatch.setattr(native, "faster", lambda *_: True)


def drawn(seed):
    """Heads, what they are given, a mask or none, and a delta."""
    rng = np.random.default_rng(seed)
    shared, group, width = (int(rng.integers(1, most)) for most in (4, 4, 50))
    sources, causal = int(rng.integers(1, 4)), bool(rng.random() < 0.6)
    queries = int(rng.integers(64, 160) if rng.random() < 0.3 else rng.integers(1, 40))
    keys = queries if sources == 1 or rng.random() < 0.3 else int(rng.integers(1, 90))
    batch = int(rng.integers(1, 4))
    heads = Heads(shared * group, shared, causal, bool(width % 2 == 0 and rng.random() < 0.2), FEEDS[UNNAMED[sources]])

    def f(*shape):
        return rng.normal(size=shape).astype(np.float32)

    sizes = ((queries, heads.number), (keys, shared), (keys, shared))
    columns = {role: f(batch, time, n * width) for role, (time, n) in zip(ROLES, sizes, strict=True)}
    allowed = None
    if rng.random() < 0.5:
        allowed = rng.random((batch, 1, keys)) < rng.choice([0.2, 0.8])  # some queries may see nothing
    return heads, columns, allowed, f(batch, queries, heads.number * width)


def both_ways(heads, columns, allowed, dy):
    tape = heads.attend(columns, allowed, 0.0, None, None, False)
    y = tape.y if isinstance(tape, Packed) else joined(tape.y)
    return y, dict(heads.back(tape, dy, None, 0.0)[0])


by_kernels = jax.jit(both_ways, static_argnums=0)
_by_formula = jax.jit(lambda *a: both_ways(*a), static_argnums=0)  # another function: a compiled one keeps its choice


def by_formula(*arrays):
    with kernels(False):
        return _by_formula(*arrays)


def turned(x, back=False):
    """Pairs half the width apart as complex numbers, turned by their place."""
    half = x.shape[-1] // 2
    angle = np.arange(x.shape[-2])[:, None] * 10000.0 ** (-np.arange(half) / half)
    z = (x[..., :half] + 1j * x[..., half:]) * np.exp(-1j * angle if back else 1j * angle)
    return np.concatenate([z.real, z.imag], -1)


def defined(heads, columns, allowed, dy):
    """The sums, head by head, in float64."""
    width = dy.shape[-1] // heads.number
    apart = {role: np.moveaxis(x.astype(np.float64).reshape(*x.shape[:2], -1, width), 2, 0)
             for role, x in columns.items()}  # fmt: skip
    deltas = np.moveaxis(dy.astype(np.float64).reshape(*dy.shape[:2], -1, width), 2, 0)
    back, ys = {role: np.zeros_like(x) for role, x in apart.items()}, []
    turn = turned if heads.rotary else lambda x, back=False: x
    for head, delta in enumerate(deltas):
        own = head * heads.shared // heads.number
        q, k, v = turn(apart["query"][head]), turn(apart["key"][own]), apart["value"][own]
        seen = np.ones((q.shape[1], k.shape[1]), bool)
        seen = np.tril(seen) if heads.causal else seen
        seen = seen if allowed is None else seen & allowed
        e = np.where(seen, np.exp(q @ k.swapaxes(1, 2) / width**0.5), 0)
        total = e.sum(-1, keepdims=True)
        a = e / np.where(total == 0, 1, total)
        ys.append(a @ v)
        da = delta @ v.swapaxes(1, 2)
        ds = a * (da - (delta * ys[-1]).sum(-1, keepdims=True)) / width**0.5
        back["query"][head] = turn(ds @ k, back=True)
        back["key"][own] += turn(ds.swapaxes(1, 2) @ q, back=True)
        back["value"][own] += a.swapaxes(1, 2) @ delta

    def beside(x):
        return np.moveaxis(x, 0, 2).reshape(x.shape[1], x.shape[2], -1)

    return beside(np.stack(ys)), {role: beside(x) for role, x in back.items()}


def test_both_ways_are_the_sums_that_define_them(cases):
    for seed in cases:
        heads, *arrays = drawn(seed)
        found, exact = by_kernels(heads, *arrays), defined(heads, *arrays)
        least = 0.1 * np.linalg.norm(arrays[-1])  # where a query sees one key, things as large as dy cancel to 0
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(exact), strict=True):
            error = error_by_norm(one, other, least)
            assert error <= CLOSE, (seed, error, heads, one.shape)


def test_scores_of_any_size_keep_their_precision():
    heads, columns, _, dy = drawn(4)
    for factor in (30.0, 1e-3):
        arrays = ({**columns, "query": columns["query"] * np.float32(factor)}, None, dy)
        assert_same_sums(
            by_kernels(heads, *arrays), by_formula(heads, *arrays), close=1e-4
        )  # exp multiplies a score's own error


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", [*ROLES, "dy"])
@pytest.mark.parametrize("causal", [True, False])
def test_nan_and_infinity_go_through_as_in_the_formula(bad, where, causal):
    heads, columns, allowed, dy = placed(causal)
    arrays = {**columns, "dy": dy}
    arrays[where][1, 41, 7] = bad
    same_places(heads, columns, None, dy)
    same_places(heads, columns, allowed, dy)


def placed(causal, queries=70, width=8):
    """Four heads, of which two share keys; 70 causal queries are four blocks in the formula."""
    rng = np.random.default_rng(0)
    heads = Heads(4, 2, causal, False, FEEDS[UNNAMED[1]])
    columns = {role: rng.normal(size=(2, queries, n * width)).astype(np.float32)
               for role, n in zip(ROLES, (4, 2, 2), strict=True)}  # fmt: skip
    allowed = np.arange(queries) < np.array([queries, 30])[:, None, None]
    return heads, columns, allowed, rng.normal(size=(2, queries, 4 * width)).astype(np.float32)


def same_places(heads, *arrays):
    """The same numbers are NaN, and the same infinite, as in the formula."""
    for one, other in zip(*map(jax.tree.leaves, (by_kernels(heads, *arrays), by_formula(heads, *arrays))), strict=True):
        one, other = np.asarray(one), np.asarray(other)
        np.testing.assert_array_equal(np.isnan(one), np.isnan(other))
        np.testing.assert_array_equal(one[np.isinf(one)], other[np.isinf(one)])
        np.testing.assert_array_equal(np.isinf(one), np.isinf(other))


def test_scores_beyond_the_largest_number_are_as_in_the_formula():
    heads, columns, allowed, dy = placed(causal=True)
    columns["query"][1, 20:22, 0] = 1e30, -1e30  # one product of each sum: which of several wins depends on their order
    columns["key"][1, 3, 0] = 1e30
    same_places(heads, columns, None, dy)
    same_places(heads, columns, allowed, dy)


def test_a_query_that_sees_nothing_gives_zeros_and_no_delta():
    heads, columns, allowed, dy = placed(causal=True)
    allowed = np.arange(70) >= np.array([0, 5])[:, None, None]
    y, back = by_kernels(heads, columns, allowed, dy)
    assert not np.asarray(y)[1, :5].any()
    assert np.asarray(y)[1, 5:].all()
    assert not np.asarray(back["query"])[1, :5].any()
    assert not any(np.asarray(back[role])[1, :5].any() for role in ("key", "value"))


def test_eight_threads_at_once_get_the_same_bits():
    heads, *arrays = placed(causal=True)

    def bits():
        return [np.asarray(a).tobytes() for a in jax.tree.leaves(by_kernels(heads, *arrays))]

    expected = bits()

    def many(_):
        return all(bits() == expected for _ in range(20))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(many, range(8)))


def test_many_at_once_and_derivatives_are_the_formulas():
    heads, columns, allowed, dy = placed(causal=True, queries=9)
    many = [jax.tree.map(lambda a: np.stack([a, a[::-1]]), x) for x in (columns, dy)]

    def batched(columns, dy):
        return jax.vmap(lambda c, d: both_ways(heads, c, allowed, d))(columns, dy)

    def second(columns, dy):
        return jax.grad(lambda c: sum(jnp.vdot(x, x) for x in jax.tree.leaves(both_ways(heads, c, allowed, dy))))(
            columns
        )

    for function, given in ((batched, many), (second, (columns, dy))):
        found = jax.jit(function)(*given)
        with kernels(False):
            expected = jax.jit(lambda *a, f=function: f(*a))(*given)
        assert_same_sums(found, expected, close=1e-4)  # derivatives of derivatives: twice as many sums


SHARDED = """
    import jax, numpy as np
    from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
    from tests.closeness import assert_same_sums
    from tests.native.test_attention import both_ways, by_formula, placed
    mesh = jax.make_mesh((2,), ("batch",), axis_types=(AxisType.Auto,))
    heads, columns, allowed, dy = placed(causal=True, width=16)
    for mask in (None, allowed):
        given = jax.tree.map(lambda a: jax.device_put(a, NamedSharding(mesh, P("batch"))), (columns, mask, dy))
        compiled = jax.jit(lambda *a: both_ways(heads, *a)).lower(*given).compile()
        text = compiled.as_text()
        assert "retrograd_attend_back" in text and "all-gather" not in text, text
        found, expected = compiled(*given), by_formula(heads, columns, mask, dy)
        assert_same_sums(found, expected)
    print("equal")
"""


def test_on_a_mesh_each_device_attends_for_its_part_of_the_batch():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(SHARDED)], capture_output=True, text=True,
                          env={**os.environ, "XLA_FLAGS": flags}, timeout=120)  # fmt: skip
    assert done.stdout == "equal\n", done.stderr


def test_the_formula_behind_the_kernel_has_its_statistics():
    heads, columns, allowed, _ = placed(causal=False)
    allowed = allowed & np.array([True, False])[:, None, None]
    for mask in (None, allowed):
        one = jax.jit(lambda c, m=mask: heads.attend(c, m, 0.0, None, None, False))(columns)
        other = jax.jit(jax.vmap(lambda c, m=mask: heads.attend(c, m, 0.0, None, None, False)))(
            jax.tree.map(lambda a: a[None], columns)
        )
        assert_same_sums(one.statistics, other.statistics[0])


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (rg.MultiHeadAttention(2, causal=True, reads=("query", "mask")), [(2, 9, 8)]),
        (
            rg.MultiHeadAttention(4, key_value_heads=2, rotary=True, reads=("query", "memory", "mask")),
            [(2, 5, 8), (2, 7, 6)],
        ),
        (
            rg.MultiHeadAttention(1, bias=False, reads=("query", "key", "value", "mask")),
            [(2, 3, 5), (2, 4, 6), (2, 4, 7)],
        ),
    ],
)
def test_a_layer_gives_the_same_with_kernels_and_without(layer, shapes):
    rng = np.random.default_rng(1)
    inputs = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    mask = np.arange(shapes[-1][1]) < np.array([[shapes[-1][1]], [2]])
    params = layer.init(jax.random.key(0), *(Spec(x.shape, x.dtype) for x in (*inputs, mask))).params

    def run(params, *inputs):
        step = run_layer(layer, params, {}, Context(True), inputs)
        return step.y, adjoint(layer, params, step.tape, jnp.ones_like(step.y))

    text = jax.jit(lambda *a: run(*a)).lower(params, *inputs, mask).as_text()
    assert "retrograd_attend" in text
    assert "retrograd_attend_back" in text
    found = jax.jit(lambda *a: run(*a))(params, *inputs, mask)
    with kernels(False):
        expected = jax.jit(lambda *a: run(*a))(params, *inputs, mask)
    assert_same_sums(
        found, expected, least=np.linalg.norm(inputs[0])
    )  # a key's bias has gradient 0: softmax sees no shift


@pytest.mark.parametrize(
    ("layer", "extra"),
    [
        (rg.MultiHeadAttention(2, dropout=0.5), []),
        (rg.MultiHeadAttention(2, output="all"), []),
        (rg.MultiHeadAttention(2, reads=("query", "mask")), [np.ones((2, 5, 5), bool)]),
        (rg.MultiHeadAttention(2, reads=("query", "scores")), [np.ones((2, 5, 5), np.float32)]),
    ],
)
def test_what_kernels_cannot_take_goes_to_the_formula(layer, extra):
    x = np.ones((2, 5, 4), np.float32)
    specs = [Spec(a.shape, a.dtype) for a in (x, *extra)]
    params = layer.init(jax.random.key(0), *specs).params
    run = jax.jit(lambda *inputs: run_layer(layer, params, {}, Context(True, jax.random.key(0)), inputs).y)
    assert "retrograd_" not in run.lower(x, *extra).as_text()


def test_other_dtypes_and_no_examples_go_to_the_formula():
    layer, x = rg.MultiHeadAttention(2), np.ones((2, 5, 4), np.float32)
    params = layer.init(jax.random.key(0), Spec(x.shape, x.dtype)).params
    for given in (x[:0], x.astype(jnp.bfloat16)):
        run = jax.jit(lambda x: run_layer(layer, params, {}, Context(True), (x,)).y)
        assert "retrograd_" not in run.lower(given).as_text()
        assert run(given).shape == given.shape


def test_where_no_kernel_is_faster_none_is_chosen(monkeypatch):
    monkeypatch.undo()
    assert native.faster(64, 128, 32)
    assert not native.faster(64, 128, 8)
    assert not native.faster(64, 1, 32)
    assert not native.faster(0, 128, 32)
