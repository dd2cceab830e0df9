"""`retrograd compare-optimizers`: the same network with each optimizer at its best learning rate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from retrograd.app.cli.options import Changes, Json, OwnLayers, RunsRoot, Target, at_least, command_of
from retrograd.app.cli.programs import program_at
from retrograd.app.cli.surroundings import settle
from retrograd.base.doors import refuse_foreign
from retrograd.present.tables import table
from retrograd.present.text import filled
from retrograd.record.strict_json import write_json
from retrograd.tuning.optimizers import SEEDS
from retrograd.tuning.page import HEAD, comparison_rows
from retrograd.tuning.tune import PAGE
from retrograd.tuning.tune import compare_optimizers as run_comparison


def compare_optimizers(
    source: Annotated[
        str, typer.Argument(metavar="CONFIG|RUN|DATA", help="a YAML configuration, a run or a data file")
    ],
    target: Target = None,
    changes: Changes = None,
    seeds: Annotated[
        int, typer.Option(parser=at_least(1), metavar="N", help="number of seeds for each optimizer")
    ] = SEEDS,
    layers: OwnLayers = None,
    runs: RunsRoot = Path("runs"),
    as_json: Json = False,
) -> None:
    """Train the same network with SGD, momentum, RMSprop, Adagrad, Adam and AdamW.

    \b
    Each uses the best of 16 learning rates and starts from the same weights. The
    table shows the lowest validation loss over the seeds (training loss if there
    is no validation part), and the epoch that reached half of that decrease.
    """
    settle(layers)
    refuse_foreign(source, "tune")
    program = program_at(source, target, changes or [], runs)
    comparison = run_comparison(program.config, dataset=program.dataset, seeds=seeds, root=runs,
                           progress=lambda name: print(f"  {name}", file=sys.stderr))  # fmt: skip
    if as_json:
        typer.echo(write_json(comparison.plain()))
        return
    print(table([HEAD, *comparison_rows(comparison)]))
    print(filled(comparison.sentence, hang=0))
    print(f"report: {runs / f'optimizers-{program.config.name}' / PAGE}")


command = command_of(compare_optimizers)
