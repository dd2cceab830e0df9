"""`retrograd runs`: lists runs, shows one in full or as a page, or compares several."""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from retrograd.app.cli.help import Command, Group
from retrograd.app.cli.options import CONTEXT, Json, RunName
from retrograd.base.document import parse_document
from retrograd.base.errors import UsageError
from retrograd.data.settings import DataSettings
from retrograd.present.numbers import aligned, alone
from retrograd.present.tables import fits, score_table, table
from retrograd.present.text import WIDTH, cut, filled
from retrograd.present.wording import in_yaml
from retrograd.record.events import Note, Resumed, Stopped
from retrograd.record.judged import Mistaken, read_judged
from retrograd.record.run import CONFIG, RunSummary
from retrograd.record.runs import find_run, list_runs
from retrograd.record.strict_json import write_json
from retrograd.report.ending import ending

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
                  cls=Group, invoke_without_command=True, context_settings=CONTEXT)  # fmt: skip
MOST_PAIRS = 3  # confused classes shown
ENDED = {"epochs": "finished", "early stopping": "stopped early"}  # other reasons are shown as recorded
FURTHEST = ("test", "valid", "train")  # the part furthest from training first
Root = Annotated[
    Path | None, typer.Option("--runs", metavar="DIR", help="folder that contains the runs  [default: runs]")
]


class Options(NamedTuple):
    """The options allowed before or after `list`, `show` and `compare`."""

    root: Path
    as_json: bool


def options_of(context: typer.Context, root: Path | None, as_json: bool) -> Options:
    """Return the options after the subcommand; those before it are the defaults."""
    defaults = context.obj or Options(Path("runs"), False)
    return Options(defaults.root if root is None else root, as_json or defaults.as_json)


@app.callback()
def runs(context: typer.Context, root: Root = None, as_json: Json = False) -> None:
    """List the runs in a folder.

    `show` prints one in full, `report` writes its page, `compare` compares several.
    """
    context.obj = options_of(context, root, as_json)
    if context.invoked_subcommand is None:
        show_list(context.obj)


@app.command("list", cls=Command)
def list_(context: typer.Context, root: Root = None, as_json: Json = False) -> None:
    """List the runs in a folder, as `retrograd runs` alone does."""
    show_list(options_of(context, root, as_json))


def show_list(options: Options) -> None:
    """Print one line per run."""
    summaries = list_runs(options.root)
    if options.as_json:
        typer.echo(write_json([facts(run) for run in summaries]))
        return
    if not summaries:
        typer.echo(f"no runs in {options.root}; start with: retrograd train CONFIG")
        return
    typer.echo(listed(summaries))
    for run in summaries:
        if run.problem:
            typer.echo(f"warning: {run.problem}", err=True)


@app.command(cls=Command)
def show(context: typer.Context, run: RunName, root: Root = None, as_json: Json = False) -> None:
    """Print one run in full.

    Shows how it ended, its scores and its configuration.
    """
    options = options_of(context, root, as_json)
    folder = find_run(options.root, run)
    if options.as_json:
        config = parse_document(folder.config_text()).values
        typer.echo(write_json({**facts(folder.summary()), "config": config}))
        return
    typer.echo(folder.path.name)
    for event in folder.events():
        if isinstance(event, (Note, Resumed)):
            typer.echo(filled(event.text, "  "))
        if isinstance(event, Stopped):
            typer.echo(ended(event.reason, event.sentence, event.epoch, event.seconds, event.best_epoch))
            judged = read_judged(folder.path)
            typer.echo(score_table(event.metrics) + most_confused(judged.pairs if judged else ()))
    summary = folder.summary()
    if summary.stop_reason is None:
        done = f"epoch {summary.epochs} ended after {summary.seconds:.1f} s" if summary.epochs else "no epoch has ended"
        typer.echo(f"{summary.status}; {done}" + (f"\n{score_table(summary.metrics)}" if summary.metrics else ""))
    typer.echo(f"\nconfiguration, {folder.path / CONFIG}\n")
    typer.echo(shortened(folder.config_text()), nl=False)


def shortened(config: str) -> str:
    """Return the text of a configuration with its default `missing_values`, a long list, on one line."""
    block = "".join("    - .*\n" for _ in DataSettings().missing_values)
    values = parse_document(config).values.get("data", {}).get("missing_values")
    if values != list(DataSettings().missing_values):
        return config
    return re.sub(rf"  missing_values:\n{block}", "  missing_values: [...]  # the default\n", config)


