"""The faults of training loops: rules over the journal of observations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from retrograd.base.finding import NOTHING, Evidence, Finding, Severity
from retrograd.base.registry import Registry
from retrograd.interop.torch.journal import Journal
from retrograd.interop.torch.place import Place
from retrograd.interop.torch.verdict import Verdict

loop_faults: Registry[LoopFault] = Registry("loop fault")


class LoopFault(ABC):
    """A rule. A certain fault spoils or wastes training whatever the loss does; a symptom counts only if the loop does
    not learn.

    `code` is the fault's code in the catalogue; `certain` means that the rule is an exact test of the loop itself.
    """

    code: ClassVar[str]
    certain: ClassVar[bool] = True

    @abstractmethod
    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the findings of this fault."""

    def finding(
        self,
        place: Place | str | None,
        form: str,
        *evidence: Evidence,
        values: Mapping[str, Any] = NOTHING,
        remedy: str = "",
        severity: Severity = "fault",
        confidence: float = 0.95,
        code: str = "",
    ) -> Finding:
        """Return a finding of this fault at a line of the user's program, or at a path in the model.

        Its message is `form` filled with the values.
        """
        name = loop_faults.name_of(type(self))
        remedies = (remedy,) if remedy else ()
        path = "" if place is None else str(place)
        return Finding.of(name, path, form, values, evidence, remedies, severity, code or self.code, confidence)


def findings(journal: Journal, verdict: Verdict) -> tuple[Finding, ...]:
    """Return the findings of all rules, causes first. Symptoms of a loop that learns, or is too short, are notes."""
    findings_so_far: list[Finding] = []
    for name in loop_faults:
        fault = loop_faults[name]()
        try:
            new = list(fault.find(journal))
        except Exception as error:
            journal.trouble.append(f"{name}: {error!r}")
            continue
        if not fault.certain and verdict.state != "ill":
            new = [finding._replace(severity="note") for finding in new]
        findings_so_far += new
    return tuple(sorted(findings_so_far, key=_rank))


def _rank(finding: Finding) -> tuple[int, int, float]:
    """Return the sort key: causes before symptoms, faults before risks; `stuck`, which is no cause, comes last."""
    is_cause = loop_faults[finding.name].certain
    is_last = finding.name == "stuck"
    return (
        {"fault": 0, "risk": 0, "note": 2}[finding.severity],
        is_last + (not is_cause),
        (finding.severity == "risk") - finding.confidence,
    )
