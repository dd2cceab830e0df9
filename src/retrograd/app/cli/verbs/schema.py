"""`retrograd schema`: the JSON Schema of configurations, for editors and other programs."""

from __future__ import annotations

import json

import typer

from retrograd.app.cli.options import Json, OwnLayers, command_of
from retrograd.network.own_layers import load_layers
from retrograd.training.config.config import schema as config_schema


def schema(layers: OwnLayers = None, as_json: Json = True) -> None:
    """Print the JSON Schema of configurations; the output is JSON with or without --json."""
    for file in layers or ():
        load_layers(file)
    typer.echo(json.dumps(config_schema(), indent=2, ensure_ascii=False))


command = command_of(schema)
