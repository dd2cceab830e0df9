"""Messages printed before and after a run."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from retrograd.app.cli.streams import labelled
from retrograd.app.cli.verbs.runs import ended, most_confused
from retrograd.data.report import Report
from retrograd.present.tables import score_table
from retrograd.present.text import filled
from retrograd.record.events import INTERRUPTED, Resumed
from retrograd.record.judged import read_judged
from retrograd.record.run import REPORT, RunFolder
from retrograd.report.chance import chance_of
from retrograd.training.prepare import Prepared
from retrograd.training.run import Run


def print_start(prepared: Prepared, folder: Path, spelt: Callable[[str], str] = str) -> None:
    """Print what is about to be trained to standard error; `spelt` rewrites notes on the data for the user."""
    dataset, network = prepared.dataset, prepared.network
    batch = {name: column[:1] for name, column in dataset.train.items()}
    shapes = jax.eval_shape(lambda key: network.init(key, batch).params, jax.random.key(0))
    count = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes))
    rows = ", ".join(f"{number:,} {part}" for part, number in dataset.rows.items())
    head = f"{prepared.config.name}: {dataset.task}, rows: {rows}; {len(network)} nodes, {count:,} parameters"
    print(filled(head), file=sys.stderr)
    for note in dataset.notes:
        print(filled(spelt(note), "  "), file=sys.stderr)
    for finding in prepared.warnings():
        print(labelled("warning: ", str(finding)), file=sys.stderr)
    print(f"  run folder {folder}", file=sys.stderr, flush=True)


def print_resumed(folder: Path) -> None:
    """Print to standard error where a resumed run continues."""
    resumed = [event for event in RunFolder.open(folder).events() if isinstance(event, Resumed)]
    if resumed:
        print(f"  {resumed[-1].text}", file=sys.stderr, flush=True)


def print_run(run: Run, chosen: Path | None = None) -> None:
    """Print how a run ended: why it stopped, the scores of the best weights, its folder, and the next command.

    `chosen` is the file with the configuration designed for a table.
    """
    seconds = run.history[-1].seconds if run.history else 0.0
    print(ended(run.stop.reason, run.stop.sentence, run.epochs, seconds, run.best_epoch))
    for event in run.interventions:
        print(filled(f"guard, step {event.step}: {event.reason}: {event.action}"))
    if run.interventions:
        print(filled(f"to make it permanent: {run.interventions[-1].permanent}"))
    judged = read_judged(run.folder)
    print(score_table(run.scores) + most_confused(judged.pairs if judged else ()))
    if averaged := run.model.facts.get("averaged"):
        print(filled(averaged, hang=8))
    if run.health:
        print(filled(f"health: {run.health}", hang=8))
    print(f"run   {run.folder}")
    if (run.folder / REPORT).exists():
        print(f"page  {run.folder / REPORT}")
    if chosen:
        print(f"edit  {chosen}")
    print(f"next  {next_command(run)}")


def run_facts(run: Run) -> dict[str, Any]:
    """Return the JSON output for a run that has just finished."""
    return {
        "run": str(run.folder),
        "stop": {"reason": run.stop.reason, "sentence": run.stop.sentence},
        "epochs": run.epochs,
        "seconds": run.history[-1].seconds if run.history else 0.0,
        "best_epoch": run.best_epoch,
        "interventions": [
            {"step": event.step, "reason": event.reason, "action": event.action, "permanent": event.permanent}
            for event in run.interventions
        ],
        "metrics": run.scores,
    }


def print_report(report: Report, notes: tuple[str, ...] = ()) -> None:
    """Print the guesses of the reader and the observations of the transformations to standard error."""
    for sentence in (*notes, *report.sentences()):
        print(labelled("note: ", str(sentence)), file=sys.stderr)


def next_command(run: Run) -> str:
    """Return the likely next command, ready to paste into this terminal."""
    program = Path(sys.argv[0])  # without an activated environment, `retrograd` alone would not be found
    known = program.name != "retrograd" or shutil.which("retrograd")
    command = "retrograd" if known else os.path.relpath(program)
    folder, settings = str(run.folder), run.model.config.data
    if run.stop.reason in INTERRUPTED:
        return shlex.join([command, "train", "--resume", folder])
    if run.dataset.task == "next_token":
        return shlex.join([command, "generate", folder])
    judged = read_judged(run.folder)
    chance = judged and chance_of(judged, run.scores)
    if chance and chance.is_failure:
        return shlex.join([command, "diagnose", folder])
    after = ["predict", folder, settings.path] if settings and settings.path else ["runs", "show", folder]
    return shlex.join([command, *after])
