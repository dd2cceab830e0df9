"""The page's texts: everything that the program may report on a run has a Chinese name."""

import re

import pytest

pytest.importorskip("starlette", reason="the extra `studio` is not installed")

import retrograd.diagnosis.diagnose  # noqa: F401 (which files the symptoms and the remedies)
from retrograd.diagnosis.remedy import remedies
from retrograd.diagnosis.symptom import symptoms
from retrograd.studio.static import FOLDER

TEXT = (FOLDER / "findings.js").read_text(encoding="utf-8")


def entries(name):
    block = re.search(rf"const {name} = \{{(.*?)\n\}};", TEXT, re.DOTALL)[1]
    return dict(re.findall(r"(\w+): \[(\".*?\", \".*?\")\]", block))


def test_every_symptom_and_every_remedy_has_a_chinese_title_and_sentence():
    kinds = entries("KINDS")
    assert {symptoms[name].code for name in symptoms} - set(kinds) == set()
    assert set(remedies) == set(entries("REMEDIES"))
    assert all(re.search("[\u4e00-\u9fff]", words) for words in kinds.values())
