"""`retrograd cache`: compiled programs and transformed data cached for later commands."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from retrograd.app.cli.options import CacheFolder, Json, command_of
from retrograd.base.caches import cache_folder
from retrograd.base.compilation.compile_cache import COMPILED, Kept, clear, kept
from retrograd.base.errors import UsageError
from retrograd.data.cache.entry import KeptData, cache_root, clear_data, kept_data
from retrograd.present.numbers import size


def cache(
    clears: Annotated[bool, typer.Option("--clear", help="clear the cache; later commands rebuild it")] = False,
    folder: CacheFolder = None,
    as_json: Json = False,
) -> None:
    """Show what is cached between commands: compiled programs, and columns of tables too large for memory."""
    programs = cache_folder(COMPILED)
    if programs is None:
        raise UsageError("there is no cache folder", where="HOME", cure="set HOME or XDG_CACHE_HOME to a folder")
    tables = cache_root(folder)
    stored = clear(programs) if clears else kept(programs)
    data = clear_data(tables) if clears else kept_data(tables)
    typer.echo(json.dumps(as_values(stored, data, clears)) if as_json else in_words(stored, data, clears))


def as_values(stored: Kept, data: KeptData, cleared: bool) -> dict[str, object]:
    """Return the cached or removed contents as JSON values."""
    tables = {"folder": str(data.folder), "tables": data.tables, "bytes": data.bytes}
    tables |= {"in_use": data.in_use} if cleared else {}
    return {"folder": str(stored.folder), "programs": stored.programs, "bytes": stored.bytes, "cleared": cleared,
            "data": tables}  # fmt: skip


def in_words(stored: Kept, data: KeptData, cleared: bool) -> str:
    """Return the cached or removed contents as text."""
    kinds = ((stored, stored.programs, "compiled program"), (data, data.tables, "table"))
    lines = [
        f"{kind.folder}: {'removed ' if cleared else ''}{count} {what}{'' if count == 1 else 's'}, {size(kind.bytes)}"
        for kind, count, what in kinds
    ]
    if data.in_use:
        tables = f"{data.in_use} table{'' if data.in_use == 1 else 's'}"
        lines.append(f"{data.folder}: kept {tables} in use by other commands")
    return "\n".join(lines)


command = command_of(cache)
