"""The report of a transformation: filled missing values, and words unknown to training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from retrograd.present.wording import listing


@dataclass
class Report:
    """Counts by column, summed over the transformed tables."""

    ignored: list[str] = field(default_factory=list)  # columns that training did not have
    unreadable: Counter[str] = field(default_factory=Counter)  # cells treated as missing
    missing: Counter[str] = field(default_factory=Counter)
    unseen: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    unknown: Counter[str] = field(default_factory=Counter)  # unknown tokens of texts
    tokens: Counter[str] = field(default_factory=Counter)  # all tokens of texts
    cut: Counter[str] = field(default_factory=Counter)  # texts that were too long
    unlabelled: int = 0  # rows without a target, which are omitted
    rewritten: dict[str, str] = field(default_factory=dict)  # number notation, if other than in training
    remarks: list[str] = field(default_factory=list)  # remarks that are not counts

    def add(self, other: Report, order: Sequence[str]) -> None:
        """Add the counts of another report, its columns in this order."""
        places = {name: i for i, name in enumerate(order)}
        for counts, more in ((self.unreadable, other.unreadable), (self.missing, other.missing),
                              (self.unseen, other.unseen), (self.unknown, other.unknown),
                              (self.tokens, other.tokens), (self.cut, other.cut)):  # fmt: skip
            for name in sorted(more, key=lambda name: places.get(name, len(places))):
                counts[name] += more[name]
        self.examples = other.examples | self.examples
        self.rewritten |= other.rewritten
        self.ignored += [name for name in other.ignored if name not in self.ignored]
        self.unlabelled += other.unlabelled
        self.remarks += other.remarks

    def sentences(self) -> tuple[str, ...]:
        """Return the counts as sentences."""
        ignored = [f"{listing('column', self.ignored)} ignored: training did not have {_them(self.ignored)}"]
        unreadable = [
            f"column '{name}': {_counted(count, 'unreadable cell')} treated as missing"
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
        omitted = [f"{_counted(self.unlabelled, 'row')} without a target omitted"] if self.unlabelled else []
        others = (*missing, *unseen, *unknown, *cut, *dict.fromkeys(self.remarks))
        return (*(ignored if self.ignored else []), *omitted, *unreadable, *rewritten, *others)


def _them(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
