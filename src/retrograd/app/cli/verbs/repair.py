"""`retrograd repair`: tries remedies, and keeps those that improve the score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retrograd.app.cli.examined import keep, write_repaired
from retrograd.app.cli.findings import say_diagnosis, say_repair
from retrograd.app.cli.options import (
    Allowance,
    Changes,
    Json,
    OwnLayers,
    RunsRoot,
    Target,
    at_least,
    command_of,
    updates_or_time,
)
from retrograd.app.cli.programs import Source, program_at
from retrograd.app.cli.surroundings import settle
from retrograd.base.document import write_document
from retrograd.base.doors import refuse_foreign
from retrograd.base.errors import UsageError
from retrograd.diagnosis.diagnose import diagnose
from retrograd.record.strict_json import write_json
from retrograd.repairs.patch import difference, patched
from retrograd.repairs.repair import SEEDS, Repair, treat
from retrograd.training.config.config import plain_config


def repair(
    source: Annotated[
        str, typer.Argument(metavar="CONFIG|RUN|DATA", help="a YAML configuration, a run or a data file")
    ],
    target: Target = None,
    changes: Changes = None,
    budget: Annotated[
        Allowance | None,
        typer.Option(
            parser=updates_or_time,
            metavar="UPDATES|TIME",
            help="budget for all trials: updates (20000) or time (90s, 2m, 1h)",
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(parser=at_least(2), metavar="N", help="number of seeds a repair must succeed on")
    ] = SEEDS,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="also run a random search with the same number of updates")
    ] = False,
    layers: OwnLayers = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="write the repaired configuration next to the old one")
    ] = False,
    runs: RunsRoot = Path("runs"),
    as_json: Json = False,
) -> None:
    """Find what is wrong, try remedies from fresh weights, and keep the smallest patch that helps.

    \b
    By default the trials may cost 8 times the configured run. A patch is
    accepted if its gain on held-out rows exceeds the noise between seeds and is
    confirmed on further seeds and on the test part, which is not used for the
    choice. The trials are stored in the run folder and, with --apply, next to the
    repaired file.
    """
    settle(layers)
    refuse_foreign(source, "repair")
    program = program_at(source, target, changes or [], runs)
    diagnosis = diagnose(program.config, dataset=program.dataset, seeds=seeds, budget=None)
    if not as_json:
        say_diagnosis(diagnosis)
    allowed = budget or Allowance()
    outcome = treat(diagnosis, None, allowed.updates, seeds, allowed.seconds, baseline)
    old, text = program.text, new_text(program, outcome) if outcome.best else ""
    patch = difference(old, text, program.path.name if program.path else "") if outcome.best and old else ""
    plain = {**outcome.plain(), "difference": patch}
    if as_json:
        typer.echo(write_json(plain))
    else:
        say_repair(outcome)
        print(f"\n{patch or text}" if outcome.best else "")
    if program.run:
        keep(program.run, diagnosis.plain(), plain)
    if apply and outcome.best:
        path = beside(program.path or Path(f"{Path(source).stem}.yaml"))
        write_repaired(path, text, plain)
        typer.echo(f"written to {path}", err=as_json)


def new_text(program: Source, outcome: Repair) -> str:
    """Return the repaired configuration: the user's file with a few lines changed, or a new file for a table."""
    text = program.text
    if text is None:
        return write_document(plain_config(outcome.config))
    return patched(text, program.config, outcome.config)


def beside(path: Path) -> Path:
    """Return the path `name-repaired.yaml` next to a file.

    Raises:  UsageError if it exists: nothing is overwritten
    """
    new = path.with_name(f"{path.stem}-repaired.yaml")
    if new.exists():
        raise UsageError("already exists", where=str(new), cure="move it away, or omit --apply")
    return new


command = command_of(repair)
