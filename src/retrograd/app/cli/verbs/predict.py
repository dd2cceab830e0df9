"""`retrograd predict`: predictions for new rows, as CSV or JSON."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from retrograd.app.cli.models import check_order, model_at, with_invalid
from retrograd.app.cli.options import Json, ModelName, OwnLayers, RunsRoot, command_of
from retrograd.app.cli.predictions import flat, predictions, without_formulas
from retrograd.app.cli.show import print_report
from retrograd.app.cli.standard_input import data_path
from retrograd.app.cli.surroundings import settle
from retrograd.base.errors import RetrogradError, UsageError
from retrograd.base.sentence import Mention, spelt
from retrograd.data.report import Report
from retrograd.data.table import Table
from retrograd.record.files import write_file
from retrograd.record.strict_json import write_json


def predict(
    run: ModelName,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="rows like the training rows; the target may be absent")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="write to this file instead of standard output (.npz for masks)"
        ),
    ] = None,
    runs: RunsRoot = Path("runs"),
    layers: OwnLayers = None,
    as_json: Json = False,
    invalid: Annotated[
        Literal["error", "missing"] | None,
        typer.Option(help="treat unreadable cells and lines as errors or as missing [default: as in training]"),
    ] = None,
    formulas: Annotated[
        bool, typer.Option("--formulas", help="do not put ' before texts that begin with = + - @")
    ] = False,
    allow_nonfinite: Annotated[
        bool, typer.Option("--allow-nonfinite", help="accept a model with NaN or infinite weights")
    ] = False,
) -> None:
    """Predict for new rows, as CSV or, with --json, as a list of objects.

    Preprocessing is part of the model. Pass raw columns in any order, a file or folder of images, sounds or texts like
    the training data, or - to read rows (CSV or JSON) from standard input. For a series, the last row is the forecast
    beyond its end. A masked language model fills in each [MASK] of a text.

    Control characters are printed as \\x1b; a file (-o) contains them unchanged.
    """
    settle(layers)
    check_order(run, data, "predict")
    with data_path(data) as path, option_named():
        model = with_invalid(model_at(run, runs, allow_nonfinite), invalid)
        report = Report()
        rows = model.rows(path)
        decoded, spread = model.decode_with_spread(rows, report)
    print_report(report, rows.notes if isinstance(rows, Table) else ())
    if out is not None and out.suffix == ".npz":
        write_masks(out, decoded.labels)
        return
    frame = predictions(model, rows, decoded, spread)
    if as_json:
        text = write_json(frame.to_dicts()) + "\n"
    else:
        text = (flat(frame) if formulas else without_formulas(flat(frame))).write_csv()
    if out is None:
        sys.stdout.write(text)
        return
    write_file(out, text.encode())
    typer.echo(f"{len(frame)} predictions written to {out}", err=True)


@contextmanager
def option_named() -> Iterator[None]:
    """Make errors name the option of this verb instead of the training setting."""
    try:
        yield
    except RetrogradError as error:
        raise type(error)(
            [problem._replace(cure=spelt(problem.cure, _own_option)) for problem in error.problems]
        ) from None


def _own_option(mention: Mention) -> str:
    return "`--invalid missing`" if (mention.path, mention.value) == ("data.invalid", "missing") else str(mention)


def write_masks(out: Path, labels: np.ndarray | None) -> None:
    """Write predicted masks as the array `y` of a .npz file."""
    if labels is None or labels.ndim != 3:
        raise UsageError("only masks can be written as .npz", where=f"--out {out}", cure="name a .csv file")
    stream = io.BytesIO()
    np.savez_compressed(stream, y=labels)
    write_file(out, stream.getvalue())
    typer.echo(f"{len(labels)} masks written to {out}", err=True)


command = command_of(predict)
