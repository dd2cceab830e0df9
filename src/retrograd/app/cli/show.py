"""Runs and scores as text that fits 80 columns."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import numpy as np

from retrograd.data.report import Report
from retrograd.train.run import Prepared, Run


def print_start(prepared: Prepared, folder: Path, quiet: bool) -> None:
    """Say what is about to be trained, to standard error."""
    if quiet:
        return
    dataset, network = prepared.dataset, prepared.network
    batch = {name: column[:1] for name, column in dataset.train.items()}
    shapes = jax.eval_shape(lambda key: network.init(key, batch).params, jax.random.key(0))
    count = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes))
    rows = ", ".join(f"{number} {part}" for part, number in dataset.rows.items())
    print(f"{prepared.config.name}: {dataset.task}, rows: {rows}; {len(network)} nodes, {count:,} parameters",
          file=sys.stderr)  # fmt: skip
    for note in dataset.notes:
        print(f"  {note}", file=sys.stderr)
    print(f"  run folder {folder}", file=sys.stderr, flush=True)


def print_run(run: Run) -> None:
    """Say how a run ended: why it stopped, the scores of the kept weights, where it lies, what to do next."""
    stop, last = run.stop, run.history[-1] if run.history else None
    seconds = f" in {last.seconds:.1f} s" if last else ""
    print(f"stopped after {len(run.history)} epochs{seconds}: {stop.reason} ({stop.sentence})")
    if run.best_epoch is not None:
        print(f"kept the weights of epoch {run.best_epoch}")
    print(score_table(run.scores))
    print(f"run   {run.folder}")
    print(f"next  {next_command(run)}")


def print_report(report: Report) -> None:
    """Say what a transformation met, to standard error."""
    for sentence in report.sentences():
        print(f"note: {sentence}", file=sys.stderr)


def score_table(scores: Mapping[str, Mapping[str, float]]) -> str:
    """Return a table of metrics (rows) by part (columns)."""
    parts = list(scores)
    metrics = list(dict.fromkeys(name for part in parts for name in scores[part]))
    rows = [["", *parts]]
    rows += [[name, *(number(scores[part].get(name)) for part in parts)] for name in metrics]
    return table(rows)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells, the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def number(value: float | None) -> str:
    """Return a number with as many digits as help."""
    if value is None:
        return "-"
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.3e}"


def next_command(run: Run) -> str:
    """Return the command that somebody is likely to want now."""
    folder = shlex.quote(str(run.folder))
    settings = run.model.config.data
    if settings and settings.path:
        return f"retrograd predict {folder} {shlex.quote(settings.path)}"
    return f"retrograd runs show {folder}"
