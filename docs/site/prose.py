"""Docstrings as Markdown."""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Iterable, Iterator

HEADING = re.compile(r"([A-Z][a-z]+): {2,}(.*)")
CODE = re.compile(r"(`[^`]*`)")


def markdown(docstring: str) -> str:
    """Return a docstring as Markdown: paragraphs, formulas (indented lines) as code, headings as a list."""
    return "\n\n".join(_blocks(docstring.strip().splitlines()))


def plain(text: str) -> str:
    """Return words as Markdown that shows them as they are; what stands in backticks is code already."""
    parts = CODE.split(" ".join(text.split()))
    return "".join(part if part.startswith("`") else _escaped(part) for part in parts)


def code(text: str, language: str = "text") -> str:
    """Return a block of code."""
    return f"```{language}\n{text.rstrip()}\n```"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table of cells that are Markdown."""
    cells = [list(head), *map(list, rows)]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
    return "\n".join([lines[0], "|" + " --- |" * len(cells[0]), *lines[1:]])


def link(text: str, to: str, page: str) -> str:
    """Return a link from one page to another."""
    return f"[{text}]({posixpath.relpath(to, posixpath.dirname(page) or '.')})"


def first_sentence(docstring: str) -> str:
    """Return the first sentence of a docstring as Markdown."""
    text = " ".join(docstring.partition("\n\n")[0].split())
    return plain(text.partition(". ")[0].rstrip(".") + ".")


def _escaped(text: str) -> str:
    return re.sub(r"([*_\[\]])", r"\\\1", html.escape(text, quote=False))


def _blocks(lines: list[str]) -> Iterator[str]:
    """Yield blocks: what belongs to a heading stays with it, indented further or not."""
    paragraph: list[str] = []
    formula: list[str] = []
    facts: list[str] = []

    def ended() -> Iterator[str]:
        if formula:
            yield code("\n".join(formula), "python" if formula[0].startswith(">>>") else "text")
        if paragraph:
            yield plain(" ".join(paragraph))
        if facts:
            yield "\n".join(_fact(fact) for fact in facts)
        for block in (formula, paragraph, facts):
            block.clear()

    for line in lines:
        heading = HEADING.match(line)
        if not line.strip():
            yield from ended()
        elif heading:
            if not facts:
                yield from ended()
            facts.append(line)
        elif facts and line.startswith(" "):
            facts[-1] += " " + line.strip()
        elif line.startswith(("    ", ">>>")) or (formula and line.startswith("...")):
            if paragraph or facts:
                yield from ended()
            formula.append(line.removeprefix("    "))
        else:
            if formula or facts:
                yield from ended()
            paragraph.append(line)
    yield from ended()


def _fact(line: str) -> str:
    word, text = HEADING.match(line).groups()  # type: ignore[union-attr]
    return f"- **{word}**: {plain(text)}"
