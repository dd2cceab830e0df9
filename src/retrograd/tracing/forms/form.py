"""A traced step in some format: the sections in order, each stop with its formula and its blocks."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from retrograd.present.exact import Figures
from retrograd.present.text import WIDTH, wrapped
from retrograd.tracing.document import Section, Sums, Table
from retrograd.tracing.lines import Line

HEADINGS = {
    "input": "Input",
    "forward": "Forward",
    "loss": "Loss",
    "backward": "Backward",
    "update": "Update",
    "after": "After the step",
}
NOTICE = "What to notice"


class Form(ABC):
    """Writes a trace; a subclass defines the look of each part."""

    def __init__(self, f: Figures) -> None:
        self.f = f

    def write(self, title: str, facts: Sequence[str], sections: Sequence[Section], remarks: Sequence[str]) -> str:
        """Return the whole trace."""
        lines = [*self.head(title, facts)]
        phase = ""
        for section in sections:
            if section.phase != phase:
                phase = section.phase
                lines += self.heading(HEADINGS[phase])
            if phase not in ("input", "after"):
                lines += self.stop(section)
            for block in section.blocks:
                if isinstance(block, Table):
                    lines += self.table(block)
                elif isinstance(block, Sums):
                    lines += self.sums(block)
                else:
                    lines += self.words(block.text)
        if remarks:
            lines += [*self.heading(NOTICE), *self.points(remarks)]
        return "\n".join(line.rstrip() for line in [*lines, *self.foot()]) + "\n"

    @abstractmethod
    def head(self, title: str, facts: Sequence[str]) -> Iterator[str]:
        """Yield the title and the sentences below it."""

    @abstractmethod
    def heading(self, name: str) -> Iterator[str]:
        """Yield the heading of a phase."""

    @abstractmethod
    def stop(self, section: Section) -> Iterator[str]:
        """Yield what a section is about, and its formula."""

    @abstractmethod
    def words(self, text: str) -> Iterator[str]:
        """Yield a sentence."""

    @abstractmethod
    def table(self, block: Table) -> Iterator[str]:
        """Yield a table."""

    @abstractmethod
    def sums(self, block: Sums) -> Iterator[str]:
        """Yield numbers written out."""

    def points(self, remarks: Sequence[str]) -> Iterator[str]:
        """Yield what to notice."""
        yield from (f"- {remark}" for remark in remarks)

    def foot(self) -> Iterator[str]:
        """Yield the end of the document."""
        yield from ()

    def sum(self, line: Line, mark: str) -> str:
        """Return a number written out: its name, the sum, and its value if that differs from the sum."""
        value = self.f.number(line.value)
        return f"{mark}{line.name} = {line.text}" + ("" if line.text == value else f" = {value}")


class Text(Form):
    """Text for a terminal of 80 columns."""

    def head(self, title: str, facts: Sequence[str]) -> Iterator[str]:
        """Yield the title and the sentences below it."""
        yield title
        for fact in facts:
            yield from wrapped(fact, hang=0)

    def heading(self, name: str) -> Iterator[str]:
        """Yield the heading of a phase."""
        yield from ("", name.upper())

    def stop(self, section: Section) -> Iterator[str]:
        """Yield what a section is about, and its formula."""
        yield from wrapped(section.title + (f"  ({section.about})" if section.about else ""), hang=4)
        if section.formula:
            yield from wrapped(section.formula, "  ", 6)

    def words(self, text: str) -> Iterator[str]:
        """Yield a sentence."""
        yield from wrapped(text, "  ")

    def table(self, block: Table) -> Iterator[str]:
        """Yield a table; a table that is too wide is split into several, each with the first column."""
        if block.title:
            yield f"  {block.title}"
        rows = [block.header, *block.rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        begin = 1
        while begin < len(widths):
            end, used = begin, 4 + widths[0]
            while end < len(widths) and (end == begin or used + 2 + widths[end] <= WIDTH):
                used += 2 + widths[end]
                end += 1
            for row in rows:
                cells = [row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in range(begin, end))]
                yield "    " + "  ".join(cells)
            begin = end

    def sums(self, block: Sums) -> Iterator[str]:
        """Yield numbers written out; long ones are broken at spaces."""
        for line in block.lines:
            yield from wrapped(self.sum(line, block.mark), "    ", 8)

    def points(self, remarks: Sequence[str]) -> Iterator[str]:
        """Yield what to notice."""
        for remark in remarks:
            yield from wrapped(f"- {remark}")


class Markdown(Form):
    """Markdown with tables."""

    def head(self, title: str, facts: Sequence[str]) -> Iterator[str]:
        """Yield the title and the sentences below it."""
        yield from (f"# {title}", "", *(f"{fact}\\" for fact in facts[:-1]), *facts[-1:])

    def heading(self, name: str) -> Iterator[str]:
        """Yield the heading of a phase."""
        yield from ("", f"## {name}", *([""] if name == NOTICE else []))

    def stop(self, section: Section) -> Iterator[str]:
        """Yield what a section is about, and its formula."""
        yield from ("", f"### `{section.title}`" + (f" ({section.about})" if section.about else ""))
        if section.formula:
            yield from ("", f"`{section.formula}`")

    def words(self, text: str) -> Iterator[str]:
        """Yield a sentence with markup escaped."""
        yield from ("", re.sub(r"([|*_])", r"\\\1", text))

    def table(self, block: Table) -> Iterator[str]:
        """Yield a table."""
        if block.title:
            yield from self.words(block.title)
        yield from ("", f"| {' | '.join(block.header)} |", f"|{'---|' * len(block.header)}")
        yield from (f"| {' | '.join(row)} |" for row in block.rows)

    def sums(self, block: Sums) -> Iterator[str]:
        """Yield numbers written out."""
        yield from ("", "```", *(self.sum(line, block.mark) for line in block.lines), "```")
