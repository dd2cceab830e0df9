"""Schedules: what is common to all, the values where a rule turns, and the plateau."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from retrograd.base.errors import ConfigError
from retrograd.base.schema import dump_registered, parse_registered
from retrograd.update.optimizers import SGD
from retrograd.update.plateau import Plateau, ReduceOnPlateau
from retrograd.update.schedule import Timed
from retrograd.update.schedules import (
    Constant,
    Cosine,
    CosineRestarts,
    Cyclic,
    InverseTime,
    Linear,
    OneCycle,
    Polynomial,
    Step,
    schedules,
)


def example(name):
    return parse_registered(schedules, {name: schedules.entry(name).facts["example"]})


def rates(schedule, steps, total=None):
    """The rates at these steps, compiled, in float32 as in a run."""
    return np.asarray(jax.jit(jax.vmap(schedule.build(total)))(jnp.asarray(steps, jnp.int32)))


# ------------------------------------------------------------------------------------------------ contract of all


@pytest.mark.parametrize("name", schedules)
def test_settings_survive_a_round_trip(name):
    for filled in (True, False):
        written = dump_registered(schedules, example(name), filled=filled)
        assert parse_registered(schedules, written) == example(name)


@pytest.mark.parametrize("name", schedules)
def test_every_schedule_states_its_formula(name):
    assert schedules[name].formula.startswith("rate")
    assert schedules[name].latex


@pytest.mark.parametrize("name", schedules)
def test_rates_are_finite_numbers_that_never_are_negative(name):
    found = rates(example(name), [0, 1, 2, 3, 7, 19, 20, 21, 1000, 2**31 - 1], 20)
    assert found.shape == (10,)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert (found >= 0).all()


@pytest.mark.parametrize("name", schedules)
def test_all_rates_times_a_number_are_the_schedule_times_that_number(name):
    more = {"initial": 0.05, "final": 0.002, "minimum": 0.003, "warmup": 3}
    filled = {key: value for key, value in more.items() if hasattr(example(name), key)}
    for schedule in (example(name), dataclasses.replace(example(name), **filled)):
        lower = dataclasses.replace(schedule, **{key: rate / 8 for key, rate in schedule.rates().items()})
        np.testing.assert_allclose(rates(lower, range(30), 25), rates(schedule, range(30), 25) / 8, rtol=1e-5)


def test_the_first_rate_is_the_number_or_the_first_setting_of_the_schedule():
    assert SGD(0.25).first_rate == 0.25
    assert SGD(OneCycle(0.5, initial=0.1)).first_rate == 0.5
    assert Cyclic(0.1, 0.5, every=4).rates() == {"initial": 0.1, "peak": 0.5}
    assert Cosine(0.1, steps=4).rates() == {"initial": 0.1}


@pytest.mark.parametrize("name", schedules)
def test_a_python_integer_is_a_step_too(name):
    assert float(example(name).build(20)(3)) == pytest.approx(float(rates(example(name), [3], 20)[0]))


@pytest.mark.parametrize("name", [name for name in schedules if issubclass(schedules[name], Timed)])
def test_length_is_what_the_warmup_leaves_of_the_run(name):
    settings = {**schedules.entry(name).facts["example"], "warmup": 5}
    given = parse_registered(schedules, {name: {**settings, "steps": 15}})
    left_out = parse_registered(schedules, {name: {**settings, "steps": None}})
    np.testing.assert_array_equal(rates(given, range(25)), rates(left_out, range(25), 20))
    with pytest.raises(ConfigError, match=rf"{name}\.steps: the run has no fixed number of steps; set `steps`"):
        left_out.build(None)
    with pytest.raises(ConfigError, match="the warmup of 5 steps is not shorter than the run of 5; shorten"):
        left_out.build(5)


# ------------------------------------------------------------------------------------------------ where a rule turns


def test_warmup_rises_in_a_line_to_the_first_rate():
    schedule = Cosine(0.1, steps=10, warmup=4, warmup_start=0.2)
    np.testing.assert_allclose(rates(schedule, range(5)), [0.02, 0.04, 0.06, 0.08, 0.1], rtol=1e-6)
    np.testing.assert_allclose(rates(schedule, [14, 99]), 0, atol=1e-8)


def test_warmup_does_not_waste_the_first_step():
    assert rates(Constant(0.1, warmup=10), [0])[0] == pytest.approx(0.001)


def test_step_falls_exactly_at_each_multiple():
    for every in (3, 41, 47):  # in float32, the floor of t * (1 / 41) and t * (1 / 47) can be one too low
        step = np.arange(20 * every)
        np.testing.assert_allclose(rates(Step(1.0, every, 0.5), step), 0.5 ** (step // every), rtol=1e-6)


def test_polynomial_is_a_number_at_its_end_whatever_length_and_power():
    for steps in (3, 7, 26):
        end = rates(Polynomial(0.1, 0.01, power=1.5, steps=steps), [steps, steps + 1])
        np.testing.assert_allclose(end, 0.01, rtol=1e-6)


def test_linear_is_a_line():
    np.testing.assert_allclose(rates(Linear(1.0, 0.5, steps=5), range(7)), [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.5], rtol=1e-6)


def test_cosine_stays_at_its_end():
    np.testing.assert_allclose(
        rates(Cosine(0.1, 0.02, steps=8), [0, 4, 8, 9, 16]), [0.1, 0.06, 0.02, 0.02, 0.02], rtol=1e-6
    )


def test_cosine_restarts_at_equal_or_growing_distances():
    assert (rates(CosineRestarts(1.0, 5), [0, 5, 10, 5000]) == 1).all()
    assert (rates(CosineRestarts(1.0, 5, 3), [0, 5, 20, 65, 200]) == 1).all()
    assert (rates(CosineRestarts(1.0, 5, 3), [4, 19, 64, 199]) < 0.1).all()


def test_one_cycle_is_optax_s():
    with jax.enable_x64(True):
        for total in (2, 33):  # optax divides int32 steps in float32, so it is given float64
            step = jnp.arange(total + 3, dtype=jnp.int32)
            found = jax.jit(jax.vmap(OneCycle(0.5).build(total)))(step)
            expected = jax.jit(jax.vmap(optax.cosine_onecycle_schedule(total, 0.5)))(step.astype(float))
            np.testing.assert_allclose(jax.device_get(found), jax.device_get(expected), rtol=1e-10)


def test_one_cycle_takes_rates_of_its_own():
    found = rates(OneCycle(1.0, 0.5, 0.0, rise=0.5), [0, 5, 10, 15, 20, 30], 20)
    np.testing.assert_allclose(found, [0.5, 0.75, 1, 0.5, 0, 0], atol=1e-7)


def test_inverse_time_and_cyclic_are_their_formulas():
    np.testing.assert_allclose(rates(InverseTime(1.0, 1.0, 0.5), [0, 3, 8]), [1, 1 / 2, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(rates(Cyclic(1.0, 2.0, 4), range(6)), [1, 1.5, 2, 1.5, 1, 1.5], rtol=1e-6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"step": 0.1}, "step: expected {initial: a finite number > 0, every: a positive integer, at most"),
        ({"milestones": {"initial": 0.1, "at": []}}, "milestones.at: expected a list of positive integers"),
        ({"cosine": {"initial": 0.1, "steps": 10**12}}, "cosine.steps: expected a positive integer, at most"),
        ({"constant": {"initial": 0.1, "warmup": -1}}, "constant.warmup: expected"),
        ({"reduce_on_plateau": {"initial": 0.1, "factor": 1}}, "factor: expected a number in [0, 1)"),
    ],
)
def test_mistakes_are_named_with_their_place(given, message):
    with pytest.raises(ConfigError) as caught:
        parse_registered(schedules, given)
    assert message in str(caught.value)


# ------------------------------------------------------------------------------------------------ the plateau


def factors(rule, metrics):
    plateau, found = Plateau(), []
    for metric in metrics:
        plateau = rule.observe(plateau, metric)
        found.append(plateau.factor)
    return found


def test_plateau_waits_for_more_than_its_patience():
    rule = ReduceOnPlateau(1.0, 0.5, patience=2)
    assert factors(rule, [1.0] * 7) == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]


def test_plateau_forgives_an_improvement_only_above_the_threshold():
    rule = ReduceOnPlateau(1.0, 0.5, patience=1, threshold=0.1)
    assert factors(rule, [1.0, 0.95, 0.85, 0.84, 0.83]) == [1, 1, 1, 1, 0.5]


def test_a_negative_metric_improves_by_falling():
    rule = ReduceOnPlateau(1.0, 0.5, patience=1, threshold=0.1)
    assert factors(rule, [-1.0, -0.95, -0.95]) == [1, 1, 0.5]
    assert factors(rule, [-1.0, -1.2, -1.4, -1.6]) == [1, 1, 1, 1]


def test_plateau_does_not_count_while_it_cools_down():
    rule = ReduceOnPlateau(1.0, 0.5, patience=0, cooldown=2)
    assert factors(rule, [1.0] * 6) == [1, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_plateau_stops_at_the_minimum_and_never_raises_the_rate():
    assert factors(ReduceOnPlateau(0.1, 0.1, patience=0, minimum=0.05), [1.0] * 4) == [1, 0.5, 0.5, 0.5]
    assert factors(ReduceOnPlateau(0.1, 0.1, patience=0, minimum=0.5), [1.0] * 3) == [1, 1, 1]


def test_a_metric_that_is_no_number_is_no_improvement():
    rule = ReduceOnPlateau(1.0, 0.5, patience=1)
    assert factors(rule, [float("nan")] * 2 + [1.0, 0.5, 0.25]) == [1, 0.5, 0.5, 0.5, 0.5]
