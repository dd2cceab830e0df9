"""The training program named on a command line: a configuration, that of a run, or one designed for a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from retrograd.app.cli.options import existing_data, existing_file
from retrograd.base.document import SUFFIXES
from retrograd.base.errors import ConfigError
from retrograd.base.schema import parse
from retrograd.base.sentence import setting
from retrograd.data.builtin.builtin import BUILT_IN
from retrograd.data.cells.precision import reading_in
from retrograd.data.dataset import Dataset, load
from retrograd.data.patterns import is_pattern
from retrograd.data.settings import DataSettings
from retrograd.record.layout import CONFIG, EVENTS
from retrograd.record.runs import find_run
from retrograd.training.config.config import RunConfig, is_configuration, read_config
from retrograd.training.config.design import design

BY_PATH = "a configuration is named by its path, such as examples/xor.yaml"


class Source(NamedTuple):
    """A program: its configuration and data, the configuration file (None: designed for a table), and the run
    folder (None if settings were changed).
    """

    config: RunConfig
    dataset: Dataset
    path: Path | None
    run: Path | None = None

    @property
    def text(self) -> str | None:
        """The text of the configuration file; None without a file, or if it is JSON."""
        return None if self.path is None or self.path.suffix == ".json" else self.path.read_text(encoding="utf-8-sig")


def program_at(source: str, target: str | None, changes: Sequence[str], root: Path) -> Source:
    """Return the program for a configuration file, a data file or a run.

    Raises:  UsageError if the source is none of these; ConfigError or DataError if it cannot be read
    """
    path = Path(source)
    if is_configuration(path):
        return _with_data(existing_file(path), changes)
    is_run = (path / CONFIG).exists() or (path / EVENTS).exists()
    if path.is_file() or is_pattern(path) or (path.is_dir() and not is_run):
        plain = {"path": str(existing_data(path))} | ({"target": target} if target else {})
        settings = parse(DataSettings, plain, "data")
        dataset = load(settings)
        return Source(design(dataset, settings, list(changes)).config, dataset, None)
    run = find_run(root, source, path_hint(source)).path
    return _with_data(run / CONFIG, changes)._replace(run=None if changes else run)


def path_hint(name: str) -> str:
    """Return how a configuration is named, for a word that is neither a file nor a run."""
    beside = next((name + suffix for suffix in SUFFIXES if Path(name + suffix).is_file()), None)
    words = f"for the configuration, write {beside}" if beside else BY_PATH
    built_in = f"; '{name}' is a built-in data set: " + setting("data", name)
    return words + (str(built_in) if name in BUILT_IN else "")


def _with_data(path: Path, changes: Sequence[str]) -> Source:
    config = read_config(path, changes)
    if config.data is None:
        raise ConfigError(
            "missing", where=f"{path}: data", cure="name a built-in data set (" + setting("data", "xor") + ") or a file"
        )
    with reading_in(config.training.precision):
        return Source(config, load(config.data), path)
