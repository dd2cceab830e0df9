"""One trial: a configuration with some settings changed, trained in memory or in a run folder of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from retrograd.base.document import Document
from retrograd.base.errors import ConfigError, RetrogradError, UsageError
from retrograd.base.keys import SEED_LIMIT
from retrograd.base.memory import memory_told
from retrograd.base.sentence import sentence, setting
from retrograd.data.cells.precision import reading_in
from retrograd.data.dataset import Dataset, load
from retrograd.native.library import kernels
from retrograd.record.events import INTERRUPTED, Epoch
from retrograd.record.layout import EVENTS
from retrograd.record.run import RunFolder
from retrograd.training.config.changes import with_value
from retrograd.training.config.config import RunConfig, config_of, plain_config
from retrograd.training.config.settings import Checkpoint
from retrograd.training.ending import final_scores
from retrograd.training.loop.loop import Fitted
from retrograd.training.loop.saved import Saved
from retrograd.training.loop.stop import Stop, falls
from retrograd.training.prepare import Prepared, prepare
from retrograd.training.resume import resume_prepared, stored_config
from retrograd.training.run import Run, train_prepared
from retrograd.tuning.brief import States, may_be_brief, train_briefly
from retrograd.tuning.proposals import CONFIRMING, STORING, Proposal, seed_offset

SMOOTHED = 0.1  # share of the epochs


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
        plain = with_value(plain, path, value, RunConfig)
    return config_of(Document(plain))


def trial_config(config: RunConfig, proposal: Proposal) -> RunConfig:
    """Return the configuration of a trial, with its epochs and seed, and with checkpoints to continue from.

    In the search the guard only stops runs: if it reduced a learning rate, that would be another one.
    """
    assert config.search is not None
    variant = changed_config(config, dict(proposal.values))
    repairs = variant.training.guard == "repair" and proposal.rung != CONFIRMING
    training = dataclasses.replace(
        variant.training,
        epochs=proposal.epochs,
        guard="stop" if repairs else variant.training.guard,
        seed=(variant.training.seed + seed_offset(config.search, proposal)) % SEED_LIMIT,
        checkpoint=Checkpoint(seconds=0.0, keep=1),
    )
    return dataclasses.replace(variant, training=training, name=f"trial-{proposal.folder}")


class Ended(NamedTuple):
    """The scores of a trained configuration by part, and the end of its training."""

    scores: Mapping[str, Mapping[str, float]]
    stop: Stop
    history: Sequence[Epoch]
    limit: float | None  # in seconds

    @property
    def epochs(self) -> int:
        """The number of epochs trained."""
        return self.history[-1].epoch if self.history else 0


def limited(prepared: Prepared, seconds: float | None, before: float) -> Prepared:
    """Return the run limited to `seconds` after the seconds `before`, unless its own limit is shorter."""
    config = prepared.config
    ends = config.training.time_limit, None if seconds is None else before + seconds
    limits = [limit for limit in ends if limit is not None]
    training = dataclasses.replace(config.training, time_limit=min(limits, default=None))
    return dataclasses.replace(prepared, config=dataclasses.replace(config, training=training))


def loaded(config: RunConfig) -> Dataset:
    """Load the data of a configuration, in its precision.

    Raises:  ConfigError if it names none
    """
    if config.data is None:
        cure = sentence("name a built-in data set ({}) or a file, or pass `dataset`", setting("data", "xor"))
        raise ConfigError("missing", where="data", cure=cure)
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
        self._states = States()

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
        """Run a trial to its end, continuing after a lower rung or an interrupt where that is possible.

        It trains in memory as long as it is brief, then in a run folder.

        Raises:  KeyboardInterrupt, SystemExit after saving the state of a run folder; ResourceError if writing fails
        """
        try:
            config = trial_config(self.config, proposal)
            dataset = without_test(self._dataset or loaded(config))
            ended = self._trained(prepare(config, dataset), proposal, seconds)
            score = smoothed(ended, self.metric)  # missing if predictions are not finite
        except OSError:
            raise
        except RetrogradError as error:
            return Outcome(math.inf, None, str(error))
        limit = config.training.time_limit
        is_ours = ended.limit != limit  # the limit was set by the study
        is_cut = ended.stop.reason == "time limit" and is_ours and ended.epochs < proposal.epochs
        return Outcome(score if falls(self.metric) else -score, score, ended.stop.sentence, ended.epochs, is_cut)

    def _trained(self, prepared: Prepared, proposal: Proposal, seconds: float | None) -> Ended:
        """Train for at most `seconds` more."""
        name, state = proposal.folder, None
        folder = self.folder / name
        if may_be_brief(prepared) and not (folder / EVENTS).exists():
            state = self._states.of(name, prepared)
            if proposal.rung != STORING:
                in_time = limited(prepared, seconds, state.seconds if state else 0.0)
                brief = train_briefly(in_time, state)
                if brief.is_whole:
                    self._states.keep(name, prepared, brief.state)
                    return ended_in_memory(in_time, brief.fitted)
                state = brief.state
            self._states.forget(name)
        return trained_in_folder(prepared, folder, seconds, state)


def trained_in_folder(prepared: Prepared, folder: Path, seconds: float | None, state: Saved | None) -> Ended:
    """Train in a run folder, continuing what it contains; if that is impossible, train from scratch."""
    run: Run | None = None
    if (folder / EVENTS).exists():
        with contextlib.suppress(UsageError, ConfigError):  # it stopped by itself, or its schedule has another length
            earlier = RunFolder.open(folder)
            stopped, epochs = earlier.stopped(), stored_config(earlier).training.epochs
            is_whole = stopped is not None and stopped.reason not in (*INTERRUPTED, "time limit", "non-finite")
            if stopped and is_whole and epochs == prepared.config.training.epochs:
                history = [event for event in earlier.events() if isinstance(event, Epoch)]
                return Ended(stopped.metrics, Stop(stopped.reason, stopped.sentence), history, None)
            run = resume_prepared(earlier, limited(prepared, seconds, earlier.summary().seconds), extends=True)
    if run is None:
        in_time = limited(prepared, seconds, state.seconds if state else 0.0)
        run = train_prepared(in_time, folder=folder, overwrite=True, saved=state)
    return Ended(run.scores, run.stop, run.history, run.model.config.training.time_limit)


def ended_in_memory(prepared: Prepared, fitted: Fitted) -> Ended:
    """Score a trial that was trained in memory.

    Raises:  NonFiniteError if training met NaN or infinity
    """
    if fitted.error is not None:
        raise fitted.error
    with kernels(prepared.config.training.native_kernels), memory_told():
        scores, _ = final_scores(prepared, prepared.evaluator(), fitted.variables)
    return Ended(scores, fitted.stop, fitted.history, prepared.config.training.time_limit)


def smoothed(ended: Ended, metric: str) -> float:
    """Return the best moving average of a metric over a tenth of the epochs; without one, the score of the best epoch.

    The best of many noisy epochs is best by luck, too, and the noisier training is, the more. On 7 splits of the
    diabetes table, the settings with the lowest average over 5 of 54 epochs reached an R2 of 0.39 on unseen rows, those
    with the lowest loss of one epoch 0.34. Metrics that are not measured after every epoch have no average.

    Raises:  ConfigError for a metric that was not measured
    """
    final = score_of(ended.scores, metric)
    name, measured = metric.removeprefix("valid."), [event.metrics.get("valid", {}) for event in ended.history]
    curve = [metrics[name] for metrics in measured if name in metrics]
    window = round(SMOOTHED * len(curve))
    if window < 2:
        return final
    averages = np.convolve(curve, np.full(window, 1 / window), "valid")
    return float(averages.min() if falls(metric) else averages.max())


def score_of(scores: Mapping[str, Mapping[str, float]], metric: str) -> float:
    """Return the score by which trials are compared: on the validation part if there is one, else the training part.

    Raises:  ConfigError for a metric that was not measured
    """
    values = {f"{part}.{name}": value for part, measured in scores.items() for name, value in measured.items()}
    name = metric if metric in values else f"{'valid' if 'valid' in scores else 'train'}.{metric}"
    if name not in values:
        raise ConfigError(f"no metric '{metric}'", where="search.metric", cure=f"have: {', '.join(values)}")
    return values[name]
