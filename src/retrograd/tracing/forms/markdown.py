"""A traced step as Markdown: the same sections as the text, with tables that a page can show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from retrograd.present.exact import Figures
from retrograd.tracing.document import Section, Sums, Table, Words

HEADINGS = {
    "input": "Input",
    "forward": "Forward",
    "loss": "Loss",
    "backward": "Backward",
    "update": "Update",
    "after": "After the step",
}


def as_markdown(
    title: str, facts: Sequence[str], sections: Sequence[Section], remarks: Sequence[str], f: Figures
) -> str:
    """Return the whole trace as Markdown."""
    lines = [f"# {title}", "", *(f"{fact}  " for fact in facts)]
    phase = ""
    for section in sections:
        if section.phase != phase:
            phase = section.phase
            lines += ["", f"## {HEADINGS[phase]}"]
        lines += _section(section, f)
    if remarks:
        lines += ["", "## What to notice", "", *(f"- {remark}" for remark in remarks)]
    return "\n".join(lines) + "\n"


def _section(section: Section, f: Figures) -> Iterator[str]:
    if section.phase not in ("input", "after"):
        about = f" ({section.about})" if section.about else ""
        yield from ("", f"### `{section.title}`{about}")
    if section.formula:
        yield from ("", f"`{section.formula}`")
    for block in section.blocks:
        yield ""
        if isinstance(block, Words):
            yield escaped(block.text)
        elif isinstance(block, Table):
            yield from _table(block)
        elif isinstance(block, Sums):
            yield "```"
            for line in block.lines:
                value = f.number(line.value)
                yield f"{block.mark}{line.name} = {line.text}" + ("" if line.text == value else f" = {value}")
            yield "```"


def _table(block: Table) -> Iterator[str]:
    if block.title:
        yield from (escaped(block.title), "")
    yield f"| {' | '.join(block.header)} |"
    yield f"|{'---|' * len(block.header)}"
    yield from (f"| {' | '.join(row)} |" for row in block.rows)


def escaped(text: str) -> str:
    """Return a sentence in which nothing is taken for markup."""
    return text.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")
