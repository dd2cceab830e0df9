"""A study: trials until the search or the budget is over, the winner confirmed on fresh seeds, and a verdict."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from retrograd.base.document import Document
from retrograd.base.errors import UsageError
from retrograd.data.dataset import Dataset
from retrograd.network.own_layers import load_layers
from retrograd.present.numbers import number
from retrograd.record.files import make_folder, write_file
from retrograd.record.strict_json import write_json
from retrograd.training.config.config import RunConfig, config_of, plain_config, portable
from retrograd.training.config.search import Search
from retrograd.tuning.journal import ATTEMPTS, JOURNAL, SETTINGS, TRIALS, Journal, State, read_settings
from retrograd.tuning.proposals import CONFIRMING, FINAL, SHRINK, STORING, Proposal, key_of, proposals, short, shown
from retrograd.tuning.trial import Bench, Outcome, changed_config
from retrograd.tuning.verdict import (
    CONFIRM,
    FINAL_SEEDS,
    FINALISTS,
    FRESH,
    ORIGINAL,
    Tried,
    Verdict,
    final_trials,
    finalists,
    judged,
    ranked,
    searched,
    storing_trial,
)
from retrograd.tuning.workers import end_with, helpers

SEARCH_SHARE = 0.75  # least share of a time budget; the rest is for confirming the winner
PROMOTED = SHRINK / (SHRINK - 1)  # seconds of a whole trial, to those of the part after its promotion
PLENTY = 100  # trials of all epochs for which the time suffices: then there is no need to judge by fewer epochs
RESERVE = 2  # the search goes on while the trials after it may take this many times as long as the median one
AFTER = 1 + 2 * CONFIRM  # trials that store and confirm the winner
WAIT = 0.05  # seconds between checks whether other processes have finished what the next rung needs


@dataclasses.dataclass(frozen=True)
class Study:
    """A study and its result; `config` has the settings of the winner if they are better, else the original ones."""

    folder: Path
    search: Search
    tried: tuple[Tried, ...]  # best first
    failed: tuple[str, ...]  # sentences
    verdict: Verdict | None
    config: RunConfig
    notes: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """Return the study as JSON values."""
        verdict = self.verdict
        return {
            "folder": str(self.folder),
            "search": self.search.plain(),
            "tried": [{**trial._asdict(), "values": dict(trial.values)} for trial in self.tried],
            "failed": list(self.failed),
            "notes": list(self.notes),
            "verdict": None
            if verdict is None
            else {"values": dict(verdict.winner.values), "before": verdict.before, "after": verdict.after,
                  "is_better": verdict.is_better, "sentence": verdict.sentence},
        }  # fmt: skip


def _in_words(proposal: Proposal, outcome: Outcome, metric: str) -> str:
    """Return the settings and result of a trial on one line."""
    settings = ", ".join(f"{short(path)} {shown(value)}" for path, value in proposal.values)
    name = f"trial {proposal.number}: {settings}"
    if proposal.rung in (FINAL, CONFIRMING):
        name = f"seed {proposal.seed}, {'original' if proposal.number == ORIGINAL else settings}"
    result = outcome.words if outcome.score is None else f"{metric} {number(outcome.score, 4)}"
    return f"  {name}: {result} after {outcome.epochs} epoch{'s' * (outcome.epochs != 1)}"


class Course:
    """The work on a study in one of possibly several processes; all of them decide by the same journal."""

    def __init__(
        self, folder: Path, config: RunConfig, dataset: Dataset | None, deadlines: tuple[float, float]
    ) -> None:
        assert config.search is not None
        self.search, self.config, self.journal = config.search, config, Journal(folder)
        self.bench = Bench(config, dataset, self.search.options.metric, folder / TRIALS)
        self.deadlines = deadlines  # of the search and of the whole study, in time.time(); infinite without a budget

    def work(self, progress: Callable[[str], None] = lambda line: None) -> None:
        """Run trials until nothing remains to do."""
        while True:
            state = self.journal.read()
            if not state.is_closed and time.time() >= self._deadline(state, is_after=False):
                words, count = "the time for the search is over", self._affordable(state)
                self.journal.append(event="closed", words=words, finalists=count)
                continue
            if state.to_end is None and self._is_first_over(state):
                self.journal.append(event="paced", to_end=self._has_plenty(state))
                continue
            waiting = due(self.search, self.config, state, math.isfinite(self.deadlines[0]))
            if not waiting or time.time() >= self.deadlines[1]:
                return
            if not any(self._run(proposal, progress) for proposal in waiting):
                time.sleep(WAIT)

    def _run(self, proposal: Proposal, progress: Callable[[str], None]) -> bool:
        """Run a trial unless another process does or did; return False if it has to be waited for."""
        key = proposal.key
        with self.journal.claimed(key) as is_ours:
            if not is_ours:
                return False
            state = self.journal.read()
            is_after = proposal.rung >= FINAL
            if key in state.costs or (state.is_closed and not is_after):
                return key in state.costs
            if state.begun.get(key, 0) >= ATTEMPTS:
                words = f"its process died {ATTEMPTS} times"
                self.journal.append(event="ended", trial=key, cost=None, score=None, words=words, **_facts(proposal))
                return True
            self.journal.append(event="began", trial=key)
            deadline = self._deadline(state, is_after)
            seconds = None if math.isinf(deadline) else max(deadline - time.time(), 0.01)
            begin = time.monotonic()
            try:
                outcome = self.bench.run(proposal, seconds)
            except (KeyboardInterrupt, SystemExit):
                self.journal.append(event="interrupted", trial=key)
                raise
            if outcome.is_cut:
                self.journal.append(event="interrupted", trial=key)
                return True
            cost = outcome.cost if math.isfinite(outcome.cost) else None
            facts = {**_facts(proposal), "trained": outcome.epochs, "seconds": time.monotonic() - begin}
            self.journal.append(event="ended", trial=key, cost=cost, score=outcome.score, words=outcome.words, **facts)
            if proposal.rung != STORING:
                progress(_in_words(proposal, outcome, self.search.options.metric))
            return True

    def store_winner(self) -> None:
        """Give the winner its run folder if the budget left no time for it; a brief trial takes little more."""
        state = self.journal.read()
        for winner in ranked(self.search, state, self.config.training.epochs)[:1]:
            if storing_trial(winner).key not in state.costs:
                self.bench.run(storing_trial(winner))

    def _deadline(self, state: State, is_after: bool) -> float:
        """Return when the search ends, or the work after it, in time.time(): what remains suffices for the latter."""
        search, end = self.deadlines
        if is_after or math.isinf(end):
            return end
        count, seconds = self._whole(state)
        trials = FINAL_SEEDS * min(FINALISTS, count) + AFTER
        return max(search, end - RESERVE * trials * seconds) if count else search

    def _is_first_over(self, state: State) -> bool:
        """Return whether further brackets follow in this search, and the first one is complete."""
        continues = self.search.options.method == "halving" and self.search.options.trials is None
        if not continues or math.isinf(self.deadlines[0]):
            return False
        return proposals(self.search, self.config.training.epochs, state.costs)[1]

    def _has_plenty(self, state: State) -> bool:
        """Return whether the time left suffices for PLENTY of trials of all epochs."""
        count, seconds = self._whole(state)
        return bool(count) and self._deadline(state, is_after=False) - time.time() > PLENTY * seconds

    def _affordable(self, state: State) -> int:
        """Return the number of finalists that the time left allows for, besides confirming the winner."""
        count, seconds = self._whole(state)
        left = self.deadlines[1] - time.time() - RESERVE * AFTER * seconds
        return min(FINALISTS, count, max(0, int(left / (FINAL_SEEDS * seconds)))) if seconds else 0

    def _whole(self, state: State) -> tuple[int, float]:
        """Return the number of trials of all epochs, and the seconds that one takes."""
        epochs, seconds = self.config.training.epochs, []
        for event in state.ended.values():
            if event["epochs"] == epochs:
                is_promoted = key_of(event["number"], event["rung"] - 1, event["seed"]) in state.costs
                seconds.append(event.get("seconds", 0.0) * (PROMOTED if is_promoted else 1.0))
        return len(seconds), statistics.median(seconds) if seconds else 0.0


def _facts(proposal: Proposal) -> dict[str, Any]:
    return {"number": proposal.number, "rung": proposal.rung, "seed": proposal.seed, "epochs": proposal.epochs,
            "values": dict(proposal.values)}  # fmt: skip


def due(search: Search, config: RunConfig, state: State, timed: bool = False) -> list[Proposal]:
    """Return the trials that can start now; none if the study is over."""
    waiting, is_over = proposals(search, config.training.epochs, state.costs, timed, state.to_end is True)
    if not (is_over or state.is_closed):
        return waiting
    epochs, seeds = config.training.epochs, range(FRESH, FRESH + CONFIRM)
    finals = final_trials(search, finalists(search, state, searched(search, state), epochs))
    if left := [proposal for proposal in finals if proposal.key not in state.costs]:
        return left
    winner = next(iter(ranked(search, state, epochs)), None)
    if winner is None:
        return []
    pairs = ((ORIGINAL, ()), (winner.number, winner.values))
    confirming = [Proposal(number, CONFIRMING, seed, epochs, values) for seed in seeds for number, values in pairs]
    return [proposal for proposal in (storing_trial(winner), *confirming) if proposal.key not in state.costs]


def run_study(
    config: RunConfig,
    dataset: Dataset | None,
    folder: Path,
    *,
    seconds: float | None = None,
    jobs: int = 1,
    resumes: bool = False,
    layers: Sequence[Path] = (),
    progress: Callable[[str], None] = lambda line: None,
) -> Study:
    """Run a study in a folder, in one or more processes, and return its result.

    Raises:  UsageError for an existing study (without `resumes`), a missing one (with it), or unknown settings
    """
    search = checked(config, dataset, jobs)
    end = math.inf if seconds is None else time.time() + seconds
    deadlines = (end if seconds is None else end - (1 - SEARCH_SHARE) * seconds, end)
    course = Course(folder, config, dataset, deadlines)
    course.bench.check_metric()
    begin(folder, config, resumes, layers)
    with helpers(jobs - 1, str(folder), *map(str, deadlines)):
        course.work(progress)
    course.store_winner()
    return outcome(folder, config, search)


def checked(config: RunConfig, dataset: Dataset | None, jobs: int) -> Search:
    """Return the search of a configuration, after checking values of each setting and the first trials.

    Raises:  UsageError, ConfigError
    """
    if config.search is None:
        cure = "add one, such as search: {optimizer.adam.learning_rate: {log: [1.0e-5, 1]}}, or use --rate"
        raise UsageError("the configuration has no section `search`", where="search", cure=cure)
    for path, values in config.search.ranges:
        for value in values.points(2):
            changed_config(config, {path: value})
    proposals(config.search, config.training.epochs, {})  # refuses a grid that is too large, and TPE without Optuna
    if jobs > 1 and (dataset is not None or config.data is None):
        cure = "omit `dataset` and name a file or a built-in data set under `data`, or use jobs=1"
        raise UsageError("a data set cannot be passed to other processes", where="jobs", cure=cure)
    if dataset is not None and config.search.reads_data:
        cure = "omit `dataset`, so that each trial reads its own data, or omit the ranges of data.*"
        raise UsageError("the data are already loaded: ranges of data.* have no effect", where="search", cure=cure)
    return config.search


def begin(folder: Path, config: RunConfig, resumes: bool, layers: Sequence[Path]) -> None:
    """Record the settings of a new study, or compare them with those of an existing study."""
    settings = {"config": plain_config(portable(config)), "layers": [str(Path(path).resolve()) for path in layers]}
    exists = (folder / SETTINGS).exists()
    if exists and not resumes and not Journal(folder).read().ended:  # nothing to lose
        (folder / JOURNAL).unlink(missing_ok=True)
        exists = False
    if exists and not resumes:
        raise UsageError(
            "already contains a study", where=str(folder), cure="continue it with --resume, or move it away"
        )
    if resumes and not exists:
        raise UsageError("there is no study to resume", where=str(folder), cure="omit --resume")
    if not exists:
        make_folder(folder)
        write_file(folder / SETTINGS, write_json(settings).encode())
        return
    if read_settings(folder)["config"] != json.loads(write_json(settings["config"])):
        cure = "resume with the configuration of the study, or start another one"
        raise UsageError("the study was started with other settings", where=str(folder), cure=cure)
    if Journal(folder).read().is_closed:
        Journal(folder).append(event="opened")


def work_in(arguments: Sequence[str]) -> None:
    """Work on the study in a folder, as an additional process, until nothing remains to do or the parent ends."""
    parent, folder, *times = arguments
    end_with(int(parent))
    settings = read_settings(Path(folder))
    for path in settings["layers"]:
        load_layers(path)
    with contextlib.suppress(KeyboardInterrupt):
        Course(Path(folder), config_of(Document(settings["config"])), None, (float(times[0]), float(times[1]))).work()


# -------------------------------------------------------------------------------------------------------------- results


def outcome(folder: Path, config: RunConfig, search: Search) -> Study:
    """Return the result of a study according to its journal."""
    state = Journal(folder).read()
    tried = tuple(ranked(search, state, config.training.epochs))
    by_words: dict[str, list[str]] = {}
    for key, event in state.ended.items():
        if not math.isfinite(state.costs[key]):
            by_words.setdefault(event.get("words", ""), []).append(key)
    failed = tuple(
        f"trial {keys[0]}{f' and {len(keys) - 1} more' * (len(keys) > 1)}: {words}" for words, keys in by_words.items()
    )
    notes = [f"trial {key} was restarted because its process had died" for key in dict.fromkeys(state.retried)]
    is_short = state.is_closed and not proposals(search, config.training.epochs, state.costs)[1]
    notes += ["the budget ended the search early"] if is_short else []
    verdict = judged(search, state, tried)
    chosen = changed_config(config, dict(verdict.winner.values)) if verdict and verdict.is_better else config
    return Study(folder, search, tried, failed, verdict, dataclasses.replace(chosen, search=None), tuple(notes))
