"""Every symptom finds its sick example, and neither the healthy one nor the one that only looks alike."""

import functools

import pytest

import retrograd.diagnosis.diagnose  # registers the symptoms
import retrograd.repair.repair  # noqa: F401  # and this the remedies
from retrograd.diagnosis.symptom import STAGES, Setup, symptoms
from retrograd.repair.remedy import remedies

CHEAP = [name for name in symptoms if symptoms[name].stage in ("static", "data")]
MADE = {}


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
