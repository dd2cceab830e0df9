"""All that is known of a run before a step has run, for whoever shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from retrograd.explanation.nodes import NodeFacts
from retrograd.explanation.risks import Risk
from retrograd.explanation.settings import SettingFacts
from retrograd.explanation.totals import Totals


@dataclass(frozen=True)
class LossFacts:
    """One objective: its loss, what it compares, its weight in the total, and the loss's equations."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    weight: float
    forward: str
    backward: tuple[str, ...]


@dataclass(frozen=True)
class RunFacts:
    """A run in figures and words: its rows, nodes, losses, update, settings, totals, and what looks risky."""

    name: str
    task: str
    rows: Mapping[str, int]
    nodes: tuple[NodeFacts, ...]
    losses: tuple[LossFacts, ...]
    update: str
    settings: tuple[SettingFacts, ...]
    totals: Totals
    risks: tuple[Risk, ...]
    notes: tuple[str, ...]

    def at(self, node: str = "", setting: str = "") -> tuple[Risk, ...]:
        """Return what looks risky about a node or a setting."""
        return tuple(risk for risk in self.risks if (risk.node, risk.setting) == (node, setting))

    def risks_by_place(self) -> dict[str, list[Risk]]:
        """Return what stands beside a line, by its path, the gravest first."""
        found: dict[str, list[Risk]] = {}
        for risk in self.risks:
            if risk.place:
                found.setdefault(risk.place, []).append(risk)
        return found
