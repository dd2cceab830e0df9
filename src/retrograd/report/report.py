"""The report of a run: a self-contained page made only from the run folder."""

from __future__ import annotations

import json
from pathlib import Path

from retrograd.present.markup import Markup, element, joined
from retrograd.present.page import embedded, page
from retrograd.record.files import write_file
from retrograd.record.run import REPORT, RunFolder
from retrograd.report.attention import attention_section
from retrograd.report.curves import curves_section
from retrograd.report.judged import judged_section
from retrograd.report.network import network_section, parameter_count, rows
from retrograd.report.plane import plane_section
from retrograd.report.repairs import repairs_section
from retrograd.report.sections import (
    config_section,
    epochs_section,
    findings_section,
    guard_section,
    header,
    scores_section,
    training_section,
    warnings_section,
)
from retrograd.report.story import Story, read_story
from retrograd.report.strip import health_section

HERE = Path(__file__).parent


def write_report(run: RunFolder, path: Path | None = None) -> Path:
    """Write the report of a run, by default to its folder; return the path.

    Raises:  UsageError or DataError if the run cannot be read; ResourceError if the report cannot be written
    """
    path = run.path / REPORT if path is None else path
    write_file(path, report(read_story(run)).encode())
    return path


def report(story: Story) -> str:
    """Return the report as an HTML page."""
    nodes = rows(story)
    curves, charts = curves_section(story)
    health, strips = health_section(story, [node.path for node in nodes])
    main = element(
        "main",
        curves,
        guard_section(story),
        findings_section(story),
        repairs_section(story),
        warnings_section(story),
        scores_section(story),
        judged_section(story),
        plane_section(story),
        attention_section(story),
        health,
        network_section(story, nodes),
        epochs_section(story),
        config_section(story),
        training_section(story),
    )
    data = json.dumps({"charts": charts, "strips": strips}, separators=(",", ":"))
    body = joined([
        header(story, parameter_count(story)),
        main,
        element("p", role="status", class_="unseen", id="said"),
        element(
            "footer",
            "Generated from the files in the run folder: config.yaml, events.jsonl, model.safetensors, *.json.",
        ),
        embedded(data),
        element("script", Markup((HERE / "page.js").read_text(encoding="utf-8"))),
    ])  # fmt: skip
    name = story.started.name if story.started else story.folder
    return page(f"{name}: training report", (HERE / "page.css").read_text(encoding="utf-8"), body)
