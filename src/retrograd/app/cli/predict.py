"""`retrograd predict`: predictions for new rows, as CSV or JSON."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer

from retrograd.app.cli.models import check_order, model_at
from retrograd.app.cli.options import Json, ModelName, OwnLayers, RunsRoot, command_of, existing_file
from retrograd.app.cli.show import print_report
from retrograd.app.cli.surroundings import settle
from retrograd.data.report import Report
from retrograd.data.target import Decoded
from retrograd.record.files import write_file
from retrograd.record.strict_json import write_json
from retrograd.train.predict import Model


def predict(
    run: ModelName,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="rows like those of training; the target may be absent")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="file to write instead of standard output")] = None,
    runs: RunsRoot = Path("runs"),
    layers: OwnLayers = None,
    as_json: Json = False,
    allow_nonfinite: Annotated[
        bool, typer.Option("--allow-nonfinite", help="use a model with NaN or infinite weights")
    ] = False,
) -> None:
    """Predict for new rows, as CSV or, with --json, as a list of objects.

    Preprocessing is inside the model: give the raw columns, in any order.
    """
    settle(layers)
    check_order(run, data, "predict")
    existing_file(data)
    model = model_at(run, runs, allow_nonfinite)
    report = Report()
    frame = predictions(model, model.decode(data, report))
    print_report(report)
    text = write_json(frame.to_dicts()) + "\n" if as_json else frame.write_csv()
    if out is None:
        sys.stdout.write(text)
        return
    write_file(out, text.encode())
    typer.echo(f"{len(frame)} predictions written to {out}", err=True)


def predictions(model: Model, decoded: Decoded) -> pl.DataFrame:
    """Return a column with the prediction of each target, and for classes their probabilities."""
    if decoded.labels is not None and decoded.probabilities is not None:
        columns = {"prediction": pl.Series(decoded.labels.tolist())}
        for label, values in zip(model.preprocessing.classes or (), decoded.probabilities.T, strict=True):
            columns[f"probability_{label}"] = pl.Series(values)
        return pl.DataFrame(columns)
    values = np.asarray(decoded.values)
    target = model.preprocessing.target
    names = target.names if target and len(target.names) > 1 else ("prediction",)
    values = values.reshape(len(values), -1)
    names = names if len(names) == values.shape[1] else tuple(f"prediction_{i}" for i in range(values.shape[1]))
    return pl.DataFrame(dict(zip(names, values.T, strict=True)))


command = command_of(predict)
