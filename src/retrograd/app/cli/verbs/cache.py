"""`retrograd cache`: compiled programs that later commands find ready."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from retrograd.app.cli.options import Json, command_of
from retrograd.base.compilation.compile_cache import Kept, cache_folder, clear, kept
from retrograd.base.errors import UsageError
from retrograd.present.numbers import size


def cache(
    clears: Annotated[bool, typer.Option("--clear", help="Remove them; the next commands compile anew.")] = False,
    as_json: Json = False,
) -> None:
    """Show where compiled programs are kept between commands, how many there are, and their size."""
    folder = cache_folder()
    if folder is None:
        raise UsageError("there is no cache folder", where="HOME", cure="set HOME or XDG_CACHE_HOME to a folder")
    stored = clear(folder) if clears else kept(folder)
    typer.echo(json.dumps(as_values(stored, clears)) if as_json else in_words(stored, clears))


def as_values(stored: Kept, cleared: bool) -> dict[str, object]:
    """Return what is kept, or was removed, as plain values."""
    return {"folder": str(stored.folder), "programs": stored.programs, "bytes": stored.bytes, "cleared": cleared}


def in_words(stored: Kept, cleared: bool) -> str:
    """Return what is kept, or was removed, in words."""
    programs = f"{stored.programs} compiled program{'' if stored.programs == 1 else 's'}, {size(stored.bytes)}"
    return f"{stored.folder}: {'removed ' if cleared else ''}{programs}"


command = command_of(cache)
