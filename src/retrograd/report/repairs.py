"""The section of a report on repairs: those tried, the gain of each, and the accepted one."""

from __future__ import annotations

from retrograd.present.markup import Markup, element, table
from retrograd.present.numbers import number
from retrograd.record.examination import Repaired, Tried
from retrograd.report.story import Story

MOST_TRIED = 30
MOST_DIFFERENCE = 6_000  # characters


def repairs_section(story: Story) -> Markup:
    """Return the trials of a repair: the original configuration, then the sets of remedies, best first."""
    repair = story.repaired
    if repair is None:
        return Markup("")
    origin = [element("p", "This run used the repaired configuration.", class_="soft")]
    helped = [element("li", element("b", remedy.name), f": {remedy.why}") for remedy in repair.remedies]
    lines = element("pre", *_lines(repair.difference), tabindex=0)
    change = element("details", element("summary", "Changes to the configuration"), lines)
    return element(
        "section",
        element("h2", "Repairs tried"),
        element("p", repair.sentence),
        *(origin if repair.configuration else []),
        *_trials(repair),
        *([element("p", "What helped"), element("ul", *helped)] if helped else []),
        *([change] if repair.difference else []),
    )


def _trials(repair: Repaired) -> list[Markup]:
    if not repair.tried:
        return []
    order = sorted(repair.tried, key=lambda t: (not t.accepted, not t.scores, -(_score(t))))
    shown = [*([repair.start] if repair.start else []), *order[:MOST_TRIED]]
    hidden = len(order) - MOST_TRIED
    more = f" {hidden} more are in repair.json." if hidden > 0 else ""
    caption = (
        f"{len(repair.tried)} sets of remedies in {repair.updates:,} updates; ± is the standard error over seeds.{more}"
    )
    head = ["remedies", "held-out score", "±", "gain", "seeds", ""]
    return [element("p", caption, class_="soft"),
            table("repairs tried", head, [_row(trial, trial is repair.start) for trial in shown])]  # fmt: skip


def _row(tried: Tried, is_start: bool) -> list[str]:
    name = "original" if is_start else ", ".join(tried.remedies)
    if tried.refusal:
        return [name, "-", "-", "-", "-", "cannot be trained"]
    if not tried.scores:
        return [name, number(_score(tried), 4), "-", "-", str(len(tried.glances)), "short trial only"]
    spread = number(tried.spread, 2) if len(tried.scores) > 1 else "-"
    gain = "-" if tried.gain is None else f"{'+' if tried.gain > 0 else ''}{number(tried.gain, 3)}"
    verdict: str = element("b", "accepted") if tried.accepted else ""
    return [name, number(tried.mean, 4), spread, gain, str(len(tried.scores)), verdict]


def _score(tried: Tried) -> float:
    if tried.scores and tried.mean is not None:
        return tried.mean
    return sum(tried.glances) / len(tried.glances) if tried.glances else float("-inf")


def _lines(difference: str) -> list[str]:
    """Split a diff into lines, each short enough not to be truncated."""
    lines = [f"{line}\n" for line in difference[:MOST_DIFFERENCE].splitlines()]
    return lines if len(difference) <= MOST_DIFFERENCE else [*lines, "... the rest is in repair.json"]
