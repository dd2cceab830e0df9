"""Every symptom finds its sick example, and neither the healthy one nor the one that only looks alike."""

import ast
import functools
from pathlib import Path

import pytest

import retrograd.diagnosis.diagnose  # registers the symptoms
import retrograd.repairs.repair  # and this the remedies
from retrograd.diagnosis.remedy import remedies
from retrograd.diagnosis.symptom import STAGES, Setup, symptoms
from retrograd.explanation.risks import QUICK, beside
from retrograd.explanation.settings import Reader

MADE = {}
SOURCE = Path(retrograd.__file__).parent


def program(setup: Setup):
    """Return the program of a setup; several symptoms share some, and with them their compiled steps and runs."""
    return MADE.setdefault(repr(setup), setup.program())


@functools.cache
def found(name, kind):
    examples = symptoms.entry(name).facts["examples"]
    return list(symptoms[name]().find(program(getattr(examples, kind))))


@pytest.mark.parametrize("name", list(symptoms))
def test_the_sick_example_is_found_with_its_code_place_and_remedies(name):
    findings = found(name, "sick")
    assert findings
    for finding in findings:
        assert finding.name == name
        assert finding.code == symptoms[name].code
        assert finding.message
        assert finding.path
        assert set(finding.remedies) <= set(remedies)
        assert 0 < finding.confidence <= 1


@pytest.mark.parametrize("kind", ["healthy", "near_miss"])
@pytest.mark.parametrize("name", list(symptoms))
def test_what_is_not_sick_is_not_found(name, kind):
    assert found(name, kind) == []


@pytest.mark.parametrize("name", list(symptoms))
def test_a_symptom_says_what_it_is_and_when_it_looks(name):
    symptom = symptoms[name]
    assert symptom.__doc__
    assert symptom.find.__doc__
    assert symptom.stage in STAGES
    assert symptom.code[0] in "SDB"
    assert symptom.code[1:].isdigit()


@pytest.mark.parametrize("name", [name for name in symptoms if symptoms[name].stage in QUICK])
def test_findings_without_training_are_shown_beside_a_line_of_the_explanation(name):
    case = program(symptoms.entry(name).facts["examples"].sick)
    assert case.prepared is not None
    settings = [fact.path for fact in Reader(case.prepared.config, case.config, None).settings()]
    for risk in beside(found(name, "sick"), case.graph.network.by_name, settings):
        assert risk.place, risk.finding.path


def named_remedies(path):
    """Yield the words that a file gives as remedies of a finding, wherever it makes one."""
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call):
            name = getattr(call.func, "id", getattr(call.func, "attr", ""))
            given = [each.value for each in call.keywords if each.arg == "remedies"]
            given += {"Finding": call.args[4:5], "told": call.args[2:]}.get(name, [])
            yield from (word.value for each in given for word in ast.walk(each) if isinstance(word, ast.Constant))


def test_every_remedy_that_is_named_anywhere_is_there():
    floors = [SOURCE / floor for floor in ("data", "train", "diagnosis", "explain", "tune", "app")]
    named = {word for floor in floors for path in floor.rglob("*.py") for word in named_remedies(path)}
    assert {"match_output", "scale_inputs", "weigh_classes"} <= named  # the walk sees them
    assert named <= set(remedies)


@pytest.mark.parametrize("loss", ["hinge", "mean_absolute_error"])
def test_a_loss_of_straight_lines_has_no_curvature_that_bounds_a_rate(loss):
    data = "halves" if loss == "hinge" else "line"
    slow = program(Setup(data, {"network": [{"dense": 1}], "loss": loss, "optimizer": {"sgd": 0.0005}}, {}))
    assert list(symptoms["slow_descent"]().find(slow)) == []


@pytest.mark.parametrize(
    ("rate", "goes"),
    [
        (0.05, True),
        ({"linear": {"initial": 0.05, "final": 0.05, "warmup": 20}}, True),
        ({"constant": {"initial": 0.05, "warmup": 100_000}}, False),
        ({"exponential": {"initial": 0.05, "factor": 0.01, "every": 1}}, False),
    ],
    ids=["constant", "short warm-up", "warm-up without end", "decay at once"],
)
def test_a_schedule_goes_as_far_as_the_sum_of_its_rates(rate, goes):
    optimizer = {"sgd": {"learning_rate": rate}}
    slow = program(Setup("line", {"network": [{"dense": 1}], "optimizer": optimizer, "training": {"epochs": 40}}, {}))
    findings = [finding for finding in symptoms["curvature"]().find(slow) if "make no progress" in finding.message]
    assert (findings == []) is goes


def test_the_mean_rate_is_that_of_all_steps():
    for rate in (0.05, {"cosine": {"initial": 0.05}}, {"constant": {"initial": 0.05, "warmup": 30}}):
        one = program(Setup("line", {"network": [{"dense": 1}], "optimizer": {"sgd": {"learning_rate": rate}}}, {}))
        exact = sum(one.rate(step) for step in range(one.prepared.steps)) / one.prepared.steps
        assert one.mean_rate == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize(("momentum", "swings"), [(0.9, False), (0.97, False), (0.9999, True)])
def test_a_momentum_that_outlives_the_training_never_comes_to_rest(momentum, swings):
    optimizer = {"sgd": {"learning_rate": 0.05, "momentum": momentum}}
    one = program(Setup("line", {"network": [{"dense": 1}], "optimizer": optimizer, "training": {"epochs": 40}}, {}))
    paths = [finding.path for finding in symptoms["curvature"]().find(one)]
    assert ("optimizer.momentum" in paths) is swings
