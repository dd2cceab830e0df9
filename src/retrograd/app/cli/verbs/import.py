"""`retrograd import`: a configuration for a pretrained model in a local folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from retrograd.app.cli.options import command_of
from retrograd.base.errors import UsageError
from retrograd.interop.hub.importing import import_folder
from retrograd.record.files import write_file


def import_model(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="a local folder with config.json, *.safetensors, tokenizer.json")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE.yaml", help="write to this file instead of printing")
    ] = None,
    head: Annotated[
        Literal["classes", "vocabulary"] | None,
        typer.Option(help="output: classes of texts, or the next token [default: the model's own; for BERT, classes]"),
    ] = None,
    data: Annotated[str | None, typer.Option(metavar="PATH", help="training texts [default: a built-in set]")] = None,
    target: Annotated[str | None, typer.Option(metavar="COLUMN", help="column with the classes of the texts")] = None,
    force: Annotated[bool, typer.Option("--force", help="overwrite an existing file")] = False,
) -> None:
    """Write a configuration for a pretrained GPT-2, BERT, LLaMA, Mistral or Qwen 2 in Hugging Face format.

    Only local files are read, and none that can run code: weights must be
    safetensors. The result is an ordinary configuration, to be used with
    `retrograd explain`, `check`, `trace` and `train`.
    """  # fmt: skip
    if out is not None and out.exists() and not force:
        raise UsageError("already exists", where=str(out), cure="choose another name, or use --force")
    if out is not None and out.parent != Path():  # paths in a configuration are relative to its folder
        folder = folder.resolve()
    imported = import_folder(folder, head=head, data=data, target=target)
    for note in imported.notes:
        print(note, file=sys.stderr)
    if out is None:
        typer.echo(imported.text, nl=False)
        return
    write_file(out, imported.text.encode())
    typer.echo(f"{out} written; read it with: retrograd explain {out}")


command = command_of(import_model)
