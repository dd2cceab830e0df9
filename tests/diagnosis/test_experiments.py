"""One remedy alone, tried: it decides which cause comes first."""

import dataclasses

import numpy as np
import pytest

from retrograd.base.finding import Finding
from retrograd.data.settings import DataSettings
from retrograd.diagnosis.diagnose import examine
from retrograd.diagnosis.experiment import Experiment, plan
from retrograd.diagnosis.explains import EXPLAINS, explained
from retrograd.diagnosis.observe import observe
from retrograd.diagnosis.ranking import ranked
from retrograd.diagnosis.symptom import setup, symptoms
from retrograd.diagnosis.variant import rescaled, variant
from retrograd.training.config.config import with_rate

HEAD = [{"dense": {"units": 8, "activation": "relu"}}]
SLOW = setup("halves", network=[*HEAD, {"dense": 1}], optimizer={"sgd": 0.001}, training={"epochs": 4})
RATE = Experiment("lower_rate", 0.5, 0.97, True, 0.01)


def finding(name, remedy, confidence=0.7, **more):
    return Finding(name, f"place of {name}", "something", (), (remedy,), confidence=confidence, **more)


@pytest.fixture(scope="module")
def program():
    return SLOW.program()


def test_a_cause_whose_remedy_alone_repairs_comes_first_with_both_scores():
    found = [finding("initial_weights", "default_initial_weights", 0.9), finding("curvature", "lower_rate", 0.6)]
    assert ranked(found, "ill")[0].name == "initial_weights"
    failed = Experiment("default_initial_weights", 0.5, 0.52, False)
    first, second = ranked(found, "ill", [failed, RATE])
    assert first.name == "curvature"
    assert {each.quantity: each.value for each in first.evidence} == {
        "score of the worst seed, unchanged": 0.5,
        "with lower_rate alone": 0.97,
    }
    assert second.evidence[-1].value == 0.52


def test_a_rate_that_nothing_had_named_becomes_a_cause_of_its_own():
    first, *_ = ranked([finding("underfit", "raise_rate", 0.35)], "ill", [RATE])
    assert (first.name, first.code, first.path) == ("learning_rate", "S07", "optimizer.learning_rate")
    assert "too large: with 0.01" in first.message
    assert first.form.format(**first.values) == first.message
    more, *_ = ranked([], "ill", [Experiment("more_updates", 0.5, 0.9, True)])
    assert (more.code, more.path) == ("S12", "training.epochs")


def test_an_effect_is_promoted_where_its_remedy_is_none_of_rates():
    order = ranked([finding("dead_units", "lower_rate")._replace(remedies=("lower_rate", "leaky"))], "ill",
                   [Experiment("leaky", 0.5, 0.9, True)])  # fmt: skip
    assert order[0].remedies[0] == "leaky"


def test_likely_causes_are_tried_before_rates_and_unlikely_ones_after_them(program):
    sure, unsure = finding("unscaled_inputs", "scale_inputs", 0.9), finding("narrow", "widen", 0.4)
    names = list(plan(program, [sure, unsure]))
    assert names[0] == "scale_inputs"
    assert names.index("raise_rate") < names.index("more_updates")
    assert "widen" not in names  # it makes up for anything
    known = list(plan(program, [finding("curvature", "lower_rate", 0.8)]))
    assert known[:2] == ["lower_rate", "lower_rate_much"]
    assert "raise_rate" not in known


def test_another_remedy_for_a_likely_cause_is_tried_and_confirms_it(program):
    cause = finding("magnitudes", "log_inputs", 0.4)._replace(remedies=("log_inputs", "robust_inputs", "adam"))
    assert list(plan(program, [cause]))[:2] == ["log_inputs", "robust_inputs"]
    tried = [Experiment("log_inputs", 0.3, 0.5, False), Experiment("robust_inputs", 0.3, 0.9, True)]
    first, *_ = ranked([finding("underfit", "widen"), cause], "ill", tried)
    assert (first.name, first.remedies[0]) == ("magnitudes", "robust_inputs")


def test_notes_ask_for_no_experiment(program):
    assert "weigh_classes" not in list(plan(program, [finding("imbalance", "weigh_classes", severity="note")]))


def test_a_cause_explains_its_consequences_and_not_the_other_way_round():
    assert explained({"unscaled_inputs", "curvature", "saturation"}) == {"curvature", "saturation"}
    assert explained({"learning_rate", "dead_units", "oscillation"}) == {"dead_units", "oscillation"}
    assert explained({"curvature"}) == set()
    assert {name for names in EXPLAINS.values() for name in names} - set(symptoms) <= {"learning_rate"}


def test_a_rate_times_a_factor_is_the_run_at_that_rate(program):
    at_once = observe(program.prepared, program.runs.scorer, program.runs.stepper.with_rates_times(50.0))
    other = variant(program, with_rate(program.config, 0.05))
    again = observe(other.prepared, other.runs.scorer, other.runs.stepper)
    assert at_once.losses == pytest.approx(again.losses, rel=1e-5)
    assert observe(program.prepared, program.runs.scorer, program.runs.stepper).losses[-1] > 1.05 * at_once.losses[-1]


def test_a_variant_shares_what_stays_the_same(program):
    longer = dataclasses.replace(program.config, training=dataclasses.replace(program.config.training, epochs=9))
    other = variant(program, longer)
    assert other.runs.stepper is program.runs.stepper
    assert other.runs.scorer.evaluator is program.runs.scorer.evaluator
    assert other.prepared.steps == 9 * program.prepared.steps // 4


def test_arrays_are_scaled_as_reading_them_again_would():
    case = setup("line", {"stretch": 40.0, "shift": 7.0}, network=[{"dense": 1}]).program()
    again = setup("line", {"stretch": 40.0, "shift": 7.0, "data": {"scale": "standard", "scale_target": "standard"}},
                  network=[{"dense": 1}]).program()  # fmt: skip
    found = rescaled(case.dataset, DataSettings(), DataSettings(scale="standard", scale_target="standard"))
    for part in ("train", "valid"):
        for name in ("x", "y"):
            np.testing.assert_allclose(
                getattr(found, part)[name], getattr(again.dataset, part)[name], rtol=1e-4, atol=1e-5
            )
    clipped = rescaled(case.dataset, None, DataSettings(scale="robust", clip=1.0))
    assert np.abs(clipped.train["x"]).max() == 1.0
    assert rescaled(case.dataset, None, DataSettings(missing="drop")) is None


def test_a_rate_a_hundred_times_too_large_is_named_first_though_only_effects_were_seen():
    large = setup("blobs", network=[*HEAD, *HEAD, {"dense": 3}], optimizer={"adam": 30.0}, training={"epochs": 15})
    found = examine(large.program(), 1)
    assert found.ill
    assert found.causes[0].code == "S07"
    assert found.experiments[-1].heals
    assert found.experiments[-1].after > found.experiments[-1].before + 0.1


@pytest.mark.parametrize(("rate", "epochs", "code"), [(1e-6, 30, "S07"), (1e-3, 3, "S12")])
def test_a_rate_too_small_is_distinguished_from_too_few_updates(rate, epochs, code):
    case = setup("halves", network=[*HEAD, {"dense": 1}], optimizer={"adam": rate},
                 training={"epochs": epochs, "batch_size": 8})  # fmt: skip
    found = list(symptoms["travel"]().find(case.program()))
    assert [each.code for each in found] == [code]
