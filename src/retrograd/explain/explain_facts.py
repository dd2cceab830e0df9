"""All that is known of a run before a step has run, for whoever shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from retrograd.base.finding import Finding
from retrograd.explain.explain_nodes import NodeFacts
from retrograd.explain.explain_settings import SettingFacts
from retrograd.explain.explain_totals import Totals


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
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
