"""Everything that a configuration can name has a manual page, made from its registry."""

import itertools
import shlex
from pathlib import Path

import pytest
from rich.cells import cell_len

import retrograd as rg
from retrograd.app.cli.main import VERBS, main
from retrograd.base.document import read_document
from retrograd.base.errors import UsageError
from retrograd.base.schema import fields
from retrograd.diagnosis.remedy import remedies
from retrograd.diagnosis.symptom import symptoms
from retrograd.explanation.manual import concepts
from retrograd.explanation.manual.pages import names
from retrograd.explanation.manual.settings import REGISTRIES
from retrograd.training.config.config import config_in, document_with

NAMES = list(dict.fromkeys(name for registry in REGISTRIES for name in registry))
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_a_page_of_80_columns_with_its_settings(name):
    page = rg.manual(name)
    assert max(map(len, page.splitlines())) <= 80
    for registry in REGISTRIES:
        if name in registry:
            assert f"({registry.kind})" in page
            assert all(f"    {field.name}: " in page for field in fields(registry[name]))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("training.batch_size", "training.batch_size: a positive integer, or all; default 32"),
        ("data.scale", "none, standard, robust, log, minmax or {divide: n}"),
        ("precision", "one of float32, float64, bfloat16"),
        ("data.split.method", "one of auto, random, stratified, time, group, none"),
        ("data.text", "data.text.max_tokens"),
        ("data.windows", "data.windows.horizon"),
        ("data.images", "data.images.size"),
        ("data.audio", "data.audio.bands"),
        ("training", "training.early_stopping.patience"),
        ("learning_rate", "a finite number > 0 or a schedule"),
        ("batch_size", "rows in one step"),
        ("optimizer.adam.beta1", "default 0.9"),
        ("share", "parameters taken from other nodes"),
        ("momentum", "batch_norm.momentum: "),
    ],
)
def test_a_setting_has_a_page_by_its_path_or_its_name(name, words):
    assert words in rg.manual(name)


@pytest.mark.parametrize(
    ("word", "ours"),
    [("hardtanh", "clip"), ("kaiming_uniform", "he_uniform"), ("BCEWithLogitsLoss", "binary_cross_entropy")],
)
def test_the_words_of_other_libraries_lead_to_the_page(word, ours):
    assert rg.manual(word) == f"{word} is called {ours} here.\n\n{rg.manual(ours)}"


def test_an_unknown_name_is_reported_with_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'dense'"):
        rg.manual("dens")


def test_the_list_names_everything_and_fits():
    listed = names()
    lines = [line.split(maxsplit=1) for line in listed.splitlines() if line.startswith("  ")]
    assert {*NAMES, *symptoms, *remedies, *concepts.concepts(), "data.text.max_tokens"} <= {line[0] for line in lines}
    assert max(map(cell_len, listed.splitlines())) <= 80
    headings = [line for line in listed.splitlines() if line[:1].strip()]
    assert [line.split()[0] for line in headings] == [
        "LAYERS", "BLOCKS", "LOSSES", "OPTIMIZERS", "SCHEDULES", "PENALTIES", "INITIALIZERS", "FINDINGS", "REMEDIES",
        "CONCEPTS", "SETTINGS",
    ]  # fmt: skip


@pytest.mark.parametrize("name", symptoms)
def test_a_finding_has_a_page_by_its_name_and_by_its_code(name):
    page = rg.manual(name)
    assert f"{name}  (finding {symptoms[name].code})" in page
    assert f"{name}  (finding" in rg.manual(symptoms[name].code)
    assert "A configuration that shows it:" in page or name == "wrong_gradient"  # which needs a layer of the user's
    assert max(map(len, page.splitlines())) <= 80


@pytest.mark.parametrize("name", remedies)
def test_a_remedy_has_a_page_that_says_why(name):
    page = rg.manual(name)
    assert f"{name}  (remedy)" in page
    assert " ".join(remedies[name].why.split()[:3]) in " ".join(page.split())
    assert max(map(len, page.splitlines())) <= 80


def test_the_page_of_a_finding_names_what_may_help():
    assert "hidden_relu" in rg.manual("deep_saturation")
    assert "deep_saturation" in rg.manual("hidden_relu")


@pytest.mark.parametrize("name", concepts.concepts())
def test_a_concept_leads_to_pages_and_to_a_command_that_exist(name):
    concept = concepts.concepts()[name]
    assert all(rg.manual(other) for other in concept.related)
    verb, what, *options = shlex.split(concept.command.removeprefix("retrograd "))
    assert verb in VERBS
    if what.startswith("examples/"):
        changes = [value for option, value in itertools.pairwise(options) if option == "--set"]
        config_in(EXAMPLES, document_with(changes, read_document(EXAMPLES.parent / what)))
    else:
        assert what == "last" or rg.manual(what)
    assert max(map(cell_len, rg.manual(name).splitlines())) <= 80


@pytest.mark.parametrize(
    ("term", "name"),
    [
        ("学习率", "learning_rate  (concept)"),
        ("学习率", "optimizer.adam.learning_rate"),
        ("反向传播", "backpropagation"),
        ("梯度消失", "vanishing_gradient"),
        ("过拟合", "overfitting"),
        ("卷积", "conv2d  (layer)"),
        ("交叉熵", "cross_entropy  (loss)"),
        ("批大小", "training.batch_size"),
        ("Vanishing Gradients", "vanishing_gradient"),
        ("over-fitting", "overfitting"),
        ("s08", "deep_saturation"),
    ],
)
def test_terms_in_chinese_and_other_spellings_lead_to_the_same_pages(term, name):
    assert name in rg.manual(term)


def test_every_chinese_term_leads_somewhere():
    assert all(rg.manual(term) for term in concepts.other_names())


def test_the_command_distinguishes_pages_lists_and_configurations(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "xor.yaml").write_text("data: xor\nnetwork: [{dense: 2}, tanh, {dense: 1}]\n")
    assert main(["explain", "relu"]) == 0
    assert "y = max(x, 0)" in capsys.readouterr().out
    assert main(["explain", "--list"]) == 0
    assert "LAYERS" in capsys.readouterr().out
    assert main(["explain", "xor.yaml", "--html", "page.html"]) == 0
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    assert main(["explain", "nothing"]) == 2
    assert "--list" in capsys.readouterr().err
    assert main(["explain", "missing.yaml"]) == 2
    assert "missing.yaml: not found" in capsys.readouterr().err
