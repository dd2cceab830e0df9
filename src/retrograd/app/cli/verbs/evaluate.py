"""`retrograd evaluate`: loss and metrics of a trained model on rows with targets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retrograd.app.cli.models import check_order, model_at
from retrograd.app.cli.options import Json, ModelName, OwnLayers, RunsRoot, command_of
from retrograd.app.cli.show import print_report
from retrograd.app.cli.standard_input import data_path
from retrograd.app.cli.surroundings import settle
from retrograd.app.cli.verbs.runs import most_confused
from retrograd.data.report import Report
from retrograd.present.tables import score_table
from retrograd.record.strict_json import write_json
from retrograd.training.use.judge import mistaken


def evaluate(
    run: ModelName,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="rows with known targets")],
    runs: RunsRoot = Path("runs"),
    layers: OwnLayers = None,
    as_json: Json = False,
) -> None:
    """Measure a trained model on rows with known targets."""
    settle(layers)
    check_order(run, data, "evaluate")
    with data_path(data) as path:
        model = model_at(run, runs)
        report = Report()
        scores, tally = model.measured(path, report)
    print_report(report)
    text = score_table({data.name: scores}) + most_confused(mistaken(tally))
    typer.echo(write_json(scores) if as_json else text)


command = command_of(evaluate)
