"""Risks known before the first step, and the lines of the explanation that they concern."""

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
IN_NETWORK = re.compile(r"network\.\d+ \((.+?)\)(/\S+)?")  # a node in the path of a finding: its entry, then its name


class Risk(NamedTuple):
    """A finding with the path of its node or setting; without either if the explanation has no such line."""

    finding: Finding
    node: str = ""
    setting: str = ""

    @property
    def is_note(self) -> bool:
        """Whether the finding is harmless while the network learns."""
        return self.finding.severity == "note"

    @property
    def place(self) -> str:
        """The path of the line that the finding concerns."""
        return self.node or self.setting

    def plain(self) -> dict[str, Any]:
        """Return the finding and its line as JSON values."""
        return {**self.finding.plain(), "node": self.node or None, "setting": self.setting or None}

    def words(self) -> Iterator[str]:
        """Yield the finding with its evidence, and what may help; its path is omitted if it has a line."""
        yield str(self.finding._replace(path="") if self.place else self.finding)
        if self.finding.remedies:
            yield f"may help: {', '.join(self.finding.remedies)}"


def quick_findings(prepared: Prepared, variables: Variables, loss: float) -> Iterator[Finding]:
    """Yield the findings of a diagnosis of the configuration and data alone, most severe first.

    `variables` are the initial variables and `loss` is the loss of a batch, both computed for the explanation.
    """
    program = Program(prepared.config, prepared.dataset, prepared=prepared)
    program.start.variables, program.start.loss = variables, loss
    findings = {(finding.name, finding.path): finding for finding in look(program, QUICK)}
    yield from sorted(findings.values(), key=lambda finding: (finding.severity == "note", -finding.confidence))


def beside(findings: Iterable[Finding], nodes: Collection[str], settings: Sequence[str]) -> Iterator[Risk]:
    """Yield findings with the lines that they concern, given the paths of all nodes and settings."""
    for finding in findings:
        match = IN_NETWORK.fullmatch(finding.path)
        node = _above(match[1] if match else finding.path, "/", nodes)
        yield Risk(finding, node, "" if node else _setting(finding.path, settings))


def _above(path: str, separator: str, known: Collection[str]) -> str:
    """Return the longest known prefix of a path; empty if there is none."""
    while path and path not in known:
        path = path.rpartition(separator)[0]
    return path


def _setting(path: str, settings: Sequence[str]) -> str:
    """Return the setting for a path, which may omit the name of an entry: `optimizer.learning_rate`."""
    steps = path.split(".")
    chosen = (setting for setting in settings if _means(steps, setting.split(".")))
    return path if path in settings else next(chosen, "") or _above(path, ".", settings)


def _means(steps: list[str], setting: list[str]) -> bool:
    return len(steps) > 1 and len(setting) == len(steps) + 1 and [setting[0], *setting[2:]] == steps
