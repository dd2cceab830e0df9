"""`retrograd export`: a trained model as an ONNX or C file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from retrograd.app.cli.options import CellsOption, Json, ModelName, OwnLayers, RunsRoot, command_of
from retrograd.app.cli.surroundings import settle
from retrograd.base.errors import UsageError
from retrograd.interop.hub.exporting import export_folder, lines
from retrograd.present.numbers import size
from retrograd.record.strict_json import write_json
from retrograd.ship.export import Exported
from retrograd.ship.export import export as export_run


def export(
    run: ModelName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="file to write: model.onnx, net.c, or a folder")],
    from_x: Annotated[
        bool,
        typer.Option("--from-x", help="accept the network's columns instead of rows: no preprocessing in the file"),
    ] = False,
    cells: CellsOption = "typed",
    opset: Annotated[
        int | None,
        typer.Option(metavar="N", help="version of the ONNX operators: 18, or 20 [default: 18, for text 20]"),
    ] = None,
    train_step: Annotated[
        Literal["head", "all"] | None,
        typer.Option(help="also write a training step for use elsewhere: of the last layer, or all"),
    ] = None,
    runs: RunsRoot = Path("runs"),
    layers: OwnLayers = None,
    as_json: Json = False,
) -> None:
    """Write a trained model as ONNX or C, for use without retrograd and JAX.

    An ONNX file accepts raw rows, any number at once. A C file holds the network alone.

    Before a file is written, it is compared with predict on rows of the run's data and on made-up rows, one, three
    and 64 at a time. If it differs, nothing is written, and the first node that differs is named.

    --train-step writes three files beside the model: its training step (model.step.onnx), some rows of its data with
    their targets (model.rows.npz), and retrograd_edge.py, which predicts, learns and rolls back with onnxruntime
    and numpy alone.

    A name without an ending is a folder: a model whose weights were imported is written as they were stored, under the
    same names, with config.json and tokenizer.

    ONNX needs two packages: pip install 'retrograd[onnx]'
    """
    settle(layers)
    if not file.suffix:
        if from_x or train_step or opset or cells != "typed":
            raise UsageError("these options are for an ONNX file", where=str(file), cure="name the file model.onnx")
        written = export_folder(run, file, runs=runs)
        typer.echo(write_json({**written._asdict(), "path": str(written.path)}) if as_json
                   else "\n".join(lines(written)))  # fmt: skip
        return
    exported = export_run(run, file, from_x=from_x, cells=cells, opset=opset, train_step=train_step, runs=runs)
    typer.echo(write_json(plain(exported)) if as_json else words(exported))


def plain(exported: Exported) -> dict[str, Any]:
    """Return the JSON output for an exported file."""
    ends = {name: [{"name": n, "type": t, "shape": list(s)} for n, t, s in getattr(exported, name)]
            for name in ("inputs", "outputs")}  # fmt: skip
    return {"path": str(exported.path), "bytes": exported.bytes, "needs": exported.needs,
            "difference": exported.difference, "latency_seconds": exported.latency,
            "compared": list(exported.compared), "beside": [str(path) for path in exported.beside],
            "trained": list(exported.trained),
            "weights": None if exported.weights is None else str(exported.weights), **ends}  # fmt: skip


def words(exported: Exported) -> str:
    """Return the lines to print for an exported file."""
    lines = [f"{exported.path}: {size(exported.bytes)}, for {exported.needs}"]
    if exported.weights is not None:
        lines.append(lies_beside(exported.weights))
    for what, ends in (("takes", exported.inputs), ("gives", exported.outputs)):
        for i, (name, kind, shape) in enumerate(ends):
            axes = ", ".join("?" if axis is None else str(axis) for axis in shape)
            lines.append(f"  {what if i == 0 else '':5}  {name}  {kind} [{axes}]")
    lines.append(f"equal to predict within {exported.difference:.1e}: {', '.join(exported.compared)}")
    if exported.latency is not None:
        lines.append(f"one row takes {exported.latency * 1000:.3g} ms on one thread")
    if exported.beside:
        lines.append(f"beside it: {', '.join(path.name for path in exported.beside)}")
        lines.append(f"learns there: {', '.join(exported.trained)}")
    return "\n".join(lines)


def lies_beside(weights: Path) -> str:
    """Return what is to be said of weights in a file of their own."""
    return f"more than 2 GB: the weights are in {weights.name}, keep it beside the model"


command = command_of(export)
