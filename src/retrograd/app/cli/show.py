"""Runs and scores as text that fits 80 columns."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import numpy as np
from rich.cells import cell_len, set_cell_size

from retrograd.data.report import Report
from retrograd.train.prepare import Prepared
from retrograd.train.run import Run

WIDTH = 80  # columns of a table
GAP = 2


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
    seconds = run.history[-1].seconds if run.history else 0.0
    print(ending(len(run.history), seconds, run.stop.reason, run.stop.sentence, run.best_epoch))
    print(score_table(run.scores))
    print(f"run   {run.folder}")
    print(f"next  {next_command(run)}")


def ending(epochs: int, seconds: float, reason: str, sentence: str, best: int | None) -> str:
    """Return how a run ended, and which weights it kept."""
    counted = "1 epoch" if epochs == 1 else f"{epochs} epochs"
    kept = "the first weights" if best is None else f"the weights of epoch {best}"
    return f"stopped after {counted} in {seconds:.1f} s: {reason} ({sentence})\nkept {kept}"


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
    """Return rows of cells, the first column to the left, the others to the right; the widest give way."""
    widths = [max(cell_len(row[i]) for row in rows) for i in range(len(rows[0]))]
    while sum(widths) + GAP * (len(widths) - 1) > WIDTH:
        widths[widths.index(max(widths))] -= 1
    lines = []
    for row in rows:
        first, *others = (cut(cell, width) for cell, width in zip(row, widths, strict=True))
        padded = [" " * (width - cell_len(cell)) + cell for cell, width in zip(others, widths[1:], strict=True)]
        lines.append((" " * GAP).join([first + " " * (widths[0] - cell_len(first)), *padded]).rstrip())
    return "\n".join(lines)


def cut(text: str, width: int) -> str:
    """Return a text that takes at most so many columns of a terminal; what is left of a longer one ends in `...`."""
    return text if cell_len(text) <= width else set_cell_size(text, max(width - 3, 0)).rstrip() + "..."[:width]


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
