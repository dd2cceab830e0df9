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
    kind, block = "", []
    for line in lines:
        now = _kind(line, kind, block)
        if now != kind and block:
            yield _written(kind, block)
            block = []
        kind = now
        if kind == "facts" and not HEADING.match(line):
            block[-1] += " " + line.strip()
        elif kind:
            block.append(line.removeprefix("    ") if kind == "formula" else line)
    if block:
        yield _written(kind, block)


def _kind(line: str, before: str, block: list[str]) -> str:
    """Return what a line belongs to, after the lines of a block."""
    if not line.strip():
        return ""
    if HEADING.match(line) or (before == "facts" and line.startswith(" ")):
        return "facts"
    is_formula = line.startswith(("    ", ">>>")) or (before == "formula" and block and line.startswith("..."))
    return "formula" if is_formula else "paragraph"


def _written(kind: str, block: list[str]) -> str:
    if kind == "formula":
        return code("\n".join(block), "python" if block[0].startswith(">>>") else "text")
    return plain(" ".join(block)) if kind == "paragraph" else "\n".join(map(_fact, block))


def _fact(line: str) -> str:
    word, text = HEADING.match(line).groups()  # type: ignore[union-attr]
    return f"- **{word}**: {plain(text)}"
