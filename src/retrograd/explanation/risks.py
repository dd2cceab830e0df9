"""What looks risky about a run before a step has run, and the line of the explanation that it stands beside."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from retrograd.base.finding import Finding
from retrograd.diagnosis.diagnose import look
from retrograd.diagnosis.program import Program
from retrograd.network.network import Variables
from retrograd.training.prepare import Prepared

QUICK = ("static", "data")  # stages of the diagnosis that neither train nor probe
IN_NETWORK = re.compile(r"network\.\d+ \((.+?)\)(/\S+)?")  # how findings name a node: its entry, then its path


class Risk(NamedTuple):
    """A finding beside a node or a setting, by its path; beside neither where the explanation has no such line."""

    finding: Finding
    node: str = ""
    setting: str = ""

    @property
    def is_note(self) -> bool:
        """Whether the finding is harmless as long as the network learns."""
        return self.finding.severity == "note"

    @property
    def place(self) -> str:
        """The line that it stands beside."""
        return self.node or self.setting

    def plain(self) -> dict[str, Any]:
        """Return the finding and its line as plain values for JSON."""
        return {**self.finding.plain(), "node": self.node or None, "setting": self.setting or None}

    def words(self) -> Iterator[str]:
        """Yield the finding, how it is known, and what may help; beside its line the place goes without saying."""
        yield str(self.finding._replace(path="") if self.place else self.finding)
        if self.finding.remedies:
            yield f"may help: {', '.join(self.finding.remedies)}"


def quick_findings(prepared: Prepared, variables: Variables, loss: float) -> Iterator[Finding]:
    """Yield what the diagnosis finds in the configuration and the data alone, the gravest first.

    `variables` are the first ones and `loss` is that of a batch, both of which the explanation has at hand.
    """
    program = Program(prepared.config, prepared.dataset, prepared=prepared)
    program.start.variables, program.start.loss = variables, loss
    found = {(each.name, each.path): each for each in look(program, QUICK)}
    yield from sorted(found.values(), key=lambda each: (each.severity == "note", -each.confidence))


def beside(findings: Iterable[Finding], nodes: Collection[str], settings: Sequence[str]) -> Iterator[Risk]:
    """Yield findings with the lines that they concern, given the paths of all nodes and settings."""
    for each in findings:
        inside = IN_NETWORK.fullmatch(each.path)
        node = _above(inside[1] if inside else each.path, "/", nodes)
        yield Risk(each, node, "" if node else _setting(each.path, settings))


def _above(path: str, separator: str, known: Collection[str]) -> str:
    """Return the longest beginning of a path that is known, or nothing."""
    while path and path not in known:
        path = path.rpartition(separator)[0]
    return path


def _setting(path: str, settings: Sequence[str]) -> str:
    """Return the setting that a path means; what is chosen may stand between: `optimizer.adam.learning_rate`."""
    steps = path.split(".")
    chosen = (setting for setting in settings if _means(steps, setting.split(".")))
    return path if path in settings else next(chosen, "") or _above(path, ".", settings)


def _means(steps: list[str], setting: list[str]) -> bool:
    return len(steps) > 1 and len(setting) == len(steps) + 1 and [setting[0], *setting[2:]] == steps
