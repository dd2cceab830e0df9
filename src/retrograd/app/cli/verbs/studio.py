"""`retrograd studio`: the page to build, watch, inspect and repair networks."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from retrograd.app.cli.options import Json, OwnLayers, at_least, command_of
from retrograd.base.errors import UsageError
from retrograd.record.strict_json import write_json

NEEDED = ("starlette", "uvicorn")


def studio(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="folder that contains the runs")] = Path("runs"),
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="folder whose data files may be read")] = Path(),
    port: Annotated[
        int | None,
        typer.Option(parser=at_least(1), metavar="N", help="port on this machine  [default: 8471, or the next free]"),
    ] = None,
    jobs: Annotated[
        int, typer.Option(parser=at_least(1), metavar="N", help="number of simultaneous training runs")
    ] = 1,
    layers: OwnLayers = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="do not open a browser")] = False,
    as_json: Json = False,
) -> None:
    """Open the page to build, watch, inspect and repair networks.

    \b
    It listens on this machine only, and its address contains a token that is
    needed for access. From another machine:
      ssh -L 8471:127.0.0.1:8471 HOST, then open the address printed here
    Ctrl-C stops the studio; training runs continue.
    """
    for package in NEEDED:
        if importlib.util.find_spec(package) is None:
            raise UsageError(f"the studio needs {package}", cure="pip install 'retrograd[studio]'")
    if not data.is_dir():
        raise UsageError("no such folder", where=f"--data {data}", cure="name the folder of your data files")
    title = f"studio for {folder}" if folder.is_dir() else f"studio for {folder}, which has no runs yet"
    server: Any = importlib.import_module("retrograd.studio.serve")

    def started(address: Any) -> None:
        if as_json:
            facts = {"url": address.url, "port": address.port, "token": address.token, "process": os.getpid()}
            typer.echo(write_json(facts))
        else:
            typer.echo(f"{title}\n  {address.full}\nCtrl-C stops the studio; training runs continue.")
        if not (no_browser or as_json):
            server.open_browser(address)

    own_layers = tuple(layers or ())
    with contextlib.suppress(KeyboardInterrupt):  # the way to end it
        server.serve(folder.absolute(), data.absolute(), port=port, jobs=jobs, layers=own_layers, started=started)


command = command_of(studio)
