"""Both doctors by their source: every code and threshold is in the catalogue, every message has its values."""

import ast
from pathlib import Path
from string import Formatter

import pytest

import retrograd
from retrograd.diagnosis.catalogue import CATALOGUE
from retrograd.diagnosis.symptom import symptoms
from retrograd.explanation.manual.findings import thresholds_of
from retrograd.explanation.manual.pages import manual

ROOT = Path(retrograd.__file__).parent
SOURCES = [*(ROOT / "diagnosis").rglob("*.py"), *(ROOT / "interop" / "torch").rglob("*.py")]
NODES = [(path, node) for path in SOURCES for node in ast.walk(ast.parse(path.read_text()))]
CALLS = [(path, node) for path, node in NODES if isinstance(node, ast.Call)]
FINDINGS = [
    pytest.param(call, id=f"{path.stem}:{call.lineno}")
    for path, call in CALLS
    if isinstance(call.func, ast.Attribute)
    and call.func.attr == "finding"
    and not isinstance(call.args[0], ast.Starred)
]


def codes():
    for _, node in NODES:
        is_code = isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "code"
        if (is_code or (isinstance(node, ast.keyword) and node.arg == "code")) and isinstance(node.value, ast.Constant):
            yield node.value.value


def test_the_codes_of_both_doctors_are_those_of_the_catalogue():
    assert set(codes()) == set(CATALOGUE)


def test_every_threshold_that_a_rule_asks_for_is_in_the_catalogue_and_has_a_reason():
    asked = [call for _, call in CALLS if getattr(call.func, "id", "") == "threshold"]
    plain = [call for call in asked if all(isinstance(word, ast.Constant) for word in call.args)]
    assert len(plain) > 60
    assert all(call.args[1].value in CATALOGUE[call.args[0].value].thresholds for call in plain)
    assert all(len(limit.reason) > 10 for kind in CATALOGUE.values() for limit in kind.thresholds.values())


def asked():
    """Every pair that some rule asks for; where a loop or a subclass fills it in, the words of the same file."""
    for path, call in CALLS:
        if getattr(call.func, "id", "") == "threshold":
            words = {node.value for file, node in NODES if file == path and isinstance(node, ast.Constant)}
            code, name = ({word.value} if isinstance(word, ast.Constant) else words for word in call.args)
            yield from ((c, n) for c in code for n in name if c in CATALOGUE and n in CATALOGUE[c].thresholds)


def test_every_threshold_of_the_catalogue_is_one_by_which_a_rule_judges():
    assert set(asked()) == {(code, name) for code, kind in CATALOGUE.items() for name in kind.thresholds}


def test_the_manual_gives_the_thresholds_of_a_symptom_and_no_others():
    assert [limit.value for limit in thresholds_of(symptoms["clipped"])] == [0.1]
    assert len(thresholds_of(symptoms["deep_saturation"])) == 4
    assert thresholds_of(symptoms["no_bias"]) == []
    assert [limit.value for limit in thresholds_of(symptoms["unshuffled"])] == [0.9]
    assert [limit.value for limit in thresholds_of(symptoms["bad_split"])] == [0.9, 0.02, 0.5]


def test_every_threshold_is_on_the_page_of_its_code():
    for code, kind in CATALOGUE.items():
        page = " ".join(manual(code).split())
        assert all(f"Threshold: {value:g} {reason}" in page for value, reason in kind.thresholds.values()), code
    assert "Detected by `retrograd diagnose` as clipped, curvature" in manual("S07")
    assert "Detected by `retrograd.torch.watch` in a training loop." in manual("S07")
    assert "torch" not in manual("D12")


@pytest.mark.parametrize("call", FINDINGS)
def test_every_name_in_a_message_has_a_value_and_every_value_a_name(call):
    form = call.args[1]
    if not isinstance(form, ast.Constant):
        return
    mapping = next((word.value for word in call.keywords if word.arg == "values"), None)
    names = {name for _, name, _, _ in Formatter().parse(form.value) if name} if mapping else set()
    keys = {key.value for key in mapping.keys} if isinstance(mapping, ast.Dict) else set()
    assert names == keys
    assert mapping or "{" not in form.value
