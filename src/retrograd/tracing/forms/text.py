"""A traced step as text that fits 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from retrograd.present.exact import Figures
from retrograd.present.text import WIDTH, wrapped
from retrograd.tracing.document import Section, Sums, Table, Words
from retrograd.tracing.lines import Line

INDENT = "  "


def as_text(title: str, facts: Sequence[str], sections: Sequence[Section], remarks: Sequence[str], f: Figures) -> str:
    """Return the whole trace as text."""
    lines = [title, *(line for fact in facts for line in wrapped(fact, hang=0))]
    phase = ""
    for section in sections:
        if section.phase != phase:
            phase = section.phase
            lines += ["", phase.upper().replace("AFTER", "AFTER THE STEP")]
        lines += told(section, f)
    if remarks:
        lines += ["", "WHAT TO NOTICE"]
        lines += [line for remark in remarks for line in wrapped(f"- {remark}")]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def told(section: Section, f: Figures) -> Iterator[str]:
    """Yield a section's lines."""
    if section.phase not in ("input", "after"):
        yield from wrapped(section.title + (f"  ({section.about})" if section.about else ""), hang=4)
        if section.formula:
            yield from wrapped(section.formula, INDENT, 6)
    for block in section.blocks:
        if isinstance(block, Words):
            yield from wrapped(block.text, INDENT)
        elif isinstance(block, Table):
            yield from table(block)
        elif isinstance(block, Sums):
            for line in block.lines:
                yield from written(line, block.mark, f)


def written(line: Line, mark: str, f: Figures) -> Iterator[str]:
    """Yield a number written out, broken at plus signs where it is long."""
    value = f.number(line.value)
    text = f"{mark}{line.name} = {line.text}" + ("" if line.text == value else f" = {value}")
    yield from wrapped(text, INDENT + INDENT, 8)


def table(block: Table) -> Iterator[str]:
    """Yield a table; one that is too wide is cut into several, each with the first column."""
    if block.title:
        yield f"{INDENT}{block.title}"
    rows = [block.header, *block.rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(block.header))]
    begin = 1
    while begin < len(widths):
        end, used = begin, len(INDENT) * 2 + widths[0]
        while end < len(widths) and (end == begin or used + 2 + widths[end] <= WIDTH):
            used += 2 + widths[end]
            end += 1
        for row in rows:
            cells = [row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in range(begin, end))]
            yield INDENT * 2 + "  ".join(cells)
        begin = end
