"""`retrograd train`: from a configuration, or from a table alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retrograd.app.cli.options import RunsRoot, at_least, command_of, existing_file, finite_positive
from retrograd.app.cli.progress import Progress
from retrograd.app.cli.show import print_run, print_start
from retrograd.app.cli.surroundings import settle, step_bytes
from retrograd.base import allocator
from retrograd.base.errors import UsageError
from retrograd.data.dataset import load
from retrograd.data.settings import DataSettings
from retrograd.train.config import read_config, with_rate
from retrograd.train.design import design
from retrograd.train.run import Prepared, prepare, train_prepared

CONFIG_SUFFIXES = (".yaml", ".yml", ".json")
changes_option = typer.Option("--set", metavar="KEY=VALUE", help="change a setting, as in training.epochs=5")
EXIT_CODES = {"interrupted": 130, "terminated": 143}


def train(
    source: Annotated[Path, typer.Argument(metavar="CONFIG|DATA", help="a YAML configuration, or a data file")],
    target: Annotated[str | None, typer.Option(help="the column to predict, for a data file")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change a setting, as in training.epochs=5")
    ] = None,
    epochs: Annotated[int | None, typer.Option(parser=at_least(1), metavar="N", help="training.epochs")] = None,
    batch_size: Annotated[int | None, typer.Option(parser=at_least(1), metavar="N", help="training.batch_size")] = None,
    lr: Annotated[float | None, typer.Option(parser=finite_positive, metavar="RATE", help="the learning rate")] = None,
    seed: Annotated[int | None, typer.Option(parser=at_least(0), metavar="N", help="training.seed")] = None,
    runs: RunsRoot = Path("runs"),
    run: Annotated[Path | None, typer.Option("--run", help="this run's folder, exactly")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace a run that --run holds already")] = False,
    config_out: Annotated[Path | None, typer.Option(help="where to write a configuration that was chosen")] = None,
    max_bytes: Annotated[
        int | None, typer.Option(parser=at_least(1), metavar="N", help="largest data file, decompressed")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="no progress")] = False,
) -> int:
    """Train a network and keep the best weights.

    From a configuration:    retrograd train examples/xor.yaml --set training.epochs=500
    From a table alone:      retrograd train house.csv --target price
    """
    settle()
    wanted = [*(changes or [])]
    numbers = {"training.epochs": epochs, "training.batch_size": batch_size, "training.seed": seed}
    wanted += [f"{key}={value}" for key, value in numbers.items() if value is not None]
    existing_file(source)
    if source.suffix.lower() in CONFIG_SUFFIXES:
        if target is not None:
            raise UsageError("a configuration names its target itself", where="--target", cure=f"edit {source}")
        wanted += [] if max_bytes is None else [f"data.max_bytes={max_bytes}"]
        prepared = prepare(with_rate(read_config(source, wanted), lr))
    else:
        prepared = from_table(source, target, wanted, lr, max_bytes, config_out)
    with Progress(prepared.config.training.epochs, quiet) as progress:

        def started(prepared: Prepared, folder: Path) -> None:
            allocator.tune(step_bytes(prepared))
            print_start(prepared, folder, quiet)

        finished = train_prepared(
            prepared, root=runs, folder=run, overwrite=force, watchers=(progress,), started=started
        )
    print_run(finished)
    return EXIT_CODES.get(finished.stop.reason, 0)


def from_table(
    source: Path, target: str | None, changes: list[str], lr: float | None, max_bytes: int | None, out: Path | None
) -> Prepared:
    """Choose a configuration for a data file, print it with its reasons, and write it to be edited and run again."""
    settings = DataSettings(path=str(source), target=target, max_bytes=max_bytes or DataSettings.max_bytes)
    dataset = load(settings)
    chosen = design(dataset, settings, changes, lr)
    prepared = prepare(chosen.config, dataset)
    path = out or free_path(source.stem, chosen.text)
    path.write_text(chosen.text, encoding="utf-8")
    typer.echo(
        f"# chosen for {source}, and written to {path}: edit it, then run\n#   retrograd train {path}\n{chosen.text}"
    )
    return prepared


def free_path(stem: str, text: str) -> Path:
    """Return a path for a new configuration that overwrites nothing but the same text."""
    number = 1
    while True:
        path = Path(f"{stem}.yaml" if number == 1 else f"{stem}-{number}.yaml")
        if not path.exists() or (path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text):
            return path
        number += 1


command = command_of(train)
