"""`retrograd export`: a trained model as an ONNX or C file, or as a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from retrograd.app.cli.options import CellsOption, Json, ModelName, OwnLayers, RunsRoot, command_of
from retrograd.app.cli.surroundings import settle
from retrograd.base.errors import UsageError
from retrograd.interop.hub.exporting import export_folder, lines
from retrograd.present.numbers import number, size
from retrograd.record.strict_json import write_json
from retrograd.ship.export import Exported
from retrograd.ship.export import export as export_run


def export(
    run: ModelName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="file to write: model.onnx, net.c, or a folder")],
    from_x: Annotated[
        bool,
        typer.Option("--from-x", help="start at the network's input columns, without preprocessing"),
    ] = False,
    cells: CellsOption = "typed",
    opset: Annotated[
        int | None,
        typer.Option(metavar="N", help="ONNX opset version: 18 or 20 [default: 18; 20 for text]"),
    ] = None,
    train_step: Annotated[
        Literal["head", "all"] | None,
        typer.Option(help="also write a training step, for the last layer or all layers"),
    ] = None,
    runs: RunsRoot = Path("runs"),
    layers: OwnLayers = None,
    as_json: Json = False,
) -> None:
    """Write a trained model as ONNX, C or a Hugging Face folder, for use without retrograd and JAX.

    An ONNX file accepts raw rows, any number at a time. A C file contains only the network.

    Before a file is written, its predictions are compared with those of `retrograd predict`, on rows of the run's data
    and on synthetic rows, in batches of 1, 3 and 64. If they differ, nothing is written and the first differing node is
    reported.

    --train-step writes three more files: the training step (model.step.onnx), some rows with their targets
    (model.rows.npz), and retrograd_edge.py, which predicts, trains and rolls back with only onnxruntime and numpy.

    A name without an extension is a folder: a model with imported weights is written in its original layout, under the
    same names, with config.json and the tokenizer.

    ONNX needs two packages: pip install 'retrograd[onnx]'
    """
    settle(layers)
    if not file.suffix:
        if from_x or train_step or opset or cells != "typed":
            raise UsageError("these options apply only to ONNX files", where=str(file), cure="name the file model.onnx")
        written = export_folder(run, file, runs=runs)
        typer.echo(write_json({**written._asdict(), "path": str(written.path)}) if as_json
                   else "\n".join(lines(written)))  # fmt: skip
        return
    exported = export_run(run, file, from_x=from_x, cells=cells, opset=opset, train_step=train_step, runs=runs)
    typer.echo(write_json(plain(exported)) if as_json else words(exported))


def plain(exported: Exported) -> dict[str, Any]:
    """Return the JSON output for an exported file."""
    tensors = {name: [{"name": n, "type": t, "shape": list(s)} for n, t, s in getattr(exported, name)]
               for name in ("inputs", "outputs")}  # fmt: skip
    return {"path": str(exported.path), "bytes": exported.bytes, "needs": exported.needs,
            "difference": exported.difference, "latency_seconds": exported.latency,
            "compared": list(exported.compared), "beside": [str(path) for path in exported.beside],
            "trained": list(exported.trained),
            "weights": None if exported.weights is None else str(exported.weights), **tensors}  # fmt: skip


def words(exported: Exported) -> str:
    """Return the lines to print for an exported file."""
    lines = [f"{exported.path}: {size(exported.bytes)}, for {exported.needs}"]
    if exported.weights is not None:
        lines.append(weights_apart(exported.weights))
    for label, tensors in (("input", exported.inputs), ("output", exported.outputs)):
        for i, (name, kind, shape) in enumerate(tensors):
            axes = ", ".join("?" if axis is None else str(axis) for axis in shape)
            lines.append(f"  {label if i == 0 else '':6}  {name}  {kind} [{axes}]")
    lines.append(f"equal to predict within {number(exported.difference, 2)}: {', '.join(exported.compared)}")
    if exported.latency is not None:
        lines.append(f"one row takes {number(exported.latency * 1000, 3)} ms on one thread")
    if exported.beside:
        lines.append(f"also written: {', '.join(path.name for path in exported.beside)}")
        lines.append(f"trained by the step: {', '.join(exported.trained)}")
    return "\n".join(lines)


def weights_apart(weights: Path) -> str:
    """Return the line about weights stored in a separate file."""
    return f"over 2 GB: the weights are in {weights.name}; keep it next to the model"


command = command_of(export)
