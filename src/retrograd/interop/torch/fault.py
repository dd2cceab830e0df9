"""What a fault of a loop is: a rule over the journal of what was seen."""

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
    """A rule. A certain fault spoils or wastes training whatever the loss does; a symptom alarms only if it does.

    `code` is the fault's in the catalogue; `certain` says that the rule is an exact test of the loop itself.
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

        Its message is the form with the values in its braces.
        """
        name = loop_faults.name_of(type(self))
        remedies = (remedy,) if remedy else ()
        path = "" if place is None else str(place)
        return Finding.of(name, path, form, values, evidence, remedies, severity, code or self.code, confidence)


def findings(journal: Journal, verdict: Verdict) -> tuple[Finding, ...]:
    """Return what all rules find, causes first. A symptom of a loop that learns, or is too short, is a note."""
    seen: list[Finding] = []
    for name in loop_faults:
        fault = loop_faults[name]()
        try:
            new = list(fault.find(journal))
        except Exception as error:
            journal.trouble.append(f"{name}: {error!r}")
            continue
        if not fault.certain and verdict.state != "ill":
            new = [finding._replace(severity="note") for finding in new]
        seen += new
    return tuple(sorted(seen, key=_place_of))


def _place_of(finding: Finding) -> tuple[int, int, float]:
    """Causes come before symptoms, among them faults before risks; that it does not learn is no cause, and is last."""
    cause = loop_faults[finding.name].certain
    last = finding.name == "stuck"
    return (
        {"fault": 0, "risk": 0, "note": 2}[finding.severity],
        last + (not cause),
        (finding.severity == "risk") - finding.confidence,
    )
