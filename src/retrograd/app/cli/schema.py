"""`retrograd schema`: what a configuration may hold, for editors and other programs."""

from __future__ import annotations

import json

import typer

from retrograd.app.cli.options import command_of
from retrograd.train.config import schema as config_schema


def schema() -> None:
    """Print the JSON Schema of a configuration."""
    typer.echo(json.dumps(config_schema(), indent=2, ensure_ascii=False))


command = command_of(schema)
