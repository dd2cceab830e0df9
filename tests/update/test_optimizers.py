"""Optimizers: what is common to all of them, and closed forms of those that no recorded number covers."""

import dataclasses
from contextlib import nullcontext
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.base.errors import ConfigError
from retrograd.base.schema import dump_registered, parse_registered
from retrograd.update.adam import Adam, AdamW, NAdam
from retrograd.update.optimizers import ASGD, SGD, Lion, RMSprop, optimizers
from retrograd.update.schedules import Constant, Cosine, schedules
from retrograd.update.step import apply_gradients

PARAMS = {"dense": {"weight": jnp.asarray([[1.0, -2.0], [0.5, 3.0]]), "bias": jnp.asarray([0.3, -0.1])}}
GRADS = np.random.default_rng(3).normal(size=(6, 2, 2))


def example(registry, name):
    return parse_registered(registry, {name: registry.entry(name).facts["example"]})


def types(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), tree)


def steps(optimizer, grads=GRADS, start=PARAMS["dense"]["weight"], total=None):
    """The weight after each of the given gradients, in float64."""
    with jax.enable_x64(True):
        chain = optimizer.build(total)
        params = {"dense": {"weight": jnp.asarray(start, float)}}
        moments, after = chain.init(params), []
        for grad in grads:
            params, moments = apply_gradients(chain, params, {"dense": {"weight": jnp.asarray(grad)}}, moments)
            after.append(np.asarray(jax.device_get(params["dense"]["weight"])))
    return np.asarray(after)


# ------------------------------------------------------------------------------------------------ contract of all


@pytest.mark.parametrize("name", optimizers)
def test_settings_survive_a_round_trip(name):
    for settings in (example(optimizers, name), optimizers[name]()):
        assert parse_registered(optimizers, dump_registered(optimizers, settings)) == settings
        assert parse_registered(optimizers, dump_registered(optimizers, settings, filled=False)) == settings


@pytest.mark.parametrize("name", optimizers)
def test_every_optimizer_states_formula_and_source(name):
    cls = optimizers[name]
    assert "d = " in cls.formula
    assert cls.latex
    assert "See:" in cls.__doc__


@pytest.mark.parametrize("name", optimizers)
def test_the_learning_rate_is_the_first_field(name):
    assert parse_registered(optimizers, {name: 0.25}).learning_rate == 0.25
    assert optimizers[name](0.25).learning_rate == 0.25


@pytest.mark.parametrize("precision", ["float32", "float64", "float32 where float64 is on"])
@pytest.mark.parametrize("name", optimizers)
def test_types_of_params_and_state_are_a_fixed_point(name, precision):
    """Under every schedule, and with all that can be in the chain: a scan accepts no other carry."""
    every = {"weight_decay": 0.1, "clip_value": 1.0, "clip_norm": 1.0, "clip_global_norm": 1.0}
    with jax.enable_x64(True) if "64" in precision else nullcontext():
        params = jax.eval_shape(lambda: jax.tree.map(lambda p: p.astype(precision.split()[0]), PARAMS))
        for schedule in schedules:
            rate = example(schedules, schedule)
            chain = dataclasses.replace(example(optimizers, name), learning_rate=rate, **every).build(50)
            before = params, jax.eval_shape(chain.init, params)
            factor = jax.ShapeDtypeStruct((), jnp.float32)
            after = jax.eval_shape(partial(apply_gradients, chain), before[0], before[0], before[1], factor)
            assert types(after) == types(before)


@pytest.mark.parametrize("name", optimizers)
def test_state_does_not_depend_on_schedule_clipping_or_decay(name):
    plain = dataclasses.replace(example(optimizers, name), weight_decay=0.0)
    full = dataclasses.replace(plain, learning_rate=Cosine(0.1), weight_decay=0.1, clip_value=1.0, clip_norm=1.0,
                               weight_decay_on="weights", clip_global_norm=1.0)  # fmt: skip
    assert jax.tree.structure(plain.build(None).init(PARAMS)) == jax.tree.structure(full.build(9).init(PARAMS))


