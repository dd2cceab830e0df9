"""The chart as text, for a terminal of 80 columns."""

from __future__ import annotations

from retrograd.base.finding import Finding
from retrograd.interop.torch.journal import Journal
from retrograd.interop.torch.listen.pace import Pace
from retrograd.interop.torch.place import Place
from retrograd.interop.torch.verdict import Verdict
from retrograd.present.text import WIDTH, wrapped

WORDS = {"learns": "It learns", "ill": "It does not learn", "unknown": "Undecided"}


def write(journal: Journal, verdict: Verdict, findings: tuple[Finding, ...], pace: Pace) -> str:
    """Return the report."""
    alarms = [finding for finding in findings if finding.severity != "note"]
    notes = [finding for finding in findings if finding.severity == "note"]
    lines = wrapped(f"{WORDS[verdict.state]}: {verdict.sentence}.")
    if journal.failure:
        lines += wrapped(f"The loop ended with an error: {journal.failure.splitlines()[0]}")
    if not alarms:
        lines.append("No fault was found in this loop.")
    for number, finding in enumerate(alarms, 1):
        lines += ["", *_one(number, finding)]
    if notes:
        lines += ["", "Notes, harmless as long as it learns:"]
        lines += [line for finding in notes for line in wrapped(f"- {finding}", "  ")]
    lines += ["", f"Watched {journal.turns} backward passes, {journal.looks} of them closely, "
                  f"in {pace.cost():.1%} of the loop's time."]  # fmt: skip
    if journal.trouble:
        lines += wrapped(f"The doctor itself failed in part: {journal.trouble[0]}")
    return "\n".join(lines)


def _one(number: int, finding: Finding) -> list[str]:
    certain = "certain" if finding.severity == "fault" and finding.confidence > 0.9 else "likely"
    place = f"  {finding.path}" if finding.path else ""
    lines = [f"{number}. {finding.name.replace('_', ' ')} [{finding.code}, {certain}]{place}"]
    source = _source(finding.path)
    if source:
        lines.append(f"       > {source[: WIDTH - 9]}")
    lines += wrapped(finding.message, "   ")
    for evidence in finding.unsaid:
        lines += wrapped(f"evidence: {evidence}", "   ")
    for remedy in finding.remedies:
        lines += wrapped(f"change:   {remedy}", "   ")
    return lines


def _source(path: str) -> str:
    """Return the user's source line if a path names one."""
    file, _, line = path.rpartition(":")
    return Place(file, int(line)).text if file and line.isdigit() else ""
