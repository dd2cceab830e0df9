"""The evidence for a finding in the report: each measured quantity, its threshold, and a bar to compare them."""

from __future__ import annotations

import math

from retrograd.base.finding import Evidence, Finding
from retrograd.present.markup import Markup, element, table
from retrograd.present.numbers import number
from retrograd.report.scale import PLACES, scale_for

HEIGHT = 100


def evidence_table(finding: Finding) -> Markup:
    """Return a finding's evidence: numbers, and a bar to the value with a mark at the threshold; empty without any."""
    rows = [
        [evidence.quantity, number(evidence.value), number(evidence.threshold), bar(evidence)]
        for evidence in finding.evidence
    ]
    head = ["evidence", "value", "threshold", "comparison"]
    return table(f"evidence for {finding.name}", head, rows) if rows else Markup("")


def bar(evidence: Evidence) -> Markup:
    """Return a bar from 0 (or from the end of a logarithmic axis) to the value, with a mark at the threshold."""
    if evidence.threshold is None or not math.isfinite(evidence.value):
        return Markup("")
    scale = scale_for([evidence.value, evidence.threshold], may_be_logarithmic=True)
    if scale is None or not scale.logarithmic:
        scale = scale_for([0.0, evidence.value, evidence.threshold])
    if scale is None:
        return Markup("")
    start = 0 if scale.logarithmic else scale.place(0.0)
    left, right = sorted((start, scale.place(evidence.value)))
    mark = scale.place(evidence.threshold)
    return element(
        "svg",
        element("path", d=f"M0 {HEIGHT}H{PLACES}", class_="grid"),
        element("path", d=f"M{left} 15H{right}V85H{left}Z", class_="value"),
        element("path", d=f"M{mark} 0V{HEIGHT}", class_="threshold"),
        class_="bar",
        viewBox=f"0 0 {PLACES} {HEIGHT}",
        preserveAspectRatio="none",
        aria_hidden="true",
    )
