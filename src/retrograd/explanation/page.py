"""An explanation as a self-contained page, light and dark, for wide and narrow windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from retrograd.explanation.facts import RunFacts
from retrograd.explanation.risks import Risk
from retrograd.explanation.settings import SettingFacts
from retrograd.explanation.text import memory_words, node_rows, setting_lines, time_words
from retrograd.present.markup import Markup, element, joined
from retrograd.present.numbers import count, number, size
from retrograd.present.page import page

STYLE = Path(__file__).with_name("page.css")
HEADS = ("node", "output", "parameters", "forward", "backward", "tape", "scale")


def as_html(run: RunFacts) -> str:
    """Return an explanation as an HTML page."""
    body = joined([*_heading(run), *_risks(run), *_network(run), *_settings(run)])
    return page(f"{run.name}, explained", STYLE.read_text(encoding="utf-8"), body)


def _heading(run: RunFacts) -> Iterator[Markup]:
    t = run.totals
    rows = ", ".join(f"{number:,} {part}" for part, number in run.rows.items())
    yield element("h1", run.name)
    yield from (element("p", text, class_="facts") for text in (f"{run.task}; rows: {rows}", *run.notes))
    figures = [
        ("parameters", f"{t.parameters:,}"),
        ("multiply-adds per example", f"{count(t.forward_work)} forward, {count(t.backward_work)} backward"),
        ("memory", memory_words(t)),
        ("steps per epoch", f"{t.steps_per_epoch:,} steps of {t.batch_size:,} rows"),
        *([("time (measured)", time_words(t))] if t.seconds_per_step is not None else []),
    ]
    cells = (element("div", element("dt", label), element("dd", text)) for label, text in figures)
    yield element("dl", *cells, class_="figures")


def _risks(run: RunFacts) -> Iterator[Markup]:
    if places := run.risks_by_place():
        items = (element("li", _link(risks)) for risks in places.values())
        yield element("section", element("h2", "Looks risky"), element("ul", *items), class_="risks")
    yield from _boxes(run.at())


def _link(risks: list[Risk]) -> Markup:
    first = risks[0]
    names = ", ".join(risk.finding.name.replace("_", " ") for risk in risks)
    place = element("a", element("code", first.place), href=f"#{_anchor(first.node, first.setting)}")
    return joined([place, f": {names}"])


def _anchor(node: str, setting: str) -> str:
    """Return the id of a line in the page."""
    return quote(f"node-{node}" if node else f"setting-{setting}")


def _boxes(risks: Iterable[Risk]) -> Iterator[Markup]:
    """Yield findings in full, to be shown with their line."""
    for risk in risks:
        lines = (element("span", text) for text in risk.words())
        yield element("div", element("b", risk.finding.severity), " ", *lines, class_=_mark([risk]) or "note")


def _mark(risks: Iterable[Risk]) -> str | None:
    return "risky" if any(not risk.is_note for risk in risks) else None


def _network(run: RunFacts) -> Iterator[Markup]:
    yield element("h2", "Network")
    head = element("tr", *(element("th", text) for text in HEADS))
    body = (element("tr", *map(_cell, _cells(node)), class_=_mark(run.at(node=node.path))) for node in run.nodes)
    yield element("div", element("table", element("thead", head), element("tbody", *body)), class_="scroll")
    caption = "Work in multiply-adds per example; tape per batch; scale: root mean square at the start."
    yield element("p", caption, class_="facts")
    for node in run.nodes:
        risks = run.at(node=node.path)
        title = element("summary", element("b", node.path), f" {node.kind} {node.settings}".rstrip())
        rows = _rows([("reads", ", ".join(node.inputs)), *node_rows(node)])
        yield element("details", title, *_boxes(risks), rows, *_equations(node), id=_anchor(node.path, ""),
                      class_=_mark(risks), open="" if risks else None)  # fmt: skip
    for loss in run.losses:
        rows = _rows([("reads", ", ".join(loss.inputs)), ("weight", number(loss.weight, 6))])
        title = element("summary", element("b", loss.name), f" {loss.kind}")
        yield element("details", title, rows, *_equations(loss))
    yield element("p", run.update, class_="formula")


def _cells(node: Any) -> list[str]:
    scale = "" if node.measured_scale is None else number(node.measured_scale, 3)
    parameters = f"{node.parameters:,}" if node.parameters else ""
    work = count(node.forward_work), count(node.backward_work)
    return [node.path, node.shape, parameters, *work, size(node.tape_bytes), scale]


def _cell(text: str) -> Markup:
    return element("td", text)


def _settings(run: RunFacts) -> Iterator[Markup]:
    yield element("h2", "Settings")
    yield element("div", *(_setting(run, fact) for fact in run.settings if run.matters(fact)), class_="settings")
    defaults = [fact for fact in run.settings if not run.matters(fact)]
    title = element("summary", f"{len(defaults)} more settings at their defaults")
    inner = element("div", *(_setting(run, fact) for fact in defaults), class_="settings")
    yield element("details", title, inner)


def _setting(run: RunFacts, fact: SettingFacts) -> Markup:
    risks = run.at(setting=fact.path)
    return element(
        "div",
        element("code", fact.path),
        " ",
        element("b", fact.value, class_=None if fact.is_default else "given"),
        " ",
        element("small", fact.origin),
        *_boxes(risks),
        *(element("p", line) for line in setting_lines(fact)),
        id=_anchor("", fact.path),
        class_=_mark(risks),
    )


def _rows(rows: Iterable[tuple[str, str]]) -> Markup:
    return element("dl", *(part for label, text in rows for part in (element("dt", label), element("dd", text))))


def _equations(facts: Any) -> Iterator[Markup]:
    lines = [facts.forward, *facts.backward] if facts.forward else []
    if getattr(facts, "derivation", "written") != "written":
        lines.append(f"backward: derived by {facts.derivation}")
    yield from (element("p", line, class_="formula") for line in lines)
