"""`retrograd tune`: try settings, and report which work best."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from retrograd.app.cli.options import Changes, Json, OwnLayers, RunsRoot, Target, at_least, command_of
from retrograd.app.cli.programs import program_at
from retrograd.app.cli.surroundings import settle
from retrograd.base.document import write_document
from retrograd.base.doors import refuse_foreign
from retrograd.base.errors import UsageError
from retrograd.present.numbers import number
from retrograd.present.tables import fits, table
from retrograd.present.text import filled
from retrograd.record.files import write_file
from retrograd.record.strict_json import write_json
from retrograd.training.config.config import plain_config, portable
from retrograd.tuning.journal import JOURNAL
from retrograd.tuning.page import tried_head, tried_row
from retrograd.tuning.proposals import short, shown
from retrograd.tuning.rate import Sweep
from retrograd.tuning.study import Study
from retrograd.tuning.tune import PAGE, allowance, tune_rate
from retrograd.tuning.tune import tune as run_tune

SHOWN, BAR, WORST_SHOWN = 10, 40, 0.9
BEST = "best.yaml"
METHODS = {"grid": "grid search", "random": "random search", "halving": "successive halving", "tpe": "TPE search"}


def tune(
    source: Annotated[
        str, typer.Argument(metavar="CONFIG|RUN|DATA", help="a YAML configuration, a run or a data file")
    ],
    target: Target = None,
    changes: Changes = None,
    rate: Annotated[bool, typer.Option("--rate", help="find the learning rate and ignore `search`")] = False,
    budget: Annotated[
        str | None, typer.Option(metavar="TRIALS|TIME", help="budget: trials (30) or a time (90s, 10m, 1h)")
    ] = None,
    jobs: Annotated[int, typer.Option(parser=at_least(1), metavar="N", help="processes that run trials")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="continue an interrupted study")] = False,
    layers: OwnLayers = None,
    runs: RunsRoot = Path("runs"),
    as_json: Json = False,
) -> None:
    """Try settings from fresh weights, and report which work best.

    \b
    The section `search` of the configuration names the settings by the paths
    of --set:
      search:
        optimizer.adam.learning_rate: {log: [1.0e-5, 1]}
        network.0.dense.units: [32, 64, 128]
        method: halving       # or grid, random, tpe
        seeds: 2
    Without `search`, or with --rate, 32 learning rates are tried. Trials that
    take longer than two seconds, and the winner, are kept as run folders in
    RUNS/tune-NAME. The winner is confirmed on fresh seeds and written there
    as best.yaml. The test part is never used.
    """
    settle(layers)
    refuse_foreign(source, "tune")
    allowance(budget)
    program = program_at(source, target, changes or [], runs)
    search = program.config.search
    if rate or search is None:
        sweep = tune_rate(program.config, dataset=program.dataset, root=runs)
        folder = runs / f"rate-{program.config.name}"
        typer.echo(write_json(sweep.plain())) if as_json else say_rate(sweep, folder, source)
        return
    count = len(search.ranges)
    print(f"{METHODS[search.options.method]} over {count} setting{'s' * (count != 1)}", file=sys.stderr)
    try:
        study = run_tune(
            program.config,
            dataset=None if jobs > 1 or search.reads_data else program.dataset,
            budget=budget,
            jobs=jobs,
            resume=resume,
            root=runs,
            layers=layers or (),
            progress=lambda line: print(filled(line), file=sys.stderr),
        )
    except KeyboardInterrupt:
        if (runs / f"tune-{program.config.name}" / JOURNAL).exists():
            print(f"the study is saved; to continue, add --resume to the command for {source}", file=sys.stderr)
        raise
    if not study.tried and not study.failed:
        cure = "allow more with --budget"
        raise UsageError(f"no trial was finished within {budget}", where=str(study.folder), cure=cure)
    if study.verdict and study.verdict.is_better:
        write_file(study.folder / BEST, write_document(plain_config(portable(study.config))).encode())
    typer.echo(write_json(study.plain())) if as_json else say_study(study)


def say_rate(sweep: Sweep, folder: Path, source: str) -> None:
    """Print the curve of the rates as bars, the chosen rate, and the reason."""
    finite = sorted(trial.loss for trial in sweep.tried if trial.loss < float("inf"))
    low, high = (finite[0], finite[min(int(WORST_SHOWN * len(finite)), len(finite) - 1)]) if finite else (0.0, 1.0)
    print(f"learning rates of {sweep.optimizer}")
    print(f"{'rate':>9}  {'lowest loss':>11}  epochs     loss above the lowest")
    for trial in sweep.tried:
        share = min(max((trial.loss - low) / ((high - low) or 1.0), 0.0), 1.0) if finite else 1.0
        bar = "diverged" if trial.loss == float("inf") else "#" * max(1, round(BAR * share))
        mark = "<- " if trial.rate == sweep.best else "   "
        print(f"{number(trial.rate, 3):>9}  {number(trial.loss, 4):>11}  {trial.epochs:>6,}  {mark}{bar}")
    print(filled(f"learning rate {sweep.best:g}: {sweep.why}", hang=0))
    print(f"\n  retrograd train {shlex.quote(source)} --lr {sweep.best:g}\nreport: {folder / PAGE}")


def say_study(study: Study) -> None:
    """Print the trials, the best first, the winner and the verdict."""
    rows = [tried_head(study), *(tried_row(trial) for trial in study.tried[:SHOWN])]
    left = len(study.tried) - SHOWN
    if fits(rows):
        print(table(rows))
    else:  # too many settings for a line
        for trial in study.tried[:SHOWN]:
            settings = ", ".join(f"{short(path)} {shown(value)}" for path, value in trial.values)
            length = f"{trial.epochs} epoch{'s' * (trial.epochs != 1)}"
            seeds = f" of {len(trial.costs)} seeds" * (len(trial.costs) > 1)
            print(filled(f"{number(trial.score, 4)} after {length}{seeds}: {settings}"))
    if left > 0:
        print(f"... and {left} more")
    for words in (*study.notes, *study.failed[:SHOWN]):
        print(filled(f"note: {words}"))
    if study.verdict is None:
        print("every trial failed")
    else:
        winner = ", ".join(f"{path}: {shown(value)}" for path, value in study.verdict.winner.values)
        print(filled(f"\nwinner: {winner}"))
        print(filled(study.verdict.sentence, hang=0))
        if study.verdict.is_better:
            print(f"written to {study.folder / BEST}")
    print(f"report: {study.folder / PAGE}")


command = command_of(tune)