@pytest.mark.parametrize("name", optimizers)
def test_a_compiled_run_goes_downhill(name):
    """On 1/2 ‖p‖², at a rate of a hundredth of the distance (adadelta finds its own)."""
    rate = 1.0 if name == "adadelta" else 0.02
    chain = optimizers[name](rate).build(None)

    @jax.jit
    def run(params):
        def body(carry, _):
            return apply_gradients(chain, carry[0], carry[0], carry[1]), None

        return jax.lax.scan(body, (params, chain.init(params)), None, length=100)[0][0]

    before, after = (sum(float((p**2).sum()) for p in jax.tree.leaves(tree)) for tree in (PARAMS, run(PARAMS)))
    assert after < 0.99 * before


def test_rate_is_that_of_the_schedule():
    assert float(SGD(0.25).rate(7)) == 0.25
    assert float(SGD(Cosine(0.2)).rate(10, 20)) == pytest.approx(0.1)


def test_a_schedule_without_a_length_is_an_error_at_its_place_in_the_configuration():
    with pytest.raises(ConfigError, match=r"^optimizer\.sgd\.learning_rate\.cosine\.steps: the run has no fixed"):
        SGD(Cosine(0.2)).build(None)


def test_updates_follow_the_schedule():
    after = steps(SGD({"step": {"initial": 1.0, "every": 2, "factor": 0.5}}), np.ones((6, 2, 2)))
    moved = -np.diff(np.concatenate([PARAMS["dense"]["weight"][None], after]), axis=0)[:, 0, 0]
    np.testing.assert_allclose(moved, [1, 1, 0.5, 0.5, 0.25, 0.25])


# ------------------------------------------------------------------------------------------------ order, decay, clip


def test_clipping_comes_before_decay():
    # the gradient 100 is cut to 1, then 0.5 * 2 is added: p - 0.1 * 2
    optimizer = SGD(0.1, weight_decay=0.5, clip_value=1.0)
    np.testing.assert_allclose(steps(optimizer, [[[100.0]]], [[2.0]]), [[[1.8]]])


def test_decoupled_decay_bypasses_the_moments():
    # a zero gradient leaves Adam's direction 0: only the decay moves p, by learning_rate * weight_decay * p
    for optimizer in (AdamW(0.1, weight_decay=0.5), Lion(0.1, weight_decay=0.5)):
        np.testing.assert_allclose(steps(optimizer, [[[0.0]]], [[2.0]]), [[[2.0 - 0.1 * 0.5 * 2.0]]])


def test_coupled_decay_goes_through_the_moments():
    # Adam's first direction is the sign of g + weight_decay p, whatever its size
    after = steps(Adam(0.1, weight_decay=0.5), [[[0.0]]], [[2.0]])
    np.testing.assert_allclose(after, [[[1.9]]], rtol=1e-8)  # eps


def test_decay_can_spare_biases():
    zeros = jax.tree.map(jnp.zeros_like, PARAMS)
    for on, bias in (("all", 0.9), ("weights", 1.0)):
        chain = SGD(0.1, weight_decay=1.0, weight_decay_on=on).build(None)
        updates, _ = chain.update(zeros, chain.init(PARAMS), PARAMS)
        factors = jax.tree.map(lambda p, u: float(((p + u) / p).mean()), PARAMS, updates)["dense"]
        assert factors == pytest.approx({"weight": 0.9, "bias": bias})


# ------------------------------------------------------------------------------------------------ closed forms


