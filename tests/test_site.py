"""The documentation has a page for everything that has a name, and its links lead somewhere."""

import ast
import posixpath
import re
import sys
from pathlib import Path

import pytest

import retrograd as rg
from retrograd.base.registry import ALL
from retrograd.diagnosis.remedy import remedies
from retrograd.diagnosis.symptom import symptoms
from retrograd.explanation.manual.concepts import concepts, other_names
from retrograd.explanation.manual.settings import REGISTRIES, configuration

DOCS = Path(__file__).parent.parent / "docs"
LINK = re.compile(r"\]\(([^):#]+)(?:#[^)]*)?\)")
FENCED = re.compile(r"^```.*?^```", re.M | re.S)


@pytest.fixture(scope="module")
def site():
    """The modules that make the pages, without mkdocs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS / "site"))
        import pages

        yield pages
        for name in ("pages", "api", "reference", "prose"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def pages(site):
    return site.all_pages()


def test_what_is_public_is_one_list_in_package_stub_and_documentation(site):
    stub = ast.parse(Path(rg.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imported = {alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported | {"__version__"} == set(rg.__all__)
    documented = [name for names in site.api.sections().values() for name in names]
    assert sorted(documented) == sorted(rg.__all__)


def test_every_public_name_is_a_heading_with_text(pages):
    text = "\n".join(page for place, page in pages.items() if place.startswith("api/"))
    bare = [name for name in rg.__all__ if not re.search(rf"^## rg\.{name}\n\n.*\w", text, re.M)]
    assert bare == []


@pytest.mark.parametrize("registry", [*REGISTRIES, symptoms, remedies], ids=lambda registry: registry.kind)
def test_everything_that_is_registered_has_a_page(site, pages, registry):
    assert {site.reference.place_of(registry, name) for name in registry} <= set(pages)


def is_ours(thing: object) -> bool:
    """Whether a thing is of the package: tests register things of their own."""
    return getattr(thing, "__module__", type(thing).__module__).startswith("retrograd.")


def test_no_registry_is_without_pages():
    of_package = [registry for registry in ALL if any(is_ours(registry[name]) for name in registry)]
    assert {registry.kind for registry in of_package} == {
        registry.kind for registry in (*REGISTRIES, symptoms, remedies)
    }


def test_every_concept_and_every_setting_has_a_page(site, pages):
    assert {f"concepts/{name}.md" for name in concepts()} <= set(pages)
    for path in configuration():
        group, _, name = path.rpartition(".")
        assert f"`{name}`" in pages[site.reference.place_of_group(group)], path


def test_every_chinese_term_leads_to_a_page(pages):
    assert [name for name in other_names() if not name.isascii() and f"| {name} | [" not in pages["chinese.md"]] == []


def test_links_lead_to_pages(pages):
    places = set(pages) | {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.*")}
    broken = [
        (place, to)
        for place, text in pages.items()
        for to in LINK.findall(FENCED.sub("", text))
        if posixpath.normpath(posixpath.join(posixpath.dirname(place), to)) not in places
    ]
    assert broken == []


def test_every_text_is_in_the_menu(site):
    assert {path.name for path in DOCS.glob("*.md")} == {*site.GUIDES, "glossary.md"}


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=lambda path: path.name)
def test_texts_link_to_files_of_the_documentation_alone(path):
    text = FENCED.sub("", path.read_text(encoding="utf-8"))
    links = [link for link in LINK.findall(text) if not link.startswith(("http", "mailto"))]
    outside = [link for link in links if DOCS.resolve() not in (path.parent / link).resolve().parents]
    assert outside == []  # the site does not have them
    assert [link for link in links if not (path.parent / link).exists() and not link.endswith(".html")] == []
