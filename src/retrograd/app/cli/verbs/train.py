"""`retrograd train`: trains from a configuration, or from just a table."""

from __future__ import annotations

import dataclasses
import itertools
import os
import shlex
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TextIO

import typer

from retrograd.app.cli.examined import carry
from retrograd.app.cli.options import (
    CacheFolder,
    Changes,
    Json,
    OwnLayers,
    RunsRoot,
    Target,
    at_least,
    command_of,
    existing_data,
    finite_positive,
)
from retrograd.app.cli.progress import Progress
from retrograd.app.cli.show import print_resumed, print_run, print_start, run_facts
from retrograd.app.cli.spelling import spelt_as_options, with_options
from retrograd.app.cli.surroundings import settle, step_bytes
from retrograd.base import allocator
from retrograd.base.document import parse_document
from retrograd.base.errors import UsageError
from retrograd.base.schema import parse
from retrograd.data.dataset import load
from retrograd.data.settings import DataSettings
from retrograd.distributed.join import join, taking_part
from retrograd.distributed.team import Team
from retrograd.record.files import write_file
from retrograd.record.run import CONFIG, RunFolder
from retrograd.record.runs import find_run
from retrograd.record.strict_json import write_json
from retrograd.training.config.config import (
    at_folder,
    changed,
    config_of,
    document_with,
    is_configuration,
    with_paths,
    with_rate,
)
from retrograd.training.config.design import design
from retrograd.training.prepare import Prepared, prepare, prepare_file, with_first_weights
from retrograd.training.resume import prepare_again, resume_prepared, unfinished
from retrograd.training.run import train_prepared

AUTO = "auto"
EXIT_CODES = {"interrupted": 130, "terminated": 143}


@taking_part()
def train(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="CONFIG|DATA",
            show_default=False,
            help="a YAML configuration, or a data file or folder; omit to resume a run",
        ),
    ] = None,
    target: Target = None,
    changes: Changes = None,
    epochs: Annotated[int | None, typer.Option(parser=at_least(1), metavar="N", help="number of epochs")] = None,
    batch_size: Annotated[int | None, typer.Option(parser=at_least(1), metavar="N", help="rows per step")] = None,
    lr: Annotated[float | None, typer.Option(parser=finite_positive, metavar="RATE", help="learning rate")] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            parser=at_least(0),
            metavar="N",
            help="seed for initial weights and order; the split has its own, data.split.seed",
        ),
    ] = None,
    runs: RunsRoot = Path("runs"),
    run: Annotated[
        Path | None, typer.Option("--run", metavar="DIR", help="write the run to exactly this folder")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="replace an existing run in the --run folder")] = False,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="RUN|last|auto",
            help="continue an interrupted run; auto: the last run of CONFIG unless it has finished",
        ),
    ] = None,
    extend: Annotated[
        int | None,
        typer.Option(parser=at_least(1), metavar="N", help="with --resume: continue a finished run to N epochs"),
    ] = None,
    config_out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write the chosen configuration to this file")
    ] = None,
    max_bytes: Annotated[
        int | None,
        typer.Option(parser=at_least(1), metavar="N", help="refuse data files larger than this after decompression"),
    ] = None,
    cache: CacheFolder = None,
    layers: OwnLayers = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="show no progress")] = False,
    as_json: Json = False,
) -> int:
    """Train a network and keep the best weights.

    \b
    From a configuration:  retrograd train examples/xor.yaml --epochs 500
    From just a table:     retrograd train house.csv --target price
    After a crash:         retrograd train --resume last
    """
    settle(layers, finds_device=False)
    check_resume(source, resume, extend, run, force)
    resumed = None if resume in (None, AUTO) else find_run(runs, str(resume))
    changed = [*(changes or [])]
    numbers = {
        "training.epochs": extend if resumed and extend else epochs,
        "training.batch_size": batch_size,
        "training.seed": seed,
        "data.max_bytes": max_bytes,
        "data.cache": cache,
    }
    changed += [f"{key}={value}" for key, value in numbers.items() if value is not None]
    table = source is not None and not is_configuration(existing_data(source))
    starts = runs if resume is None else None  # a resumed run has its initial weights in its folder
    chosen = None
    with spelt_as_options(table):
        if source is None:
            assert resumed is not None
            document = document_with(changed, parse_document(resumed.config_text(), str(resumed.path / CONFIG)))
            prepared = prepare_again(resumed, with_rate(config_of(document), lr))
        elif table:
            prepared, chosen = from_table(source, target, changed, lr, config_out, force, starts, join(None))
        else:
            refuse_table_options(source, target, config_out)
            prepared = prepare_file(source, changed, lr, starts, join)
        leads = prepared.team.leads
        if resume == AUTO:
            resumed = unfinished_run(run, runs, prepared)
            prepared = prepared if resumed else with_first_weights(prepared, runs)
        with Progress(prepared.config.training.epochs, quiet or not leads) as progress:
            copied = source if source and not (table or changed or lr or resumed) else None
            started = partial(
                announce, source=source, copied=copied, chosen=chosen, quiet=quiet, as_json=as_json,
                spell=with_options if table else str,
            )  # fmt: skip
            common: dict[str, Any] = {
                "watchers": (progress,), "live": progress.live, "started": started, "readings": True,
                "returns_when_interrupted": True,
            }  # fmt: skip
            if resumed:
                finished = resume_prepared(resumed, prepared, extends=extend is not None, **common)
            else:
                finished = train_prepared(prepared, root=runs, folder=run, overwrite=force, **common)
    if not leads:
        return EXIT_CODES.get(finished.stop.reason, 0)
    if as_json:
        typer.echo(write_json({**run_facts(finished), **({"config": str(chosen.path)} if chosen else {})}))
    else:
        print_run(finished, chosen.path if chosen else None)
    return EXIT_CODES.get(finished.stop.reason, 0)


