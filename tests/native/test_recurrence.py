"""The kernels of LSTM and GRU against backpropagation through time written out in float64."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import retrograd as rg
from retrograd.native import recurrence as native
from retrograd.native.library import kernels
from retrograd.network.layer import Context, Spec
from retrograd.network.layers.recurrent.recurrent import gradients
from retrograd.network.layers.recurrent.through_time import Borders, Walk
from retrograd.propagation.one_layer import adjoint, run_layer
from tests.closeness import CLOSE, assert_same_sums, error_by_norm

pytestmark = pytest.mark.usefixtures("variant")


def drawn(seed):
    rng = np.random.default_rng(seed)
    gates = (3, 4)[seed % 2]
    time, batch, units = (int(rng.integers(1, most)) for most in (8, 20, 70))
    lstm = gates == 4
    f = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    own = {"recurrent_weight": f(units, gates * units) / np.float32(units**0.5)}
    own |= {} if rng.random() < 0.3 else {"bias": f(gates * units)}
    own |= {} if lstm or rng.random() < 0.3 else {"recurrent_bias": f(units)}
    start = tuple(f(batch, units) for _ in range(1 + lstm))
    mask = rng.random((time, batch, 1)) < 0.7 if rng.random() < 0.5 else None
    dsequence = f(time, batch, units) if rng.random() < 0.7 else None
    if mask is not None and dsequence is not None:
        dsequence = np.where(mask, dsequence, 99)  # what arrives where no step is does not count
    dfinal = tuple(f(batch, units) for _ in start)
    return gates, bool(rng.integers(2)), f(time, batch, gates * units), own, start, mask, dsequence, dfinal


def walked(gates, reverse, z, own, start, mask, dsequence, dfinal):
    """Both ways by the kernels."""
    loop = native.LSTM if gates == 4 else native.GRU
    states, saved = loop.run(None, z, own, start, mask, reverse)
    taken = Walk(start, states, saved, Borders(mask))
    return states, *loop.run_back(None, taken, own["recurrent_weight"], dfinal, dsequence, reverse)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_step(z, h, c, weight, bias):
    i, f, g, o = np.split(z + h @ weight, 4, -1)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    after = f * c + i * g

    def back(dh, dc):
        shown = np.tanh(after)
        dc = dc + dh * o * (1 - shown**2)
        dz = np.concatenate(
            [dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2), dh * shown * o * (1 - o)], -1
        )
        return (dz @ weight.T, dc * f), dz

    return (o * np.tanh(after), after), back


def gru_step(z, h, weight, bias):
    (ar, au, an), (hr, hu, q) = np.split(z, 3, -1), np.split(h @ weight, 3, -1)
    q, r, u = q + bias, sigmoid(ar + hr), sigmoid(au + hu)
    n = np.tanh(an + r * q)

    def back(dh):
        dn = dh * (1 - u) * (1 - n**2)
        dr, du = dn * q * r * (1 - r), dh * (h - n) * u * (1 - u)
        return (dh * u + np.concatenate([dr, du, dn * r], -1) @ weight.T,), np.concatenate([dr, du, dn], -1)

    return ((1 - u) * n + u * h,), back


def defined(gates, reverse, z, own, start, mask, dsequence, dfinal):
    """Both ways step by step in float64."""
    wide = lambda tree: jax.tree.map(lambda a: np.asarray(a, np.float64), tree)  # noqa: E731
    z, own, states, deltas = wide(z), wide(own), wide(start), wide(dfinal)
    order = range(len(z))[::-1] if reverse else range(len(z))
    step, past, found = lstm_step if gates == 4 else gru_step, {}, {}
    for t in order:
        after, past[t] = step(z[t] + own.get("bias", 0), *states, own["recurrent_weight"], own.get("recurrent_bias", 0))
        there = True if mask is None else mask[t]
        states = found[t] = tuple(np.where(there, a, b) for a, b in zip(after, states, strict=True))
    dz = np.zeros_like(z)
    for t in reversed(order):
        there = True if mask is None else mask[t]
        if dsequence is not None:
            deltas = (deltas[0] + np.where(there, dsequence[t], 0), *deltas[1:])
        earlier, dz[t] = past[t](*deltas)
        deltas = tuple(np.where(there, a, b) for a, b in zip(earlier, deltas, strict=True))
        dz[t] = np.where(there, dz[t], 0)
    return tuple(np.stack([found[t][i] for t in range(len(z))]) for i in range(len(start))), deltas, dz


def test_both_ways_are_backpropagation_through_time(cases):
    for seed in cases:
        gates, reverse, *arrays = drawn(seed)
        found = jax.jit(lambda *a, g=gates, r=reverse: walked(g, r, *a))(*arrays)
        for one, exact in zip(jax.tree.leaves(found), jax.tree.leaves(defined(gates, reverse, *arrays)), strict=True):
            error = error_by_norm(one, exact)
            assert error <= CLOSE, (seed, one.shape, error)


def test_gradients_of_the_weights_are_sums_over_steps_and_batch(cases, monkeypatch):
    monkeypatch.setattr(native, "FEW_ROWS", 1)
    monkeypatch.setattr(native, "FEW_UNITS", 1)
    for seed in cases:
        rng = np.random.default_rng(seed)
        time, batch, features, units, width = (int(rng.integers(1, most)) for most in (12, 40, 50, 60, 150))
        f = lambda *shape, rng=rng: rng.normal(size=shape).astype(np.float32)  # noqa: E731
        x = None if rng.random() < 0.3 else f(time, batch, features)
        first, states, dz, reverse = f(batch, units), f(time, batch, units), f(time, batch, width), bool(seed % 2)
        found = jax.jit(lambda *a, r=reverse: gradients(*a, r, jnp.float32))(x, first, states, dz)
        before = np.concatenate([states[1:], first[None]] if reverse else [first[None], states[:-1]])
        wide = [None if a is None else a.reshape(time * batch, -1).astype(np.float64) for a in (x, before, dz)]
        exact = [a if a is None else a.T @ wide[2] for a in wide[:2]] + [wide[2].sum(0)]
        for one, other in zip(found, exact, strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                error = error_by_norm(one, other)
                assert error <= CLOSE, (seed, one.shape, error)


@pytest.mark.parametrize("layer", [rg.LSTM(16, bidirectional=True, output="all"), rg.GRU(17, output="sequence")])
def test_a_layer_gives_the_same_with_kernels_and_without(layer, monkeypatch):
    rng = np.random.default_rng(1)
    x, mask = rng.normal(size=(2, 3, 5, 4)).astype(np.float32), np.arange(5) < np.array([[5], [3], [1]])
    monkeypatch.setattr(native, "FEW_ROWS", 1)
    params = layer.init(jax.random.key(0), Spec(x.shape[1:], x.dtype)).params

    def run(params, x):
        step = run_layer(layer, params, {}, Context(True), (x, mask))
        return step.y, adjoint(layer, params, step.tape, jax.tree.map(jnp.ones_like, step.y))

    for many, given in ((False, x[0]), (True, x)):
        found = jax.jit(jax.vmap(run, (None, 0)) if many else run)(params, given)
        with kernels(False):  # another function: a compiled one keeps its choice
            again = lambda *a: run(*a)  # noqa: E731
            expected = jax.jit(jax.vmap(again, (None, 0)) if many else again)(params, given)
        assert_same_sums(found, expected)


def test_nan_stays_with_its_row_and_a_mask_hides_it():
    _, _, z, own, start, *_ = drawn(1)
    z = np.zeros((4, 3, z.shape[-1]), np.float32)
    start = tuple(np.zeros((3, s.shape[-1]), np.float32) for s in start)
    z[1, 0, 0] = z[1, 1, 0] = np.nan
    mask = np.ones((4, 3, 1), bool)
    mask[1, 1] = False
    states, _ = native.LSTM.run(None, z, own, start, mask, reverse=False)
    bad = np.isnan(np.asarray(states[0])).any(-1)
    assert bad[1:, 0].all()
    assert not bad[:, 1:].any()
    assert not bad[0].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_of_the_gradients_nan_and_infinity_reach_their_row_and_column_alone(bad):
    time, batch, units = 20, 30, 20
    x, states, dz = (np.ones((time, batch, n), np.float32) for n in (5, units, 40))
    first = np.ones((batch, units), np.float32)
    x[3, 2, 1], first[4, 7], states[-1, 0, 3], dz[9, 9, 39] = bad, bad, bad, bad  # the last state is not read
    found = jax.jit(lambda *a: gradients(*a, False, jnp.float32))(x, first, states, dz)
    with kernels(False):
        expected = jax.jit(lambda *a: gradients(*a, False, jnp.float32))(x, first, states, dz)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.isfinite(np.asarray(found[1])[3, :39]).all()
    assert not np.isfinite(np.asarray(found[1])[7]).any()


@dataclass(frozen=True)
class Forgetful(rg.LSTM):
    def step(self, own, z, before):
        (h, c), saved = super().step(own, z, before)
        return (0 * h, c), saved


def test_steps_of_a_subclass_are_not_replaced():
    x = np.ones((2, 3, 4), np.float32)
    layer = Forgetful(16)
    params = layer.init(jax.random.key(0), Spec(x.shape, x.dtype)).params
    assert not np.asarray(layer.forward(params, {}, Context(), x).y).any()
    assert np.asarray(rg.LSTM(16).forward(params, {}, Context(), x).y).any()
