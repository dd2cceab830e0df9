"""An explanation as one self-contained page, light and dark, for wide and narrow windows."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from retrograd.explanation.facts import RunFacts
from retrograd.explanation.risks import Risk
from retrograd.explanation.text import memory_words, node_rows, setting_lines
from retrograd.present.numbers import count, duration, size

STYLE = Path(__file__).with_name("page.css")


def as_html(made: RunFacts) -> str:
    """Return the page."""
    title = f"{made.name}, explained"
    parts = [*_heading(made), *_risks(made), *_network(made), *_settings(made)]
    style = STYLE.read_text(encoding="utf-8")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{_e(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>\n{style}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _heading(made: RunFacts) -> Iterator[str]:
    t = made.totals
    rows = ", ".join(f"{number:,} {part}" for part, number in made.rows.items())
    yield f"<h1>{_e(made.name)}</h1><p class=facts>{_e(made.task)}; rows: {rows}</p>"
    yield "".join(f"<p class=facts>{_e(note)}</p>" for note in made.notes)
    figures = [
        ("parameters", f"{t.parameters:,}"),
        ("multiply-adds an example", f"{count(t.forward_work)} forward, {count(t.backward_work)} backward"),
        ("memory", memory_words(t)),
        ("steps an epoch", f"{t.steps_per_epoch:,} of {t.batch_size:,} rows"),
    ]
    if t.seconds_per_step is not None and t.seconds_per_epoch is not None:
        whole = duration(t.epochs * t.seconds_per_epoch)
        told = f"{duration(t.seconds_per_step)} a step, {duration(t.seconds_per_epoch)} an epoch"
        figures.append(("time (measured)", f"{told}, {t.epochs:,} epochs {whole} at most"))
    cells = "".join(f"<div><dt>{_e(label)}</dt><dd>{_e(text)}</dd></div>" for label, text in figures)
    yield f"<dl class=figures>{cells}</dl>"


def _risks(made: RunFacts) -> Iterator[str]:
    if made.risks:
        items = "".join(f"<li>{_linked(found)}</li>" for found in made.risks_by_place().values())
        yield f"<section class=risks><h2>Looks risky</h2><ul>{items}</ul>{_told(made.at())}"
        yield "<p class=facts>Told beside each line; a note is harmless as long as the network learns.</p></section>"


def _linked(found: list[Risk]) -> str:
    first = found[0]
    names = ", ".join(risk.finding.name.replace("_", " ") + " (note)" * risk.is_note for risk in found)
    return f'<a href="#{_anchor(first.node, first.setting)}"><code>{_e(first.place)}</code></a>: {_e(names)}'


def _anchor(node: str, setting: str) -> str:
    """Return the name of a line within the page."""
    return _e(quote(f"node-{node}" if node else f"setting-{setting}"))


def _told(found: Iterable[Risk]) -> str:
    """Return findings in full, as they stand beside their line."""
    return "".join(
        f"<div class=risk><b>{_e(risk.finding.severity)}</b> {'<br>'.join(map(_e, risk.words()))}</div>"
        for risk in found
    )


def _mark(found: Iterable[Risk]) -> str:
    return " class=risky" if any(not risk.is_note for risk in found) else ""


def _network(made: RunFacts) -> Iterator[str]:
    heads = ("node", "output", "parameters", "forward", "backward", "tape", "scale")
    yield "<h2>Network</h2><div class=scroll><table><thead><tr>"
    yield "".join(f"<th>{head}</th>" for head in heads) + "</tr></thead><tbody>"
    for node in made.nodes:
        scale = "" if node.measured_scale is None else f"{node.measured_scale:.3g}"
        cells = [f"{node.path}", node.shape, f"{node.parameters:,}" if node.parameters else "",
                 count(node.forward_work), count(node.backward_work), size(node.tape_bytes), scale]  # fmt: skip
        yield f"<tr{_mark(made.at(node=node.path))}>" + "".join(f"<td>{_e(cell)}</td>" for cell in cells) + "</tr>"
    yield "</tbody></table></div>"
    yield "<p class=facts>Work in multiply-adds an example; tape of a batch; scale: root mean square at the start.</p>"
    for node in made.nodes:
        settings = f" {_e(node.settings)}" if node.settings else ""
        found = made.at(node=node.path)
        opened = f"{_mark(found)} open" if found else ""
        yield f'<details id="{_anchor(node.path, "")}"{opened}>'
        yield f"<summary><b>{_e(node.path)}</b> {_e(node.kind)}{settings}</summary>{_told(found)}"
        yield _rows([("reads", ", ".join(node.inputs)), *node_rows(node)]) + _equations(node) + "</details>"
    for loss in made.losses:
        yield f"<details><summary><b>{_e(loss.name)}</b> {_e(loss.kind)}</summary>"
        rows = [("reads", ", ".join(loss.inputs)), ("weight", f"{loss.weight:g}")]
        yield _rows(rows) + _equations(loss) + "</details>"
    yield f"<p class=formula>{_e(made.update)}</p>"


def _settings(made: RunFacts) -> Iterator[str]:
    yield "<h2>Settings</h2><div class=settings>"
    for fact in made.settings:
        found = made.at(setting=fact.path)
        given = " class=given" if fact.origin.startswith(("line", "given", "chosen")) else ""
        words = "".join(f"<p>{_e(line)}</p>" for line in setting_lines(fact))
        yield f'<div id="{_anchor("", fact.path)}"{_mark(found)}>'
        yield f"<code>{_e(fact.path)}</code> <b{given}>{_e(fact.value)}</b> <small>{_e(fact.origin)}</small>"
        yield f"{_told(found)}{words}</div>"
    yield "</div>"


def _rows(rows: Iterable[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{_e(label)}</dt><dd>{_e(text)}</dd>" for label, text in rows) + "</dl>"


def _equations(facts: Any) -> str:
    lines = [facts.forward, *facts.backward] if facts.forward else []
    if getattr(facts, "derivation", "written") != "written":
        lines.append(f"backward: derived by {facts.derivation}")
    return "".join(f"<p class=formula>{_e(line)}</p>" for line in lines)


def _e(text: str) -> str:
    return html.escape(text)
