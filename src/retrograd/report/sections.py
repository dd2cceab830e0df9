"""The textual sections of a report: how the run ended, findings, scores, data, settings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from retrograd.base.finding import Finding
from retrograd.present.markup import Markup, element, table, whole
from retrograd.present.numbers import aligned, duration, number
from retrograd.record.events import Epoch
from retrograd.report.ending import ending
from retrograd.report.evidence import evidence_table
from retrograd.report.story import Story, parts

MOST_ITEMS = 60  # in a list
MOST_CELLS = 5_000  # in the table of epochs
MOST_CONFIG = 30_000  # characters
BAD_ENDS = ("non-finite", "diverged")
FAILED = ("ill", "hopeless", "refused")  # verdicts of a diagnosis
TELLING = ("accuracy", "r2", "loss")  # metrics, most informative first
NOTHING = Markup("")


# ----------------------------------------------------------------------------------------------------------- the top


def header(story: Story, parameters: int | None) -> Markup:
    """Return the top of the page: the name of the run, its task and date, and its key figures."""
    start, stop = story.started, story.stopped
    name = start.name if start else story.folder
    facts = [start.task] if start and start.task else []
    facts += [f"{start.time:%Y-%m-%d %H:%M %Z}".strip()] if start and start.time else []
    facts += [story.folder] if story.folder != name else []
    tiles = [_tile(*figure) for figure in _figures(story, parameters)]
    verdict = _verdict(story)
    tone = "bad" if verdict or (stop and stop.reason in BAD_ENDS) else "plain"
    return element(
        "header",
        element("h1", name),
        element("p", " · ".join(facts), class_="soft"),
        *([element("p", element("b", f"{verdict[0]}: "), verdict[1], class_="ending bad")] if verdict else []),
        element("dl", *tiles, class_="tiles"),
        element("p", element("b", "Ended: " if stop else "Not ended: "), _ending(story), class_=f"ending {tone}"),
    )


def _verdict(story: Story) -> tuple[str, str] | None:
    """Return the verdict on a failed run as a word and a sentence, from its diagnosis or the score of a constant."""
    examined = story.examined
    if examined is not None:
        return (examined.verdict, examined.sentence) if examined.verdict in FAILED else None
    chance = story.chance
    if chance is not None and chance.is_failure:
        words = f"{chance.metric} {number(chance.reached, 4)}, where {chance.answer} reaches {number(chance.level, 4)}"
        return "No better than a constant", words
    return None


def _figures(story: Story, parameters: int | None) -> Iterator[tuple[str, str, str]]:
    """Yield name, value and remark of each key figure."""
    stop, epochs = story.stopped, story.epochs
    part = next(parts(story.scores), None)
    if part is not None:
        metrics = story.scores[part]
        metric = next((name for name in TELLING if name in metrics), next(iter(metrics), None))
        if metric is not None:
            yield f"{part} {metric}", aligned([metrics[metric]])[0], "with the best weights" if stop else "latest"
    if story.chance is not None:
        yield "chance level", aligned([story.chance.level])[0], story.chance.answer
    count = f"{stop.epoch if stop else len(epochs):,}"
    if stop:
        yield "kept", "initial weights" if stop.best_epoch is None else f"epoch {stop.best_epoch:,}", f"of {count}"
    else:
        yield "epochs", count, "so far"
    steps = stop.step if stop else epochs[-1].step if epochs else 0
    seconds = stop.seconds if stop else epochs[-1].seconds if epochs else 0.0
    yield "time", duration(seconds), f"{steps:,} steps"
    if parameters is not None:
        yield "parameters", f"{parameters:,}", ""


def _tile(name: str, number: str, more: str) -> Markup:
    return element("div", element("dt", name), element("dd", number), element("dd", more, class_="soft"))


def _ending(story: Story) -> str:
    stop = story.stopped
    if stop is None:
        return "the run is in progress or was interrupted; this page shows what has been recorded so far."
    return ending(stop.reason, stop.sentence, stop.epoch, stop.seconds)


# ------------------------------------------------------------------------------------------------ what was not right


def guard_section(story: Story) -> Markup:
    """Return the guard's interventions, and how to make them permanent."""
    if not story.interventions:
        return NOTHING
    items = [
        element(
            "li",
            element("b", f"Step {event.step:,}: "),
            f"{event.reason}. ",
            element("span", f"Action: {event.action}.", class_="line"),
            *([element("span", "To make it permanent: ", element("code", event.permanent), class_="line")]
              if event.permanent else []),
        )
        for event in story.interventions[:MOST_ITEMS]
    ]  # fmt: skip
    return _notice("What the guard did", element("ol", *items, *_more(len(story.interventions))), "act")


def findings_section(story: Story) -> Markup:
    """Return the findings of a diagnosis, most likely cause first."""
    if story.examined is None:
        return NOTHING
    findings = story.examined.findings
    tone = "bad" if any(finding.severity == "fault" for finding in findings) else "act" if findings else "good"
    sentence = element("p", element("b", story.examined.verdict), f": {story.examined.sentence}")
    items = [_finding(finding) for finding in findings[:MOST_ITEMS]]
    listed = element("ul", *items, *_more(len(findings), "diagnosis.json")) if items else NOTHING
    return _notice("Findings", element("div", sentence, listed), tone)


