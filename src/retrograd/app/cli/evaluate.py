"""`retrograd evaluate`: loss and metrics of a trained model on rows with targets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from retrograd.app.cli.options import RunsRoot, command_of, existing_file, model_at
from retrograd.app.cli.show import print_report, score_table
from retrograd.app.cli.surroundings import settle
from retrograd.data.report import Report


def evaluate(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="a run folder, its name or a beginning of it, `last`, or a model file")
    ],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="rows with their targets")],
    runs: RunsRoot = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Measure a trained model on rows that it has not seen."""
    settle()
    existing_file(data)
    model = model_at(run, runs)
    report = Report()
    scores = model.evaluate(data, report)
    print_report(report)
    typer.echo(json.dumps(scores) if as_json else score_table({data.name: scores}))


command = command_of(evaluate)
