"""`retrograd generate`: texts from a language model or a sequence-to-sequence model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retrograd.app.cli.models import model_at
from retrograd.app.cli.options import Json, ModelName, OwnLayers, RunsRoot, at_least, command_of, finite_positive
from retrograd.app.cli.surroundings import settle
from retrograd.base.errors import UsageError
from retrograd.record.strict_json import write_json
from retrograd.training.use.generate import beam_search
from retrograd.training.use.generate import generate as generate_text


def generate(
    run: ModelName,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="the prompt")] = "",
    length: Annotated[
        int | None, typer.Option(parser=at_least(1), metavar="N", help="maximum number of tokens")
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            parser=finite_positive,
            metavar="T",
            help="sampling temperature: below 1 favours likely tokens, above 1 evens them out",
        ),
    ] = None,
    greedy: Annotated[bool, typer.Option("--greedy", help="always choose the most likely token")] = False,
    top: Annotated[
        int | None, typer.Option(parser=at_least(1), metavar="N", help="sample from the N most likely tokens")
    ] = None,
    beam: Annotated[
        int | None,
        typer.Option(
            parser=at_least(1), metavar="N", help="use beam search and print the N best texts with their scores"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(parser=at_least(0), metavar="N", help="seed for sampling")] = 0,
    runs: RunsRoot = Path("runs"),
    layers: OwnLayers = None,
    as_json: Json = False,
) -> None:
    """Generate text: continue a prompt with a language model, or answer it with a sequence-to-sequence model."""
    settle(layers)
    if beam is not None and (greedy or temperature is not None or top is not None):
        raise UsageError("beam search does not sample", where="--beam", cure="omit --greedy, --temperature and --top")
    if greedy and (temperature is not None or top is not None):
        raise UsageError("greedy decoding does not sample", where="--greedy", cure="omit --temperature and --top")
    model = model_at(run, runs)
    if beam is not None:
        beams = beam_search(model, text, width=beam, length=length)
        plain = [{"text": continuation, "log_probability": score} for continuation, score in beams]
        typer.echo(
            write_json(plain)
            if as_json
            else "\n".join(f"{score:9.3f}  {continuation}" for continuation, score in beams)
        )
        return
    chosen = 0.0 if greedy else 1.0 if temperature is None else temperature
    texts = generate_text(model, text, length=length, temperature=chosen, top=top, seed=seed)
    typer.echo(write_json({"text": texts}) if as_json else texts)


command = command_of(generate)
