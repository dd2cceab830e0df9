"""The chart as text, for a terminal of 80 columns."""

from __future__ import annotations

from retrograd.base.finding import Finding
from retrograd.interop.torch.journal import Journal
from retrograd.interop.torch.listen.pace import Pace
from retrograd.interop.torch.place import Place
from retrograd.interop.torch.verdict import Verdict
from retrograd.present.text import WIDTH, wrapped

WORDS = {"learns": "It learns", "ill": "It does not learn", "unknown": "Not to be judged"}


def write(journal: Journal, verdict: Verdict, found: tuple[Finding, ...], pace: Pace) -> str:
    """Return the report."""
    alarms = [one for one in found if one.severity != "note"]
    notes = [one for one in found if one.severity == "note"]
    lines = wrapped(f"{WORDS[verdict.state]}: {verdict.sentence}.")
    if journal.failure:
        lines += wrapped(f"The loop ended with an error: {journal.failure.splitlines()[0]}")
    if not alarms:
        lines.append("Nothing is wrong with this loop, as far as can be seen.")
    for number, one in enumerate(alarms, 1):
        lines += ["", *_one(number, one)]
    if notes:
        lines += ["", "Notes, harmless as long as it learns:"]
        lines += [line for one in notes for line in wrapped(f"- {one}", "  ")]
    lines += ["", f"Watched {journal.turns} backward passes, {journal.looks} of them closely; "
                  f"that took {pace.cost():.1%} of the time."]  # fmt: skip
    if journal.trouble:
        lines += wrapped(f"The doctor itself had trouble: {journal.trouble[0]}")
    return "\n".join(lines)


def _one(number: int, one: Finding) -> list[str]:
    certain = "certain" if one.severity == "fault" and one.confidence > 0.9 else "likely"
    lines = [f"{number}. {one.name.replace('_', ' ')} [{one.code}, {certain}]" + (f"  {one.path}" if one.path else "")]
    source = _source(one.path)
    if source:
        lines.append(f"       > {source[: WIDTH - 9]}")
    lines += wrapped(one.message, "   ")
    for each in one.unsaid:
        lines += wrapped(f"evidence: {each}", "   ")
    for remedy in one.remedies:
        lines += wrapped(f"change:   {remedy}", "   ")
    return lines


def _source(path: str) -> str:
    """Return the user's line, where a path names one."""
    file, _, line = path.rpartition(":")
    return Place(file, int(line)).text if file and line.isdigit() else ""
