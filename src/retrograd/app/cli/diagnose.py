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
    source: Annotated[str, typer.Argument(metavar="CONFIG|RUN|DATA", help="a YAML configuration, a run, a data file")],
    target: Target = None,
    changes: Changes = None,
    seeds: Annotated[int, typer.Option(parser=at_least(1), metavar="N", help="runs that are trained to look")] = SEEDS,
    seconds: Annotated[
        float | None, typer.Option(parser=finite_positive, metavar="S", help="longest time of one run")
    ] = None,
    budget: Annotated[
        float, typer.Option(parser=seconds_of, metavar="TIME", help="for everything: 30, 90s, 2m, 1h")
    ] = SECONDS,
    layers: OwnLayers = None,
    strict: Annotated[bool, typer.Option("--strict", help="exit code 8 if something is ill")] = False,
    runs: RunsRoot = Path("runs"),
    as_json: Json = False,
) -> int:
    """Say whether a network learns what its data hold, and if not, why.

    \b
    Looks at the configuration, the data, the first pass and some runs, which are
    trained in memory. The failure counts, not the symptom: an oddity of a network
    that learns is a note. Of a run, the findings are written into its folder.
    What would take longer than the budget, two minutes unless you say otherwise,
    is trained on a sample of the rows, and the verdict says so.
    """
    settle(layers)
    refuse_foreign(source, "diagnose")
    program = program_at(source, target, changes or [], runs)
    found = examine(program.config, dataset=program.dataset, seeds=seeds, seconds=seconds, budget=budget, say=Steps())
    if as_json:
        typer.echo(write_json(found.plain()))
    else:
        say_diagnosis(found)
        if found.ill:
            print(f"\nnext  retrograd repair {source}")
    if program.run:
        keep(program.run, found.plain())
    return ILL if strict and (found.ill or found.hopeless) else 0


command = command_of(diagnose)
