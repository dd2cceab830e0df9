"""`retrograd diagnose`: whether a program learns, and if not, why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retrograd.app.cli.examined import keep
from retrograd.app.cli.findings import say_diagnosis
from retrograd.app.cli.options import (
    Changes,
    Json,
    OwnLayers,
    RunsRoot,
    Target,
    at_least,
    command_of,
    finite_positive,
    seconds_of,
)
from retrograd.app.cli.programs import program_at
from retrograd.app.cli.steps import Steps
from retrograd.app.cli.surroundings import settle
from retrograd.base.doors import refuse_foreign
from retrograd.diagnosis.budget import SECONDS
from retrograd.diagnosis.diagnose import SEEDS
from retrograd.diagnosis.diagnose import diagnose as examine
from retrograd.record.strict_json import write_json

ILL = 8


def diagnose(
    source: Annotated[
        str, typer.Argument(metavar="CONFIG|RUN|DATA", help="a YAML configuration, a run or a data file")
    ],
    target: Target = None,
    changes: Changes = None,
    seeds: Annotated[int, typer.Option(parser=at_least(1), metavar="N", help="number of diagnostic runs")] = SEEDS,
    seconds: Annotated[
        float | None, typer.Option(parser=finite_positive, metavar="S", help="time limit per run, in seconds")
    ] = None,
    budget: Annotated[
        float,
        typer.Option(
            parser=seconds_of,
            metavar="TIME",
            show_default=False,
            help="total time limit: 30, 90s, 2m, 1h [default: 2m]",
        ),
    ] = SECONDS,
    layers: OwnLayers = None,
    strict: Annotated[bool, typer.Option("--strict", help="exit with code 8 if the network does not learn")] = False,
    runs: RunsRoot = Path("runs"),
    as_json: Json = False,
) -> int:
    """Report whether a network learns what its data contain, and if not, why.

    \b
    Examines the configuration, the data, the first pass and a few diagnostic
    runs, trained in memory. A network that learns is healthy: anything else
    unusual about it is a note. Findings on a run are also written to its folder.
    If training would exceed the budget, a sample of the rows is used, and the
    verdict says so.
    """
    settle(layers)
    refuse_foreign(source, "diagnose")
    program = program_at(source, target, changes or [], runs)
    diagnosis = examine(
        program.config, dataset=program.dataset, seeds=seeds, seconds=seconds, budget=budget, say=Steps()
    )
    if as_json:
        typer.echo(write_json(diagnosis.plain()))
    else:
        say_diagnosis(diagnosis)
        if diagnosis.ill:
            print(f"\nnext  retrograd repair {source}")
    if program.run:
        keep(program.run, diagnosis.plain())
    return ILL if strict and (diagnosis.ill or diagnosis.hopeless) else 0


command = command_of(diagnose)
