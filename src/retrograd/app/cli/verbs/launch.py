"""`retrograd launch`: one command in several processes on one machine."""

from __future__ import annotations

from typing import Annotated

import typer

from retrograd.app.cli.options import at_least, command_of
from retrograd.base.errors import UsageError
from retrograd.distributed.launch import launch as launch_all

LAUNCHED = ("train",)


def launch(
    command: Annotated[list[str], typer.Argument(metavar="-- train CONFIG", help="the command, after --")],
    processes: Annotated[
        int, typer.Option("-n", "--processes", parser=at_least(1), metavar="N", help="number of processes")
    ] = 2,
    restarts: Annotated[
        int,
        typer.Option(
            parser=at_least(0), metavar="N", help="after a failure, restart up to N times and continue the run"
        ),
    ] = 0,
) -> int:
    """Train in several processes on this machine: each computes its share of every batch.

    \b
    retrograd launch -n 2 -- train examples/digits.yaml
    retrograd launch -n 8 --restarts 3 -- train gpt.yaml

    The batch, and so the result, does not depend on the number of processes. On
    several machines, use srun, mpirun or Kubernetes: see docs/distributed.md.
    """
    if command[0] not in LAUNCHED:
        cure = f"retrograd launch -n {processes} -- train CONFIG"
        raise UsageError(f"only `train` runs in several processes, not '{command[0]}'", cure=cure)
    return launch_all(command, processes, restarts)


command = command_of(launch)