@app.command(cls=Command)
def report(
    context: typer.Context,
    run: RunName,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="write the page to this file  [default: RUN/report.html]"),
    ] = None,
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Write the page of one run.

    The page shows curves, scores, findings, the health of the layers, the network and the configuration.
    """
    options = options_of(context, root, as_json)
    folder = find_run(options.root, run)
    module = importlib.import_module(
        "retrograd.report.report"
    )  # imports all layers, which the other subcommands do not need
    path = str(module.write_report(folder, out))
    typer.echo(write_json({"report": path}) if options.as_json else path)


@app.command(cls=Command)
def compare(
    context: typer.Context,
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN RUN ...", help="two or more runs: folders, starts of names, or `last`"),
    ],
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Compare two or more runs.

    Shows the settings that differ, and the scores.
    """
    options = options_of(context, root, as_json)
    if len(runs) < 2:
        raise UsageError("a comparison needs at least two runs", cure="retrograd runs lists them")
    folders = [find_run(options.root, name) for name in runs]
    configs = [flat(parse_document(run.config_text()).values) for run in folders]
    keys = [key for key in merged(configs) if any(c.get(key) != configs[0].get(key) for c in configs)]
    scores = [flat(run.summary().metrics or {}) for run in folders]
    metrics = list(merged(scores))
    if options.as_json:
        settings = {key: [config.get(key) for config in configs] for key in keys}
        typer.echo(
            write_json({"settings": settings, "metrics": {key: [s.get(key) for s in scores] for key in metrics}})
        )
        return
    cells = {key: [show_value(config.get(key)) for config in configs] for key in keys}
    measured = {key: aligned([metrics_of_run.get(key) for metrics_of_run in scores]) for key in metrics}
    typer.echo(side_by_side("settings that differ", [run.path.name for run in folders], cells, measured))


def side_by_side(
    title: str, names: Sequence[str], settings: Mapping[str, Sequence[str]], metrics: Mapping[str, Sequence[str]]
) -> str:
    """Return settings and metrics of several runs: one column per run if that fits, else one block per run."""
    tables = [
        [[title, *names], *([key, *cells] for key, cells in settings.items())],
        [["", *names], *([key, *cells] for key, cells in metrics.items())],
    ]
    if all(map(fits, tables)) or len(names) == 2:
        return (table(tables[0]) if settings else "the settings are the same") + f"\n\n{table(tables[1])}"
    blocks = [
        "\n".join([name, *(f"  {key}  {cells[i]}" for key, cells in settings.items())])
        + "\n"
        + filled(", ".join(f"{key} {cells[i]}" for key, cells in metrics.items()), "  ", 2)
        for i, name in enumerate(names)
    ]
    return "\n".join(cut(line, WIDTH) for line in "\n\n".join(blocks).splitlines())


def merged(mappings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return all keys, in order of first occurrence."""
    return {key: value for mapping in mappings for key, value in mapping.items()}


def ended(reason: str, sentence: str, epochs: int, seconds: float, best: int | None) -> str:
    """Return how a run ended and which weights were kept."""
    weights = "the initial weights" if best is None else f"the weights of epoch {best:,}"
    return f"{filled(ending(reason, sentence, epochs, seconds))}\nkept {weights}"


def most_confused(pairs: Sequence[Mistaken]) -> str:
    """Return a line (with its line break) of the classes confused most often; empty if there are none."""
    mistakes = [f"{pair.truth} predicted as {pair.answer} ({pair.count:,})" for pair in pairs[:MOST_PAIRS]]
    return "\n" + filled(f"most confused: {', '.join(mistakes)}") if mistakes else ""


def listed(summaries: Sequence[RunSummary]) -> str:
    """Return a table with one line per run, with its final score and loss."""
    rows = [["run", "task", "epochs", "ended", "part", "score", "loss"]]
    rows += [
        [
            run.path.name,
            run.task,
            f"{run.epochs:,}",
            ENDED.get(run.stop_reason or "", run.stop_reason or run.status),
            next((part for part in FURTHEST if part in (run.metrics or {})), "-"),
            best_score(run.metrics),
            alone(furthest(run.metrics).get("loss")),
        ]
        for run in summaries
    ]
    return table(rows if fits(rows) else [[name, *others] for name, _, *others in rows])  # names are for typing


def facts(run: RunSummary) -> dict[str, Any]:
    """Return the JSON output for a run."""
    started = run.started.isoformat() if run.started else None
    return {**dataclasses.asdict(run), "path": str(run.path), "started": started}


def best_score(metrics: Mapping[str, Mapping[str, float]] | None) -> str:
    """Return the most informative metric of the part furthest from training."""
    part = furthest(metrics)
    name = next((name for name in ("accuracy", "r2") if name in part), None)
    return "-" if name is None else f"{name} {alone(part[name])}"


def furthest(metrics: Mapping[str, Mapping[str, float]] | None) -> Mapping[str, float]:
    """Return the metrics of the part furthest from training."""
    return next((metrics[part] for part in FURTHEST if part in metrics), {}) if metrics else {}


def flat(values: Any, path: str = "") -> dict[str, Any]:
    """Flatten nested mappings and lists into one mapping of dotted paths."""
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
    """Return a setting as a short text."""
    return "-" if value is None else cut(in_yaml(value), 24)


command = typer.main.get_command(app)
