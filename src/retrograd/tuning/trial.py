"""One trial: a configuration with some settings changed, trained in a separate run folder."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from retrograd.base.document import Document
from retrograd.base.errors import ConfigError, RetrogradError, UsageError
from retrograd.base.keys import SEED_LIMIT
from retrograd.base.memory import memory_told
from retrograd.data.cells.precision import reading_in
from retrograd.data.dataset import Dataset, load
from retrograd.native.library import kernels
from retrograd.record.layout import EVENTS
from retrograd.record.run import RunFolder
from retrograd.training.config.config import RunConfig, changed, config_of, plain_config
from retrograd.training.config.settings import Checkpoint
from retrograd.training.ending import final_scores
from retrograd.training.loop.stop import falls
from retrograd.training.prepare import Prepared, prepare
from retrograd.training.resume import resume_prepared
from retrograd.training.run import Run, train_prepared
from retrograd.tuning.proposals import Proposal


class Outcome(NamedTuple):
    """The result of a trial: its score as a cost (smaller is better), and why it stopped."""

    cost: float
    score: float | None
    words: str
    epochs: int = 0
    is_cut: bool = False  # whether the study's time limit ended the trial before it was complete


def changed_config(config: RunConfig, values: Mapping[str, Any]) -> RunConfig:
    """Return the configuration with some settings changed, given by path, and without its search.

    Raises:  ConfigError or UsageError for an invalid path or value
    """
    plain = plain_config(dataclasses.replace(config, search=None))
    for path, value in values.items():
        plain = changed(plain, f"{path}={json.dumps(value)}")
    return config_of(Document(plain))


def trial_config(config: RunConfig, proposal: Proposal) -> RunConfig:
    """Return the configuration of a trial, with its epochs and seed, and with checkpoints to continue from."""
    variant = changed_config(config, dict(proposal.values))
    training = dataclasses.replace(
        variant.training,
        epochs=proposal.epochs,
        seed=(variant.training.seed + proposal.seed) % SEED_LIMIT,
        checkpoint=Checkpoint(seconds=0.0, keep=1),
    )
    return dataclasses.replace(variant, training=training, name=f"trial-{proposal.folder}")


def limited(prepared: Prepared, seconds: float | None) -> Prepared:
    """Return the run with a time limit, unless its own limit is shorter."""
    config = prepared.config
    limits = [limit for limit in (config.training.time_limit, seconds) if limit is not None]
    training = dataclasses.replace(config.training, time_limit=min(limits, default=None))
    return dataclasses.replace(prepared, config=dataclasses.replace(config, training=training))


def loaded(config: RunConfig) -> Dataset:
    """Load the data of a configuration, in its precision.

    Raises:  ConfigError if it names none
    """
    if config.data is None:
        raise ConfigError(
            "missing", where="data", cure="name a built-in data set (`data: xor`) or a file, or pass `dataset`"
        )
    with reading_in(config.training.precision):
        return load(config.data)


def without_test(dataset: Dataset) -> Dataset:
    """Return the data without the test part, which no search may use."""
    seen = {name: rows for name, rows in dataset.seen.items() if name != "test"}
    return dataclasses.replace(dataset, test=None, seen=seen)


class Bench:
    """Runs the trials of one configuration; data are loaded once, compiled programs are shared within the process."""

    def __init__(self, config: RunConfig, dataset: Dataset | None, metric: str, folder: Path) -> None:
        self.config, self.metric, self.folder = config, metric, folder
        reads_data = config.search is not None and config.search.reads_data
        self._dataset = loaded(config) if dataset is None and not reads_data else dataset

    def check_metric(self) -> None:
        """Score the initial weights, to verify before training that trials will report the metric.

        Raises:  ConfigError if they will not; the errors of `prepare`
        """
        if self.metric == "loss":  # always measured
            return
        dataset = loaded(self.config) if self._dataset is None else self._dataset
        prepared = prepare(dataclasses.replace(self.config, search=None), without_test(dataset))
        with kernels(self.config.training.native_kernels), memory_told():
            scores, _ = final_scores(prepared, prepared.evaluator(), prepared.first())
        if all(math.isfinite(measured["loss"]) for measured in scores.values()):  # otherwise there is only the loss
            score_of(scores, self.metric)

    def run(self, proposal: Proposal, seconds: float | None = None) -> Outcome:
        """Run a trial to its end, continuing from its folder if part of it has already run.

        Raises:  KeyboardInterrupt, SystemExit after saving the state; ResourceError if writing fails
        """
        try:
            config = trial_config(self.config, proposal)
            dataset = without_test(self._dataset or loaded(config))
            run = self._trained(prepare(config, dataset), self.folder / proposal.folder, seconds)
            score = score_of(run.scores, self.metric)  # missing if predictions are not finite
        except OSError:
            raise
        except RetrogradError as error:
            return Outcome(math.inf, None, str(error))
        epochs = run.epochs
        is_ours = run.model.config.training.time_limit != config.training.time_limit  # the limit was set by the study
        is_cut = run.stop.reason == "time limit" and is_ours and epochs < proposal.epochs
        return Outcome(score if falls(self.metric) else -score, score, run.stop.sentence, epochs, is_cut)

    def _trained(self, prepared: Prepared, folder: Path, seconds: float | None) -> Run:
        """Train for at most `seconds` more, continuing after a lower rung or an interrupt; if that is impossible, train
        from scratch.
        """
        if (folder / EVENTS).exists():
            try:
                earlier = RunFolder.open(folder)
                limit = None if seconds is None else earlier.summary().seconds + seconds  # earlier parts count
                return resume_prepared(earlier, limited(prepared, limit), extends=True)
            except (UsageError, ConfigError):  # it stopped by itself, or its schedule has another length
                pass
        return train_prepared(limited(prepared, seconds), folder=folder, overwrite=True)


def score_of(scores: Mapping[str, Mapping[str, float]], metric: str) -> float:
    """Return the score by which trials are compared: on the validation part if there is one, else the training part.

    Raises:  ConfigError for a metric that was not measured
    """
    values = {f"{part}.{name}": value for part, measured in scores.items() for name, value in measured.items()}
    name = metric if metric in values else f"{'valid' if 'valid' in scores else 'train'}.{metric}"
    if name not in values:
        raise ConfigError(f"no metric '{metric}'", where="search.metric", cure=f"have: {', '.join(values)}")
    return values[name]
