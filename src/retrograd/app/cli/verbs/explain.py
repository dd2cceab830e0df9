"""`retrograd explain`: explains a configuration, or prints the manual page of anything it can name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retrograd.app.cli.options import (
    Changes,
    Json,
    OwnLayers,
    RunsRoot,
    Target,
    command_of,
    existing_data,
    existing_file,
)
from retrograd.app.cli.surroundings import settle
from retrograd.base.errors import UsageError
from retrograd.data.patterns import is_pattern
from retrograd.explanation.explain import explain as explain_run
from retrograd.explanation.manual.pages import manual, names
from retrograd.record.files import write_file
from retrograd.record.run import CONFIG
from retrograd.record.runs import find_run
from retrograd.record.strict_json import write_json


def explain(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="CONFIG|RUN|DATA|NAME",
            help="a YAML configuration, a run, a data file, or the name of a layer, loss, optimizer or setting",
        ),
    ] = None,
    target: Target = None,
    changes: Changes = None,
    page: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="write an HTML page to this file")] = None,
    every: Annotated[bool, typer.Option("--all", help="show every setting, including defaults")] = False,
    listed: Annotated[bool, typer.Option("--list", help="list all names that have a manual page")] = False,
    layers: OwnLayers = None,
    runs: RunsRoot = Path("runs"),
    as_json: Json = False,
) -> None:
    """Explain every line of a configuration before the first training step.

    \b
    retrograd explain examples/digits.yaml
    retrograd explain house.csv --target price
    retrograd explain batch_norm         (a manual page; --list lists all names)
    """
    settle(layers)
    if listed:
        typer.echo(names())
        return
    if what is None:
        raise UsageError(
            "nothing to explain", cure="name a configuration, a run, a data file or a topic; --list lists the topics"
        )
    place = place_of(what, runs)
    if place is None:
        if as_json or page or changes or target:
            raise UsageError(f"'{what}' is neither a file nor a run", cure="a manual page accepts no options")
        typer.echo(manual(what))
        return
    explanation = explain_run(place, target=target, changes=changes or ())
    if page is not None:
        write_file(page, explanation.html().encode())
        typer.echo(f"{explanation.name}: written to {page}", err=True)
    if as_json or page is None:
        typer.echo(write_json(explanation.to_json()) if as_json else explanation.text(every))


def place_of(what: str, runs: Path) -> Path | None:
    """Return the file or run with this name; None if the name has a manual page."""
    if Path(what).is_file():
        return existing_file(Path(what))
    if is_pattern(Path(what)) or (Path(what).is_dir() and not (Path(what) / CONFIG).exists()):
        return existing_data(Path(what))  # a folder of images, sounds, texts or the parts of a table
    try:
        manual(what)
    except UsageError as unknown:
        try:
            return find_run(runs, what).path
        except UsageError:
            if "." in what or "/" in what:
                return existing_file(Path(what))
            raise unknown from None
    return None


command = command_of(explain)
