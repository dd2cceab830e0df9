"""`retrograd import`: a configuration for the pretrained model in a folder."""

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
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.yaml", help="write there instead of printing")
    ] = None,
    head: Annotated[
        Literal["classes", "vocabulary"] | None,
        typer.Option(
            help="what it answers with: classes of texts, or the next token [default: the model's; of BERT classes]"
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="PATH", help="texts to learn from [default: built-in ones]")
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="the column with the classes of the texts")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="replace the file if it is there")] = False,
) -> None:
    """Write the configuration of a pretrained model: GPT-2, BERT, LLaMA, Mistral or Qwen 2, as Hugging Face stores it.

    Only local files are read, and none that could run code: weights as
    safetensors. `retrograd explain`, check, trace and train take what is written
    as any configuration.
    """  # fmt: skip
    if output is not None and output.exists() and not force:
        raise UsageError("exists already", where=str(output), cure="choose another name, or give --force")
    if output is not None and output.parent != Path():  # paths in a configuration are meant from its folder
        folder = folder.resolve()
    imported = import_folder(folder, head=head, data=data, target=target)
    for note in imported.notes:
        print(note, file=sys.stderr)
    if output is None:
        typer.echo(imported.text, nl=False)
        return
    write_file(output, imported.text.encode())
    typer.echo(f"{output} written; read it with: retrograd explain {output}")


command = command_of(import_model)