def warnings_section(story: Story) -> Markup:
    """Return the warnings among the notes."""
    warnings = story.warnings
    items = [element("li", text) for text in warnings[:MOST_ITEMS]]
    return _notice("Warnings", element("ul", *items, *_more(len(warnings))), "act") if warnings else NOTHING


def _finding(finding: Finding) -> Markup:
    code = f" [{finding.code}]" if finding.code else ""
    place = [element("code", finding.path), ": "] if finding.path else []
    helps = [element("span", f"May help: {', '.join(finding.remedies)}.", class_="line")] if finding.remedies else []
    return element(
        "li",
        element("span", finding.severity, class_=f"severity {finding.severity}"),
        element("b", f" {finding.name.replace('_', ' ')}{code} "),
        element("span", *place, finding.message, class_="line"),
        evidence_table(finding),
        *helps,
    )


def _notice(title: str, content: Markup, tone: str) -> Markup:
    return element("section", element("h2", title), content, class_=f"notice {tone}")


def _more(count: int, where: str = "events.jsonl") -> list[Markup]:
    return [element("li", f"and {count - MOST_ITEMS:,} more in {where}")] if count > MOST_ITEMS else []


# ------------------------------------------------------------------------------------------------- scores, data, rest


def scores_section(story: Story) -> Markup:
    """Return the metrics for each part of the data."""
    scores = story.scores
    names = list(dict.fromkeys(name for metrics in scores.values() for name in metrics))
    if not names:
        return NOTHING
    rows = [[name.replace("_", " "), *aligned([metrics.get(name) for metrics in scores.values()])] for name in names]
    caption = "With the best weights." if story.stopped else "Latest measurements."
    return element(
        "section",
        element("h2", "Scores"),
        element("p", caption, class_="soft"),
        table("scores by part of the data", ["", *scores], rows),
    )


def training_section(story: Story) -> Markup:
    """Return the section on the data and the environment of training."""
    start = story.started
    notes = element("ul", *(element("li", text) for text in story.notes[:MOST_ITEMS]), *_more(len(story.notes)))
    facts: list[tuple[str, str]] = [("notes", notes)] if story.notes else []
    if start:
        facts += [("seed", str(start.seed))]
        facts += [("data, SHA-256", element("code", start.data_digest))] if start.data_digest else []
        facts += [("device", ", ".join(part for part in (start.device, start.platform) if part))]
        facts += [("versions", ", ".join(f"{name} {version}" for name, version in start.versions.items()))]
    if story.stopped:
        facts += [("weights, SHA-256", element("code", story.stopped.weights))]
    if story.problem:
        facts += [("unreadable", story.problem)]
    rows = [element("div", element("dt", name), element("dd", text)) for name, text in facts if text]
    return element("section", element("h2", "Data and environment"), element("dl", *rows, class_="facts"))


def config_section(story: Story) -> Markup:
    """Return the configuration with all defaults."""
    text = story.config
    cut = whole(text[:MOST_CONFIG])
    more = [element("p", "The rest is in config.yaml.", class_="soft")] if len(text) > MOST_CONFIG else []
    words = element("summary", element("b", "Configuration"), element("span", " every setting", class_="soft"))
    return element("details", words, element("pre", cut, tabindex=0), *more, class_="block")


def epochs_section(story: Story) -> Markup:
    """Return the table of epochs; if there are very many, only some, with the first, the best and the last."""
    epochs = story.epochs
    if not epochs:
        return NOTHING
    measured = list(dict.fromkeys((p, name) for e in epochs for p, metrics in e.metrics.items() for name in metrics))
    head = ["epoch", "step", "training steps loss", *(f"{part} {name.replace('_', ' ')}" for part, name in measured)]
    head += ["learning rate", "gradient norm", "seconds"]
    every = math.ceil(len(epochs) * len(head) / MOST_CELLS)
    best = story.stopped.best_epoch if story.stopped else None
    shown = [e for i, e in enumerate(epochs) if i % every == 0 or e.epoch == best or e is epochs[-1]]
    caption = "all epochs" if every == 1 else f"one in {every} of {len(epochs):,} epochs; events.jsonl has all"
    caption += "" if best is None else f"; the best is epoch {best}"
    rows = [_epoch_row(epoch, measured) for epoch in shown]
    title = element("summary", element("b", "Epochs"), element("span", f" {caption}", class_="soft"))
    return element("details", title, table("epochs", head, rows), class_="block")


def _epoch_row(epoch: Epoch, measured: Sequence[tuple[str, str]]) -> list[str]:
    metrics = [number(epoch.metrics.get(part, {}).get(name)) for part, name in measured]
    rest = [number(value) for value in (epoch.learning_rate, epoch.gradient_norm, epoch.seconds)]
    return [f"{epoch.epoch:,}", f"{epoch.step:,}", number(epoch.loss), *metrics, *rest]
