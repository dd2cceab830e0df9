"""`retrograd trace`: shows every number of one training step."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from retrograd.app.cli.options import Changes, OwnLayers, RunsRoot, at_least, command_of, existing_file
from retrograd.app.cli.programs import path_hint
from retrograd.app.cli.surroundings import settle
from retrograd.base.doors import refuse_foreign
from retrograd.base.errors import UsageError
from retrograd.record.files import write_file
from retrograd.record.runs import find_run
from retrograd.tracing.trace import Trace
from retrograd.tracing.trace import trace as trace_step
from retrograd.training.config.config import is_configuration

MOST_DECIMALS = 17


class Format(StrEnum):
    """The output format of a trace."""

    text = "text"
    markdown = "markdown"
    json = "json"
    html = "html"
    latex = "latex"
    svg = "svg"
    png = "png"


class Precision(StrEnum):
    """The floating-point type of the computation."""

    float64 = "float64"
    float32 = "float32"


SUFFIXES = {
    ".txt": Format.text, ".md": Format.markdown, ".json": Format.json, ".html": Format.html, ".htm": Format.html,
    ".tex": Format.latex, ".svg": Format.svg, ".png": Format.png,
}  # fmt: skip


def trace(
    source: Annotated[str, typer.Argument(metavar="CONFIG|RUN", help="a YAML configuration or a run")],
    step: Annotated[
        int | None, typer.Option(parser=at_least(1), metavar="N", help="trace this step, counted from 1 [default: 1]")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(parser=at_least(0), metavar="I", help="trace a single training row, counted from 0")
    ] = None,
    batch: Annotated[bool, typer.Option("--batch", help="trace all rows of the step (the default)")] = False,
    node: Annotated[str | None, typer.Option(metavar="PATH", help="show one node in full")] = None,
    dtype: Annotated[
        Precision, typer.Option(help="precision; float32 repeats the run, and says whether bit for bit")
    ] = Precision.float64,
    form: Annotated[
        Format | None,
        typer.Option("--format", help="output format [default: from the extension of --out, else text]"),
    ] = None,
    decimals: Annotated[int, typer.Option(parser=at_least(0), metavar="D", help="number of decimals")] = 4,
    delta: Annotated[
        str | None,
        typer.Option(
            metavar="VALUES", help="start the backward pass from this output delta, for example -4 or 0.1,-0.2"
        ),
    ] = None,
    condition: Annotated[
        str | None,
        typer.Option(
            "--break",
            metavar="CONDITION",
            help="trace the first step that meets this condition, for example 'grad_norm>10'",
        ),
    ] = None,
    changes: Changes = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="write to this file; its extension selects the format"),
    ] = None,
    layers: OwnLayers = None,
    runs: RunsRoot = Path("runs"),
) -> None:
    """Show every number of one training step: forward, loss, deltas, update.

    \b
    retrograd trace examples/xor.yaml --sample 3
    retrograd trace last --step 137 --dtype float32
    retrograd trace examples/xor.yaml -o step.svg     (.html .png .tex .md .json)
    """
    settle(layers)
    refuse_contradictions(sample, batch, step, condition, decimals)
    refuse_foreign(source, "trace")
    form = form or format_of(out)
    if out is None and form is Format.png and sys.stdout.isatty():
        raise UsageError("a PNG cannot be shown in a terminal", where="--format", cure="write it to a file with --out")
    path = Path(source)
    is_config = is_configuration(path)
    if changes and not is_config:
        raise UsageError("only for a configuration; a run is traced as it was trained", where="--set")
    result = trace_step(
        existing_file(path) if is_config else find_run(runs, source, path_hint(source)).path,
        step=step or 1,
        sample=sample,
        node=node,
        dtype=dtype.value,
        delta=None if delta is None else numbers_in(delta),
        break_when=condition,
        changes=changes or (),
    )
    content = written(result, form, decimals)
    if out is None:
        typer.echo(content, nl=False)
    else:
        write_file(out, content)
        typer.echo(f"{result.title}: written to {out}", err=True)


def refuse_contradictions(
    sample: int | None, batch: bool, step: int | None, condition: str | None, decimals: int
) -> None:
    """Raise UsageError for contradictory options."""
    if sample is not None and batch:
        raise UsageError("--sample and --batch exclude each other", cure="use one of them")
    if step is not None and condition is not None:
        raise UsageError("--step and --break exclude each other", cure="use one of them")
    if decimals > MOST_DECIMALS:
        raise UsageError(f"a float64 has no more than {MOST_DECIMALS} digits", where="--decimals")


def format_of(out: Path | None) -> Format:
    """Return the format for a file extension; text if there is none."""
    ending = out.suffix.lower() if out else ""
    if ending and ending not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise UsageError(
            f"unknown extension '{ending}'", where=f"--out {out}", cure=f"use one of {known}, or add --format"
        )
    return SUFFIXES.get(ending, Format.text)


def numbers_in(text: str) -> list[float]:
    """Parse a list of numbers such as `0.1,-0.2`."""
    try:
        return [float(part) for part in text.replace(",", " ").split()] or [float(text)]
    except ValueError:
        raise UsageError(f"expected numbers such as -4 or 0.1,-0.2, found '{text}'", where="--delta") from None


def written(result: Trace, form: Format, decimals: int) -> bytes:
    """Return the trace in this format, encoded."""
    if form is Format.json:
        return result.json().encode()
    content = getattr(result, form.value)(decimals)
    return content if isinstance(content, bytes) else content.encode()


command = command_of(trace)
