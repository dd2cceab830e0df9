"""`retrograd check`: whether a backward pass is the derivative of its forward pass."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retrograd.app.cli.options import Changes, Json, OwnLayers, RunsRoot, at_least, command_of
from retrograd.app.cli.programs import path_hint
from retrograd.app.cli.surroundings import settle
from retrograd.base.errors import UsageError, did_you_mean
from retrograd.network.layer import layers as registered
from retrograd.network.losses.loss import losses
from retrograd.record.runs import find_run
from retrograd.record.strict_json import write_json
from retrograd.training.check import check as check_gradients
from retrograd.training.config.config import RunConfig, is_configuration, read_config

WRONG_GRADIENT = 7


def check(
    what: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG|RUN|LAYER|FILE.py",
            help="a YAML configuration, a run, a layer or loss, or a Python file that registers layers",
        ),
    ],
    changes: Changes = None,
    layers: OwnLayers = None,
    entries: Annotated[
        int | None,
        typer.Option(parser=at_least(1), metavar="N", help="number of entries to check in each large tensor"),
    ] = None,
    seed: Annotated[
        int, typer.Option(parser=at_least(0), metavar="N", help="seed for the random example and the entries checked")
    ] = 0,
    runs: RunsRoot = Path("runs"),
    as_json: Json = False,
) -> int:
    """Compare the backward pass with central differences in float64 and with jax.vjp.

    \b
    The verdict follows from the relative error of each tensor:
      exact <= 1e-7, acceptable <= 1e-5, suspicious <= 1e-3, else wrong (exit 7)
    """  # fmt: skip
    settle(layers)
    named = meant(what, runs)
    report = check_gradients(changed(named, changes) if changes else named, entries=entries, seed=seed)
    typer.echo(write_json(report.to_json()) if as_json else str(report))
    return WRONG_GRADIENT if report.verdict == "wrong" else 0


def meant(what: str, runs: Path) -> str | Path:
    """Return the path, layer or loss that an argument names; anything else is looked up as a run."""
    if what in registered or what in losses or Path(what).is_file():
        return what
    try:
        return find_run(runs, what, path_hint(what)).path
    except UsageError as error:
        known = did_you_mean(what, [*registered, *losses])
        if Path(what).exists() or "mean" in str(error) or not known.startswith("did"):
            raise
        raise UsageError(f"no file, run, layer or loss '{what}'", cure=known) from None


def changed(named: str | Path, changes: list[str]) -> RunConfig:
    """Return the configuration in a file, with changes."""
    path = Path(named)
    if not is_configuration(path):
        raise UsageError("only for a configuration", where="--set", cure="a run or a layer is checked as it is")
    return read_config(path, changes)


command = command_of(check)