def test_nadam_is_its_formula_whatever_the_speed_of_beta1():
    optimizer, (b1, b2, eps) = NAdam(0.1, momentum_decay=1.0), (0.9, 0.999, 1e-8)  # Keras's schedule of beta1
    weight = [b1 * (1 - 0.5 * 0.96**t) for t in range(len(GRADS) + 2)]
    p, m, v, expected = np.asarray(PARAMS["dense"]["weight"], float), 0.0, 0.0, []
    for t, g in enumerate(GRADS, 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        now, then = np.prod(weight[1 : t + 1]), np.prod(weight[1 : t + 2])
        ahead = (1 - weight[t]) * g / (1 - now) + weight[t + 1] * m / (1 - then)
        p = p - 0.1 * ahead / (np.sqrt(v / (1 - b2**t)) + eps)
        expected.append(p)
    np.testing.assert_allclose(steps(optimizer), expected, rtol=1e-12)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_adam_without_bias_correction_divides_the_bare_averages(amsgrad):
    optimizer, (b1, b2, eps) = Adam(0.1, beta2=0.5, amsgrad=amsgrad, bias_correction=False), (0.9, 0.5, 1e-8)
    p, m, v, top, expected = np.asarray(PARAMS["dense"]["weight"], float), 0.0, 0.0, 0.0, []
    for g in GRADS:
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        top = np.maximum(top, v) if amsgrad else v
        p = p - 0.1 * m / (np.sqrt(top) + eps)
        expected.append(p)
    np.testing.assert_allclose(steps(optimizer), expected, rtol=1e-12)


@pytest.mark.parametrize("settings", [{}, {"amsgrad": True}, {"bias_correction": False}])
@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_the_equation_of_adam_follows_its_settings(kind, settings):
    optimizer = kind(**settings)
    assert ("max(w, v)" in optimizer.equation) is optimizer.amsgrad
    assert ("beta1^t" in optimizer.equation) is optimizer.bias_correction
    assert (optimizer.equation == optimizer.formula) is (not settings)


def test_lion_is_its_formula():
    optimizer = Lion(0.1, weight_decay=0.2)
    p, m, expected = np.asarray(PARAMS["dense"]["weight"], float), 0.0, []
    for g in GRADS:
        p = p - 0.1 * (np.sign(0.9 * m + 0.1 * g) + 0.2 * p)
        m = 0.99 * m + 0.01 * g
        expected.append(p)
    np.testing.assert_allclose(steps(optimizer), expected, rtol=1e-12)


def test_centered_rmsprop_stays_finite_while_the_gradient_is_constant():
    """E[g²] - E[g]² turns negative here in float32: optax 0.2.8 gives NaN for half of these gradients."""
    chain = RMSprop(1e-9, decay=0.5, centered=True).build(None)
    grads = {"dense": {"weight": jnp.exp(4 * jax.random.normal(jax.random.key(0), (50, 2)))}}

    @jax.jit
    def run():
        def body(state, _):
            updates, state = chain.update(grads, state)
            return state, jnp.isfinite(updates["dense"]["weight"]).all()

        return jax.lax.scan(body, chain.init(grads), None, length=300)[1]

    assert run().all()


# ------------------------------------------------------------------------------------------------ mistakes


@pytest.mark.parametrize(
    ("given", "where", "message"),
    [
        ({"sgd": {"learning_rte": 0.1}}, "sgd.learning_rte", "did you mean 'learning_rate'?"),
        ({"sgd": 0}, "sgd.learning_rate", "expected a finite number > 0, or a schedule; found 0"),
        ({"sgd": float("nan")}, "sgd.learning_rate", "found nan"),
        ({"sgd": {"momentum": 1}}, "sgd.momentum", r"expected a number in [0, 1), found 1"),
        ({"sgd": {"nesterov": True}}, "sgd.nesterov", "needs momentum"),
        ({"sgd": "cosin"}, "sgd.learning_rate", "did you mean 'cosine'?"),
        ({"sgd": {"learning_rate": {"cosine": -1}}}, "sgd.learning_rate.cosine.initial", "finite number > 0"),
        ({"adam": {"clip_norm": 0}}, "adam.clip_norm", "found 0"),
        ("adamm", "", "did you mean 'adam'?"),
    ],
)
def test_mistakes_are_named_with_place_and_cure(given, where, message):
    with pytest.raises(ConfigError) as caught:
        parse_registered(optimizers, given)
    (problem,) = caught.value.problems
    assert problem.where == where
    assert message in str(problem)


def test_asgd_takes_pytorchs_steps_and_a_schedule_as_it_is():
    after = steps(ASGD(0.2, shrinking=0.05, power=0.6))
    torchs = [[0.7625955143210883, -2.1199773175405885], [0.6464670593423376, 3.259101376453678]]  # torch 2.13, float64
    np.testing.assert_allclose(after[-1], torchs, rtol=1e-9)
    averaged = [
        [0.8049928956021147, -1.9534399032422833],
        [0.7874482870038785, 3.211703126379878],
    ]  # its ax; t0 = 2 begins at step 4
    np.testing.assert_allclose(after[3:].mean(0), averaged, rtol=1e-9)
    constant = steps(ASGD(Constant(0.2), shrinking=0.05))
    np.testing.assert_allclose(constant, steps(SGD(0.2, weight_decay=0.05)), rtol=1e-12)
