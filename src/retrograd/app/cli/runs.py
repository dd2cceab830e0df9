"""`retrograd runs`: what has been trained, one run in full or as a page, or two side by side."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from retrograd.app.cli.options import CONTEXT, Json, RunName
from retrograd.app.cli.tables import ending, number, numbers, score_table, table
from retrograd.base.document import parse_document
from retrograd.record.events import Note, Stopped
from retrograd.record.run import RunSummary
from retrograd.record.runs import find_run, list_runs
from retrograd.record.strict_json import write_json

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
                  invoke_without_command=True, context_settings=CONTEXT)  # fmt: skip
Root = Annotated[Path | None, typer.Option("--runs", help="folder that holds the runs  [default: runs]")]


class Asked(NamedTuple):
    """What the options say that may stand before or after `list`, `show` and `compare`."""

    root: Path
    as_json: bool


def asked(context: typer.Context, root: Path | None, as_json: bool) -> Asked:
    """Return what was asked for after the word, else before it."""
    before = context.obj or Asked(Path("runs"), False)
    return Asked(before.root if root is None else root, as_json or before.as_json)


@app.callback()
def runs(context: typer.Context, root: Root = None, as_json: Json = False) -> None:
    """List the runs in a folder; `show` tells one in full, `report` as a page, `compare` sets two side by side."""
    context.obj = asked(context, root, as_json)
    if context.invoked_subcommand is None:
        show_list(context.obj)


@app.command("list")
def list_(context: typer.Context, root: Root = None, as_json: Json = False) -> None:
    """List the runs in a folder, as `retrograd runs` alone does."""
    show_list(asked(context, root, as_json))


def show_list(wanted: Asked) -> None:
    """Print a line for each run."""
    found = list_runs(wanted.root)
    if wanted.as_json:
        typer.echo(write_json([facts(run) for run in found]))
        return
    if not found:
        typer.echo(f"no runs in {wanted.root}; begin with: retrograd train CONFIG")
        return
    rows = [["run", "task", "epochs", "ended", "score"]]
    rows += [
        [run.path.name, run.task, str(run.epochs), run.stop_reason or run.status, best_score(run.metrics)]
        for run in found
    ]
    typer.echo(table(rows))
    for run in found:
        if run.problem:
            typer.echo(f"warning: {run.problem}", err=True)


@app.command()
def show(context: typer.Context, run: RunName, root: Root = None, as_json: Json = False) -> None:
    """Tell one run in full: its end, scores and configuration."""
    wanted = asked(context, root, as_json)
    found = find_run(wanted.root, run)
    if wanted.as_json:
        config = parse_document(found.config_text()).values
        typer.echo(write_json({**facts(found.summary()), "config": config}))
        return
    typer.echo(found.path.name)
    for event in found.events():
        if isinstance(event, Note):
            typer.echo(f"  {event.text}")
        if isinstance(event, Stopped):
            typer.echo(ending(event.epoch, event.seconds, event.reason, event.sentence, event.best_epoch))
            typer.echo(score_table(event.metrics))
    summary = found.summary()
    if summary.stop_reason is None:
        done = f"epoch {summary.epochs} ended after {summary.seconds:.1f} s" if summary.epochs else "no epoch has ended"
        typer.echo(f"{summary.status}; {done}" + (f"\n{score_table(summary.metrics)}" if summary.metrics else ""))
    typer.echo(f"\n{found.config_text()}")


@app.command()
def report(
    context: typer.Context,
    run: RunName,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="the page's file  [default: RUN/report.html]")] = None,
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Write one run as a page: curves, scores, health of the layers, findings, network, configuration."""
    wanted = asked(context, root, as_json)
    found = find_run(wanted.root, run)
    module = importlib.import_module("retrograd.record.report")  # it loads the layers, which the other words need not
    path = str(module.write_report(found, out))
    typer.echo(write_json({"report": path}) if wanted.as_json else path)


@app.command()
def compare(context: typer.Context, first: RunName, second: RunName, root: Root = None, as_json: Json = False) -> None:
    """Set two runs side by side: settings that differ, scores."""
    wanted = asked(context, root, as_json)
    pair = [find_run(wanted.root, name) for name in (first, second)]
    configs = [flat(parse_document(run.config_text()).values) for run in pair]
    keys = [key for key in {**configs[0], **configs[1]} if configs[0].get(key) != configs[1].get(key)]
    scores = [flat(run.summary().metrics or {}) for run in pair]
    metrics = list({**scores[0], **scores[1]})
    if wanted.as_json:
        settings = {key: [config.get(key) for config in configs] for key in keys}
        typer.echo(
            write_json({"settings": settings, "metrics": {key: [s.get(key) for s in scores] for key in metrics}})
        )
        return
    names = [run.path.name for run in pair]
    rows = [["settings that differ", *names], *([key, *(show_value(c.get(key)) for c in configs)] for key in keys)]
    typer.echo(table(rows) if keys else "the settings are the same")
    typer.echo("\n" + table([["", *names], *([key, *numbers([s.get(key) for s in scores])] for key in metrics)]))


def facts(run: RunSummary) -> dict[str, Any]:
    """Return what JSON output tells of a run."""
    started = run.started.isoformat() if run.started else None
    return {**dataclasses.asdict(run), "path": str(run.path), "started": started}


def best_score(metrics: Mapping[str, Mapping[str, float]] | None) -> str:
    """Return the most telling metric of the part furthest from training."""
    part = next((part for part in ("test", "valid", "train") if part in (metrics or {})), None)
    if metrics is None or part is None:
        return "-"
    name = next((name for name in ("accuracy", "r2", "loss") if name in metrics[part]), "loss")
    return f"{part} {name} {number(metrics[part].get(name))}"


def flat(values: Any, path: str = "") -> dict[str, Any]:
    """Return nested mappings and lists as one mapping of dotted paths."""
    if isinstance(values, Mapping):
        items = list(values.items())
    elif isinstance(values, list) and any(isinstance(item, (Mapping, list)) for item in values):
        items = list(enumerate(values))
    else:
        return {path: values}
    return {
        key: value for name, item in items for key, value in flat(item, f"{path}.{name}" if path else str(name)).items()
    }


def show_value(value: Any) -> str:
    """Return a setting in a few characters."""
    text = "-" if value is None else str(value)
    return text if len(text) <= 24 else text[:21] + "..."


command = typer.main.get_command(app)
