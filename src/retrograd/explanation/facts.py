"""The facts about a run before its first step, for text, page and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from retrograd.explanation.nodes import NodeFacts
from retrograd.explanation.risks import Risk
from retrograd.explanation.settings import SettingFacts
from retrograd.explanation.sharing import Sharing
from retrograd.explanation.totals import Totals


@dataclass(frozen=True)
class LossFacts:
    """One objective: its loss, the columns it compares, its weight in the total, and the equations of the loss."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    weight: float
    forward: str
    backward: tuple[str, ...]


@dataclass(frozen=True)
class RunFacts:
    """A run in figures and words: its rows, nodes, losses, update, settings, totals, and risks."""

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
    sharing: tuple[Sharing, ...] = ()

    def at(self, node: str = "", setting: str = "") -> tuple[Risk, ...]:
        """Return the risks of a node or setting; without either, those that belong to no line."""
        return tuple(risk for risk in self.risks if (risk.node, risk.setting) == (node, setting))

    def risks_by_place(self) -> dict[str, list[Risk]]:
        """Return the risks by the path of their line, most severe first; harmless notes are omitted."""
        places: dict[str, list[Risk]] = {}
        for risk in self.risks:
            if risk.place and not risk.is_note:
                places.setdefault(risk.place, []).append(risk)
        return places

    def matters(self, fact: SettingFacts) -> bool:
        """Return whether a setting was set or chosen, has a default worth changing, or has a finding."""
        return fact.matters or bool(self.at(setting=fact.path))
