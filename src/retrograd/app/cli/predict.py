"""`retrograd predict`: predictions for new rows, as CSV or JSON."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from retrograd.app.cli.models import check_order, model_at
from retrograd.app.cli.options import Json, ModelName, OwnLayers, RunsRoot, command_of, existing_data
from retrograd.app.cli.predictions import predictions
from retrograd.app.cli.show import print_report
from retrograd.app.cli.surroundings import settle
from retrograd.base.errors import UsageError
from retrograd.data.report import Report
from retrograd.record.files import write_file
from retrograd.record.strict_json import write_json


def predict(
    run: ModelName,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="rows like those of training; the target may be absent")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="file to write instead of standard output (.npz: masks)")
    ] = None,
    runs: RunsRoot = Path("runs"),
    layers: OwnLayers = None,
    as_json: Json = False,
    allow_nonfinite: Annotated[
        bool, typer.Option("--allow-nonfinite", help="use a model with NaN or infinite weights")
    ] = False,
) -> None:
    """Predict for new rows, as CSV or, with --json, as a list of objects.

    Preprocessing is inside the model: give the raw columns, in any order, or a file or folder of images or texts,
    whatever it was trained on. The forecast that follows a series is the last row.
    """
    settle(layers)
    check_order(run, data, "predict")
    existing_data(data)
    model = model_at(run, runs, allow_nonfinite)
    report = Report()
    rows = model.rows(data)
    decoded = model.decode(rows, report)
    print_report(report)
    if out is not None and out.suffix == ".npz":
        write_masks(out, decoded.labels)
        return
    frame = predictions(model, rows, decoded)
    text = write_json(frame.to_dicts()) + "\n" if as_json else frame.write_csv()
    if out is None:
        sys.stdout.write(text)
        return
    write_file(out, text.encode())
    typer.echo(f"{len(frame)} predictions written to {out}", err=True)


def write_masks(out: Path, labels: np.ndarray | None) -> None:
    """Write predicted masks as the array `y` of a .npz file."""
    if labels is None or labels.ndim != 3:
        raise UsageError("only masks are written as .npz", where=f"--out {out}", cure="name a .csv file")
    stream = io.BytesIO()
    np.savez_compressed(stream, y=labels)
    write_file(out, stream.getvalue())
    typer.echo(f"{len(labels)} masks written to {out}", err=True)


command = command_of(predict)