def announce(
    prepared: Prepared,
    folder: Path,
    source: Path | None,
    copied: Path | None,
    chosen: Chosen | None,
    quiet: bool,
    as_json: bool,
    spell: Callable[[str], str],
) -> None:
    """Report the start of a run, and put beside it the configuration that it follows."""
    allocator.give_back()
    allocator.tune(step_bytes(prepared))
    if not prepared.team.leads:
        return
    if copied:
        carry(copied, folder)
    if source and chosen:
        chosen.write(source, quiet, sys.stderr if as_json else sys.stdout)
    if not quiet:
        print_start(prepared, folder, spell)
        print_resumed(folder)


def check_resume(source: Path | None, resume: str | None, extend: int | None, run: Path | None, force: bool) -> None:
    """Raise UsageError if the arguments do not say, or contradict each other about, what to train or resume."""
    if source is None and resume in (None, AUTO):
        cure = "name a configuration or a data file, or continue a run with --resume RUN"
        raise UsageError("missing argument 'CONFIG|DATA'", cure=cure)
    if resume is None and extend is not None:
        raise UsageError("only with --resume RUN", where="--extend", cure="set the length of a new run with --epochs")
    if resume == AUTO and extend is not None:
        raise UsageError("not with --resume auto", where="--extend", cure="name the run: --resume RUN --extend N")
    if resume not in (None, AUTO) and run is not None:
        raise UsageError("a resumed run stays in its folder", where="--run", cure="omit it")
    if resume is not None and force:
        raise UsageError("not with --resume: it would replace that run", where="--force", cure="omit it")


def unfinished_run(folder: Path | None, runs: Path, prepared: Prepared) -> RunFolder | None:
    """Return the run that `--resume auto` continues; None to start one. One process decides for all."""
    name = folder if folder and (folder / CONFIG).exists() else None
    if folder is None and prepared.team.leads:
        name = run.path if (run := unfinished(runs, prepared)) else None
    name = prepared.team.first("run to resume", name and str(name))
    return RunFolder.open(Path(name)) if name else None


def refuse_table_options(source: Path, target: str | None, config_out: Path | None) -> None:
    """Raise UsageError for an option that applies only to a table."""
    for option, value in (("--target", target), ("--config-out", config_out)):
        if value is not None:
            raise UsageError("only for a data file; this is a configuration", where=option, cure=f"edit {source}")


class Chosen(NamedTuple):
    """A configuration designed for a table, for the user to edit and run again."""

    path: Path
    text: str
    passed: Path | None = None  # an existing file with another configuration

    def write(self, source: Path, quiet: bool, stream: TextIO) -> None:
        """Write the file unless it exists, and print it with its reasons unless `quiet`."""
        exists = self.path.exists() and self.path.read_bytes() == self.text.encode()
        if not exists:
            write_file(self.path, self.text.encode())
        if not quiet:
            where = "already in" if exists else "written to"
            print(f"# chosen for {source}, {where} {self.path}: edit it, then run", file=stream)
            print(f"#   retrograd train {shlex.quote(str(self.path))}", file=stream)
            if self.passed:
                print(f"# {self.passed} already exists with other settings and was not changed", file=stream)
            print(self.text, file=stream, flush=True)


def from_table(
    source: Path, target: str | None, changes: list[str], lr: float | None, out: Path | None, force: bool,
    runs: Path | None, team: Team,
) -> tuple[Prepared, Chosen]:  # fmt: skip
    """Design a configuration for a data file; it is written once the run has a folder."""
    data_settings: dict[str, Any] = {"path": str(source)} | ({} if target is None else {"target": target})
    for change in changes:
        if concerns_data(change):
            data_settings = {**changed({"data": data_settings}, change)["data"], "path": str(source)}
    settings = parse(DataSettings, data_settings, "data")
    dataset = load(settings)
    folder = (out or Path()).parent
    relative = with_paths(settings, lambda path: os.path.relpath(path, folder))
    if dataset.form and not (settings.valid_path or settings.test_path):  # which may have another form
        relative = dataclasses.replace(relative, **dataset.form.unusual())  # type: ignore[arg-type]
    designed = design(dataset, relative, [change for change in changes if not concerns_data(change)], lr)
    path = out or free_path(dataset.name, designed.text)
    if not force and not holds(path, designed.text):
        raise UsageError("already exists", where=f"--config-out {path}", cure="choose another name, or use --force")
    data = at_folder(relative, folder)
    first = Path(f"{dataset.name}.yaml")
    chosen = Chosen(path, designed.text, None if out or path == first else first)
    return prepare(dataclasses.replace(designed.config, data=data), dataset, runs, team), chosen


def concerns_data(change: str) -> bool:
    """Return whether a changed setting belongs to `data`."""
    return change.partition("=")[0].split(".")[0] == "data"


def free_path(stem: str, text: str) -> Path:
    """Return a path for a new configuration that overwrites nothing but an identical text."""
    names = itertools.chain([f"{stem}.yaml"], (f"{stem}-{number}.yaml" for number in itertools.count(2)))
    return next(path for path in map(Path, names) if holds(path, text))


def holds(path: Path, text: str) -> bool:
    """Return whether the text can be written to this path without loss."""
    return not path.exists() or (path.is_file() and path.read_bytes() == text.encode())


command = command_of(train)
