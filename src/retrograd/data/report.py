"""The report of a transformation: missing values filled, and words unknown to training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from retrograd.present.wording import listing


@dataclass
class Report:
    """Counts by column, added up over the transformed tables."""

    ignored: list[str] = field(default_factory=list)  # columns that training did not have
    unreadable: Counter[str] = field(default_factory=Counter)  # cells that were taken as missing
    missing: Counter[str] = field(default_factory=Counter)
    unseen: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    unknown: Counter[str] = field(default_factory=Counter)  # tokens of texts
    tokens: Counter[str] = field(default_factory=Counter)  # how many there were
    cut: Counter[str] = field(default_factory=Counter)  # texts that were too long
    unlabelled: int = 0  # rows without their target, which are left out
    rewritten: dict[str, str] = field(default_factory=dict)  # how numbers are written, where training's were otherwise
    remarks: list[str] = field(default_factory=list)  # what is no count

    def add(self, other: Report, order: Sequence[str]) -> None:
        """Add what another report counted, its columns in an order."""
        places = {name: i for i, name in enumerate(order)}
        for counted, more in ((self.unreadable, other.unreadable), (self.missing, other.missing),
                              (self.unseen, other.unseen), (self.unknown, other.unknown),
                              (self.tokens, other.tokens), (self.cut, other.cut)):  # fmt: skip
            for name in sorted(more, key=lambda name: places.get(name, len(places))):
                counted[name] += more[name]
        self.examples = other.examples | self.examples
        self.rewritten |= other.rewritten
        self.ignored += [name for name in other.ignored if name not in self.ignored]
        self.unlabelled += other.unlabelled
        self.remarks += other.remarks

    def sentences(self) -> tuple[str, ...]:
        """Return the counts as sentences."""
        ignored = [f"{listing('column', self.ignored)} ignored: training did not have {_them(self.ignored)}"]
        unreadable = [
            f"column '{name}': {_counted(count, 'unreadable cell')} taken as missing"
            for name, count in self.unreadable.items()
        ]
        missing = [
            f"column '{name}': {_counted(count, 'missing value')} filled" for name, count in self.missing.items()
        ]
        unseen = [
            f"column '{name}': {_counted(count, 'cell')} unseen in training, such as '{self.examples[name]}'"
            for name, count in self.unseen.items()
        ]
        unknown = [
            f"text '{name}': {count} of {_counted(self.tokens[name], 'token')} unknown, such as '{self.examples[name]}'"
            for name, count in self.unknown.items()
        ]
        cut = [f"text '{name}': {_counted(count, 'text')} cut to the length" for name, count in self.cut.items()]
        rewritten = [f"column '{name}': {what}" for name, what in self.rewritten.items()]
        left = [f"{_counted(self.unlabelled, 'row')} without a target left out"] if self.unlabelled else []
        others = (*missing, *unseen, *unknown, *cut, *dict.fromkeys(self.remarks))
        return (*(ignored if self.ignored else []), *left, *unreadable, *rewritten, *others)


def _them(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
