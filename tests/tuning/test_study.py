"""Studies on disk: complete, killed and resumed, in several processes; the learning rate; the optimizers."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

import retrograd as rg
from retrograd.app.cli.main import main
from retrograd.app.cli.programs import program_at
from retrograd.base.document import Document
from retrograd.base.errors import ConfigError, UsageError
from retrograd.data.dataset import load
from retrograd.record.events import Epoch
from retrograd.record.run import RunFolder
from retrograd.training.config.config import config_of
from retrograd.training.config.search import parse_search
from retrograd.training.loop.stop import Stop
from retrograd.training.resume import stored_config
from retrograd.tuning import brief, workers
from retrograd.tuning.journal import Journal
from retrograd.tuning.optimizers import Compared, half_way, sentence
from retrograd.tuning.page import study_page
from retrograd.tuning.proposals import CONFIRMING, STORING, Proposal, seed_offset
from retrograd.tuning.rate import reason
from retrograd.tuning.study import Course, Study, _facts, due, outcome
from retrograd.tuning.trial import Bench, Ended, Outcome, score_of, smoothed, trial_config
from retrograd.tuning.verdict import ORIGINAL, Tried, ranked, storing_trial

PLAIN = {
    "name": "small",
    "data": {"builtin": "moons", "samples": 60},
    "network": [{"dense": 4}, "tanh", {"dense": 1}],
    "optimizer": {"adam": 1e-4},
    "training": {"epochs": 9, "batch_size": 16},
    "search": {"optimizer.adam.learning_rate": {"log": [1e-5, 0.3]}, "trials": 9},
}

RATE = (("optimizer.adam.learning_rate", 0.01),)


def config(**more):
    return config_of(Document({**PLAIN, **more}))


def facts(study):
    """Return what must be equal in two studies of one configuration."""
    return [(each.number, each.values, each.rung, each.costs) for each in study.tried], study.verdict


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An undisturbed study."""
    return rg.tune(PLAIN, root=tmp_path_factory.mktemp("whole"))


def test_the_winner_is_better_beyond_the_spread_of_fresh_seeds(whole):
    assert whole.verdict.is_better
    assert "on 3 fresh seeds" in whole.verdict.sentence
    rate = whole.config.optimizer.learning_rate
    assert rate > 1e-2 > 1e-4
    assert [each.rung for each in whole.tried] == sorted((each.rung for each in whole.tried), reverse=True)


def test_the_winner_is_a_run_folder_that_has_not_seen_the_test_part(whole):
    run = whole.folder / "trials" / whole.tried[0].run
    folders = list((whole.folder / "trials").iterdir())
    assert run in folders
    assert len(folders) < 4  # nearly all trials were short; the first ones also compile
    scores = rg.load(run).facts["metrics"]
    assert set(scores) == {"train", "valid"}
    assert scores["valid"]["loss"] == pytest.approx(whole.tried[0].score)


def test_a_promoted_trial_ends_like_one_that_trained_in_one_piece(whole, tmp_path):
    best = whole.tried[0]
    seed = seed_offset(config_of(Document(PLAIN)).search, storing_trial(best))
    alone = {**PLAIN, "optimizer": {"adam": best.values[0][1]}, "search": None}
    alone["training"] = {**PLAIN["training"], "seed": seed}
    run = rg.train(alone, root=tmp_path)
    assert run.scores["valid"]["loss"] == best.score


def test_the_page_and_the_result_are_next_to_the_trials(whole):
    page = (whole.folder / "report.html").read_text(encoding="utf-8")
    assert whole.verdict.sentence.split(",")[0] in page
    assert page.count("<svg") >= 2
    assert json.loads((whole.folder / "result.json").read_text())["verdict"]["is_better"] is True


def test_an_existing_study_is_neither_overwritten_nor_resumed_with_other_settings(whole):
    with pytest.raises(UsageError, match="already contains a study"):
        rg.tune(PLAIN, folder=whole.folder)
    other = {**PLAIN, "training": {"epochs": 8, "batch_size": 16}}
    with pytest.raises(UsageError, match="other settings"):
        rg.tune(other, folder=whole.folder, resume=True)
    assert facts(rg.tune(PLAIN, folder=whole.folder, resume=True)) == facts(whole)


def test_an_interrupted_study_continues_to_the_same_end(whole, tmp_path, monkeypatch):
    run, count = Bench.run, 0

    def interrupted(self, proposal, seconds=None):
        nonlocal count
        count += 1
        if count == 5:
            raise KeyboardInterrupt
        return run(self, proposal, seconds)

    monkeypatch.setattr(Bench, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        rg.tune(PLAIN, root=tmp_path)
    with open(tmp_path / "tune-small" / "study.jsonl", "ab") as journal:
        journal.write(b'{"event":"ended","trial":"00')  # an incomplete line of a dying process
    again = rg.tune(PLAIN, root=tmp_path, resume=True)
    assert facts(again) == facts(whole)
    assert again.notes == ()


@pytest.mark.slow
def test_no_trial_is_lost_if_one_of_two_processes_is_killed(whole, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    started = []
    popen = subprocess.Popen

    def start(command, *rest, **more):
        started.append(popen(command, *rest, **more))
        return started[-1]

    killed = []

    def report(key):
        trials = tmp_path / "tune-small" / "study.jsonl"
        if not killed and started and f"{started[0].pid}" and trials.read_text().count("began") > 3:
            os.kill(started[0].pid, signal.SIGKILL)
            killed.append(time.time())

    monkeypatch.setattr(subprocess, "Popen", start)
    study = rg.tune(PLAIN, root=tmp_path, jobs=2, progress=report)
    assert facts(study) == facts(whole)


def test_the_terminals_interrupt_does_not_reach_a_further_process(tmp_path, monkeypatch):
    script = "import os, pathlib, sys; pathlib.Path(sys.argv[2]).write_text(str(os.getsid(0)))"
    monkeypatch.setattr(workers, "WORKER", script)
    with workers.helpers(1, str(tmp_path / "session")):
        pass
    assert int((tmp_path / "session").read_text()) != os.getsid(0)


def test_a_further_process_ends_cleanly_when_its_parent_dies(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    parent = "import os, subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1], str(os.getpid())])"
    script = "import sys, time; from retrograd.tuning.workers import end_with\n"
    script += "try: end_with(int(sys.argv[1])); time.sleep(60)\nfinally: print('saved')"
    ended = subprocess.run(
        [sys.executable, "-c", parent, script], capture_output=True, text=True, timeout=50, check=True
    )
    assert ended.stdout == "saved\n"


def test_a_trial_whose_process_dies_twice_is_reported_and_excluded(tmp_path):
    journal = Journal(tmp_path)
    key = "0000-0-0"
    journal.append(event="began", trial=key)
    journal.append(event="began", trial=key)
    course = Course(tmp_path, config(), None, (math.inf, math.inf))
    first = due(course.search, course.config, journal.read())[0]
    assert first.key == key
    assert course._run(first, print)
    assert journal.read().costs == {key: math.inf}
    assert "died 2 times" in journal.read().ended[key]["words"]


def test_a_refused_call_leaves_nothing_that_would_stop_the_corrected_one(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    ranges = {f"network.{i}.dense.units": {"integer": [1, 100]} for i in (0, 2, 4, 6, 8, 10)}
    deep, moons = [{"dense": 4}, "tanh"] * 6, load(config().data)
    for changes, arguments, words in [
        ({"search": {**PLAIN["search"], "method": "tpe"}}, {}, "needs Optuna"),
        ({"search": {**ranges, "method": "grid"}, "network": deep}, {}, "the grid has 15,625 points"),
        ({"data": None}, {"dataset": moons, "jobs": 2}, "cannot be passed"),
    ]:
        with pytest.raises(UsageError, match=words):
            rg.tune({**PLAIN, **changes}, root=tmp_path, **arguments)
    assert not list(tmp_path.iterdir())


def test_a_passed_data_set_that_contradicts_the_call_is_refused(tmp_path):
    moons, scales = load(config().data), {"data.scale": ["none", "standard"]}
    with pytest.raises(UsageError, match="jobs: a data set cannot be passed"):
        rg.tune(PLAIN, dataset=moons, jobs=2, root=tmp_path)
    with pytest.raises(UsageError, match="search: the data are already loaded"):
        rg.tune({**PLAIN, "search": scales}, dataset=moons, root=tmp_path)
    assert config(search=scales).search.reads_data
    assert not config().search.reads_data


def test_data_are_read_in_the_precision_of_the_training_as_in_an_ordinary_run(tmp_path):
    plain = {**PLAIN, "training": {**PLAIN["training"], "precision": "float64"}}
    (tmp_path / "small.yaml").write_text(json.dumps(plain), encoding="utf-8")
    assert Bench(config_of(Document(plain)), None, "loss", tmp_path)._dataset.train["x"].dtype == "float64"
    assert program_at(str(tmp_path / "small.yaml"), None, [], tmp_path).dataset.train["x"].dtype == "float64"


def test_a_metric_that_is_not_measured_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(ConfigError, match=r"search.metric: no metric 'acuracy'.*valid.accuracy"):
        rg.tune({**PLAIN, "search": {**PLAIN["search"], "metric": "acuracy"}}, root=tmp_path)
    assert not list(tmp_path.iterdir())
    for metric in ("train.accuracy", "valid.roc_auc", "log_loss"):  # some of them are measured only at the end
        Bench(config(), None, metric, tmp_path).check_metric()


def test_a_time_budget_is_respected_and_the_end_is_reported(tmp_path):
    start = time.perf_counter()
    study = rg.tune(PLAIN, root=tmp_path, budget="0.001s")
    assert time.perf_counter() - start < 20  # generous: enough to show that the study was not completed
    assert any("budget" in note for note in study.notes)


def test_a_trial_cut_off_by_the_budget_is_no_result_and_is_trained_again(tmp_path, monkeypatch):
    course = Course(tmp_path, config(), None, (math.inf, math.inf))
    trial, run = Proposal(0, 2, 0, 9, RATE), Bench.run
    monkeypatch.setattr(Bench, "run", lambda self, proposal, seconds=None: run(self, proposal, 1e-6))
    assert course._run(trial, print)
    state = course.journal.read()
    assert (state.ended, state.begun) == ({}, {trial.key: 0})
    monkeypatch.setattr(Bench, "run", run)
    assert course._run(trial, print)
    assert course.journal.read().ended[trial.key]["trained"] == 9


def test_a_time_limit_in_the_configuration_ends_a_trial_like_any_other_reason(tmp_path):
    limited = config(training={**PLAIN["training"], "time_limit": 1e-6})
    outcome = Bench(limited, None, "loss", tmp_path).run(Proposal(0, 2, 0, 9, RATE), 1000.0)
    assert outcome.epochs < 9
    assert not outcome.is_cut


def test_the_time_of_a_promoted_trial_starts_after_that_of_its_lower_rung(tmp_path, monkeypatch):
    monkeypatch.setattr(brief, "BRIEF", 0.0)  # every trial continues in a run folder
    bench, folder = Bench(config(), None, "loss", tmp_path), tmp_path / "0000-0"
    bench.run(Proposal(0, 0, 0, 1, RATE))
    before = RunFolder.open(folder).summary().seconds
    assert before > 0
    assert bench.run(Proposal(0, 1, 0, 3, RATE), 1000.0).epochs == 3
    assert stored_config(RunFolder.open(folder)).training.time_limit == before + 1000.0


@pytest.mark.parametrize("calls", [0, 1, 2, 5])
def test_a_trial_has_the_same_result_wherever_a_run_folder_replaces_memory(tmp_path, monkeypatch, calls):
    plain = {
        "training": {"epochs": 6, "batch_size": 16, "early_stopping": 50},
        "network": [{"dense": 4}, {"dropout": 0.2}, "tanh", {"dense": 1}],
    }
    whole = Bench(config(**plain), None, "loss", tmp_path / "whole").run(Proposal(0, 2, 0, 6, RATE))
    ticks = iter([0.0] * (1 + calls) + [1e9] * 10_000)
    monkeypatch.setattr(brief, "monotonic", lambda: next(ticks))
    bench = Bench(config(**plain), None, "loss", tmp_path / "cut")
    assert bench.run(Proposal(0, 2, 0, 6, RATE)) == whole
    run = RunFolder.open(tmp_path / "cut" / "0000-0")
    assert [event.epoch for event in run.events() if isinstance(event, Epoch)] == [1, 2, 3, 4, 5, 6]
    assert rg.load(run.path).facts["metrics"]["valid"]["loss"] == whole.score


@pytest.mark.parametrize("most", [brief.KEPT_BYTES, 0])
def test_a_promoted_trial_continues_in_memory_or_is_trained_again_if_its_state_was_dropped(tmp_path, monkeypatch, most):
    alone = Bench(config(), None, "loss", tmp_path).run(Proposal(0, 2, 0, 9, RATE))
    bench, starts, train = Bench(config(), None, "loss", tmp_path), [], brief.trained_in_memory
    bench._states = brief.States(most)

    def trained(*arguments, **more):
        starts.append(0 if more["saved"] is None else more["saved"].step)
        return train(*arguments, **more)

    monkeypatch.setattr(brief, "trained_in_memory", trained)
    outcomes = [bench.run(Proposal(0, rung, 0, epochs, RATE)) for rung, epochs in enumerate((1, 3, 9))]
    assert outcomes[-1] == alone
    assert starts == ([0, 3, 9] if most else [0, 0, 0])
    assert not list(tmp_path.iterdir())


def test_a_schedule_over_the_whole_run_makes_a_promoted_trial_start_over(tmp_path):
    cosine = {"adam": {"learning_rate": {"cosine": 0.01}}}
    bench = Bench(config(optimizer=cosine, search={"network.0.dense.units": [4, 8]}), None, "loss", tmp_path)
    bench.run(Proposal(0, 0, 0, 3, ()))
    promoted = bench.run(Proposal(0, 1, 0, 9, ()))
    alone = Bench(bench.config, None, "loss", tmp_path).run(Proposal(0, 1, 0, 9, ()))
    assert promoted == alone


def test_the_guard_stops_a_trial_and_does_not_lower_its_rate(tmp_path):
    high = (("optimizer.adam.learning_rate", 1e4),)
    bench = Bench(config(), None, "loss", tmp_path)
    assert trial_config(bench.config, Proposal(0, 2, 0, 9, high)).training.guard == "stop"
    assert trial_config(bench.config, Proposal(0, CONFIRMING, 0, 9, high)).training.guard == "repair"


def test_the_budget_is_reported_as_the_end_of_a_search_only_if_trials_remained(tmp_path):
    tuned = config(search={"optimizer.adam.learning_rate": [0.1, 0.01], "method": "grid"})
    journal, note = Journal(tmp_path), "the budget ended the search early"
    for trial in due(tuned.search, tuned, journal.read()):
        journal.append(event="closed")
        assert outcome(tmp_path, tuned, tuned.search).notes == (note,)
        journal.append(event="ended", trial=trial.key, cost=1.0, **_facts(trial))
    assert outcome(tmp_path, tuned, tuned.search).notes == ()


@pytest.mark.parametrize(("metric", "disaster"), [("r2", -100.0), ("loss", 100.0)])
def test_a_picture_leaves_out_the_worst_scores_whichever_way_the_metric_goes(metric, disaster):
    scores = [*sorted([i / 10 for i in range(9)], reverse=metric == "r2"), disaster]
    tried = tuple(Tried(i, (("a.b", i / 10),), 0, 9, score, (score,)) for i, score in enumerate(scores))
    search = parse_search({"a.b": {"linear": [0, 1]}, "metric": metric}, "search")
    page = study_page(Study(Path("small"), search, tried, (), None, config(), ()))
    drawings = [ElementTree.fromstring(drawing) for drawing in re.findall("<svg.*?</svg>", page)]
    assert [len(drawing) for drawing in drawings] == [9, 10]  # points, and lines through all settings
    assert [drawing[-1].get("class") for drawing in drawings] == ["dot best", "best"]  # the winner is drawn on top


def test_one_fresh_seed_does_not_show_whether_the_winner_is_better(tmp_path):
    tuned = config(search={"optimizer.adam.learning_rate": [0.1, 0.01], "method": "grid"})
    journal = Journal(tmp_path)
    for trial in due(tuned.search, tuned, journal.read()):
        journal.append(event="ended", trial=trial.key, cost=1.0, **_facts(trial))
    for trial in due(tuned.search, tuned, journal.read())[:3]:  # the winner in a run folder, and one seed
        cost = 2.0 if trial.number == ORIGINAL else 1.0
        journal.append(event="ended", trial=trial.key, cost=cost, **_facts(trial))
    verdict = outcome(tmp_path, tuned, tuned.search).verdict
    assert verdict.sentence.startswith(
        "loss 2 originally, 1 with the winner on 1 fresh seed: better by 1, which may be"
    )
    assert not verdict.is_better


def test_a_failed_configuration_is_reported_as_failed(tmp_path):
    tuned = config(search={"optimizer.adam.learning_rate": [0.1, 0.01], "method": "grid", "metric": "accuracy"})
    journal = Journal(tmp_path)
    for trial in due(tuned.search, tuned, journal.read()):
        journal.append(event="ended", trial=trial.key, cost=-0.5, **_facts(trial))
    for trial in due(tuned.search, tuned, journal.read()):
        journal.append(event="ended", trial=trial.key, cost=None if trial.number == ORIGINAL else -0.5, **_facts(trial))
    verdict = outcome(tmp_path, tuned, tuned.search).verdict
    assert verdict.sentence == "the original configuration failed on fresh seeds; accuracy 0.5 with the winner"
    assert verdict.is_better


def ended(curve, **scores):
    """A trial that ended with these accuracies after its epochs, and these final scores."""
    history = tuple(Epoch(i, i, 1.0, {"valid": {"accuracy": value}}, 0.1, 1.0) for i, value in enumerate(curve, 1))
    return Ended({"train": {"loss": 1.0}, "valid": {"loss": 1.0, **scores}}, Stop("epochs", ""), history, None)


def test_a_trial_is_compared_by_a_moving_average_over_a_tenth_of_its_epochs():
    lucky = [0.5] * 20
    lucky[7] = 0.9
    assert smoothed(ended(lucky, accuracy=0.9), "accuracy") == pytest.approx(0.7)
    assert smoothed(ended(lucky, accuracy=0.9), "valid.accuracy") == pytest.approx(0.7)
    assert smoothed(ended(lucky[:14], accuracy=0.9), "accuracy") == 0.9  # too few epochs
    assert smoothed(ended(lucky, accuracy=0.9, roc_auc=0.8), "roc_auc") == 0.8  # measured at the end only
    assert smoothed(ended([], accuracy=0.4), "accuracy") == 0.4
    assert smoothed(ended(lucky, accuracy=0.9), "train.loss") == 1.0
    with pytest.raises(ConfigError, match="no metric 'f1'"):
        smoothed(ended(lucky, accuracy=0.9), "f1")


@pytest.mark.parametrize("brief_seconds", [0.0, 100.0])
def test_a_trial_has_the_same_score_in_memory_and_in_a_run_folder(tmp_path, monkeypatch, brief_seconds):
    monkeypatch.setattr(brief, "BRIEF", brief_seconds)
    bench = Bench(config(training={"epochs": 30, "batch_size": 16}), None, "loss", tmp_path)
    outcome = bench.run(Proposal(0, 2, 0, 30, (("optimizer.adam.learning_rate", 0.3),)))
    monkeypatch.setattr(brief, "BRIEF", 100.0)
    assert outcome == Bench(bench.config, None, "loss", tmp_path / "memory").run(
        Proposal(0, 2, 0, 30, (("optimizer.adam.learning_rate", 0.3),))
    )
    assert bench.run(Proposal(0, STORING, 0, 30, (("optimizer.adam.learning_rate", 0.3),))).cost == outcome.cost
    best = rg.load(tmp_path / "0000-0").facts["metrics"]["valid"]["loss"]
    assert best < outcome.cost < 2 * best


def test_a_trial_without_a_validation_score_is_not_compared_by_its_training_score():
    scores = {"train": {"loss": 0.1, "accuracy": 1.0}, "valid": {"loss": math.nan}}
    with pytest.raises(ConfigError, match="no metric 'accuracy'"):
        score_of(scores, "accuracy")
    assert score_of(scores, "train.accuracy") == score_of({"train": scores["train"]}, "accuracy") == 1.0


def of_eighteen(folder, costs_of_finals, **closed):
    """A study of 18 settings, each as good as its number, whose finals had these costs by number and seed.

    A setting's neighbours along its range are those with the numbers before and after it.
    """
    rates = [0.3 * 0.6**number for number in range(18)]
    tuned = config(search={"optimizer.adam.learning_rate": rates, "method": "grid"})
    journal = Journal(folder)
    for trial in due(tuned.search, tuned, journal.read()):
        journal.append(event="ended", trial=trial.key, cost=float(trial.number), **_facts(trial))
    if closed:
        journal.append(event="closed", **closed)
    for trial in due(tuned.search, tuned, journal.read()):
        if (cost := costs_of_finals.get((trial.number, trial.seed), "")) != "":
            journal.append(event="ended", trial=trial.key, cost=cost, **_facts(trial))
    return tuned, journal


FINALS = {(0, 1): 9.0, (0, 2): 9.0, (0, 3): 9.0, (1, 1): 5.0, (1, 2): 0.5, (1, 3): 5.0}


def test_further_seeds_decide_between_the_best_settings(tmp_path):
    tuned, journal = of_eighteen(tmp_path, FINALS)
    storing = due(tuned.search, tuned, journal.read())[0]
    assert (storing.number, storing.rung, storing.seed) == (1, STORING, 2)  # the best seed of the lowest mean
    tried = outcome(tmp_path, tuned, tuned.search).tried
    assert [each.number for each in tried] == [1, 0, *range(2, 18)]
    assert tried[0].costs == (1.0, 5.0, 0.5, 5.0)
    assert tried[0].run == storing.folder == "0001-2"


def test_incomplete_finals_decide_nothing(tmp_path):
    tuned, journal = of_eighteen(tmp_path, dict(list(FINALS.items())[:-1]))
    assert [(each.number, each.seed) for each in due(tuned.search, tuned, journal.read())] == [(1, 3)]
    assert outcome(tmp_path, tuned, tuned.search).tried[0].number == 0


def test_settings_that_fail_with_a_further_seed_do_not_win(tmp_path):
    tuned, _ = of_eighteen(tmp_path, FINALS | {(1, 3): None})
    assert [each.number for each in outcome(tmp_path, tuned, tuned.search).tried][:2] == [0, 1]


@pytest.mark.parametrize("finalists", [0, 1])
def test_there_are_no_finals_without_time_for_two_settings(tmp_path, finalists):
    tuned, journal = of_eighteen(tmp_path, {}, finalists=finalists)
    assert due(tuned.search, tuned, journal.read())[0].rung == STORING


def test_the_winner_has_a_run_folder_even_if_the_budget_ends_with_the_search(tmp_path):
    course = Course(tmp_path, config(), None, (math.inf, math.inf))
    for trial in due(course.search, course.config, course.journal.read()):
        assert course._run(trial, print)
    course.store_winner()
    winner = ranked(course.search, course.journal.read(), 9)[0]
    assert rg.load(tmp_path / "trials" / winner.run).facts["metrics"]["valid"]["loss"] == winner.score


def test_a_promoted_winner_is_stored_from_memory_and_a_long_one_is_already_stored(tmp_path, monkeypatch):
    bench = Bench(config(), None, "loss", tmp_path)
    ended = bench.run(Proposal(0, 2, 0, 9, RATE))
    monkeypatch.setattr(brief, "trained_in_memory", None)  # neither trains again
    assert bench.run(Proposal(0, STORING, 0, 9, RATE)) == ended
    stored = (tmp_path / "0000-0" / "events.jsonl").read_bytes()
    assert bench.run(Proposal(0, STORING, 0, 9, RATE)) == ended
    assert (tmp_path / "0000-0" / "events.jsonl").read_bytes() == stored


def test_a_study_without_a_finished_trial_fails_and_does_not_block_the_next_one(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(json.dumps(PLAIN), encoding="utf-8")
    assert main(["tune", "small.yaml", "--budget", "0.001s"]) == 2
    assert "no trial was finished within 0.001s" in " ".join(capsys.readouterr().err.split())
    assert main(["tune", "small.yaml", "--budget", "2"]) == 0


def test_an_interrupted_command_reports_how_to_continue(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(json.dumps(PLAIN), encoding="utf-8")
    run = Bench.run

    def interrupted(bench, trial, seconds=None):
        if trial.number == 3:
            raise KeyboardInterrupt
        return run(bench, trial, seconds)

    monkeypatch.setattr(Bench, "run", interrupted)
    assert main(["tune", "small.yaml"]) == 130
    assert "add --resume to the command for small.yaml" in capsys.readouterr().err
    monkeypatch.setattr(Bench, "run", run)
    assert main(["tune", "small.yaml", "--resume"]) == 0


# ------------------------------------------------------------------------------------------- the rate and the optimizers


def test_the_rate_is_near_its_known_optimum_and_the_curve_is_stored(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(json.dumps({**PLAIN, "search": None, "training": {"epochs": 27}}), encoding="utf-8")
    assert main(["tune", "small.yaml", "--rate"]) == 0
    out = capsys.readouterr().out
    assert len([line for line in out.splitlines() if "<- " in line]) == 1
    assert all(len(line) <= 80 for line in out.splitlines())
    stored = json.loads(Path("runs/rate-small/result.json").read_text())
    assert 3e-3 <= stored["learning_rate"] <= 1
    assert stored["updates"] <= 5 * 27 * 2  # five whole runs; an epoch is two steps


def test_the_reason_for_a_rate_is_reported_with_the_results_of_the_others():
    from retrograd.tuning.rate import Tried

    tried = [Tried(0.01, 0.5, 3), Tried(0.1, 0.2, 9), Tried(1.0, math.inf, 1)]
    words = reason(tried, 0.1, [(3, 1), (1, 9)])
    assert "the lowest loss, 0.2, after 9 epochs" in words
    assert "training diverges from 1 on" in words
    assert "at an end" in reason(tried[:2], 0.1, [(3, 1), (1, 9)])


def test_each_optimizer_is_compared_at_its_own_rate(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain = {**PLAIN, "search": None, "training": {"epochs": 3, "batch_size": 16}}
    found = rg.compare_optimizers(plain, names=("SGD", "Adam"), seeds=2, root=tmp_path)
    assert {row.name for row in found.rows} == {"SGD", "Adam"}
    assert all(len(row.losses) == 2 and math.isfinite(row.mean) for row in found.rows)
    assert found.rows[0].mean <= found.rows[1].mean
    assert "<polyline" in (tmp_path / "optimizers-small" / "report.html").read_text()
    with pytest.raises(UsageError, match="unknown optimizer 'Adamm'"):
        rg.compare_optimizers(plain, names=("Adamm",))


def test_the_halfway_point_and_the_sentence_follow_from_the_curves():
    assert half_way([1.0, 0.7, 0.5, 0.1], 0.0) == 3
    assert half_way([], 0.0) is None
    rows = [Compared("A", 0.1, (1.0, 1.1), None, (), None), Compared("B", 0.2, (1.05, 1.15), None, (), None)]
    assert sentence(rows) == "A at 0.1 has the lowest loss, 1.05; equally good within the spread over seeds: B"


@pytest.mark.parametrize(("takes", "to_end"), [(0.0, True), (0.7, False)])
def test_the_first_bracket_shows_whether_the_budget_suffices_to_train_settings_to_the_end(
    tmp_path, monkeypatch, takes, to_end
):
    search, end = {"optimizer.adam.learning_rate": {"log": [1e-5, 0.3]}}, time.time() + 60
    course = Course(tmp_path, config(search=search), None, (end, end))

    def run(trial, seconds=None):
        if trial.number > 30:
            raise KeyboardInterrupt
        time.sleep(takes if trial.epochs == 9 else 0.0)
        return Outcome(trial.number / 100, 0.5, "", trial.epochs)

    monkeypatch.setattr(course.bench, "run", run)
    with pytest.raises(KeyboardInterrupt):
        course.work()
    events = [json.loads(line) for line in (tmp_path / "study.jsonl").read_text().splitlines()]
    assert [event["to_end"] for event in events if event["event"] == "paced"] == [to_end]
    second = [event for event in events if event["event"] == "ended" and event["number"] > 26]
    assert {event["epochs"] for event in second} == ({9} if to_end else {3})
    again = Course(tmp_path, config(search=search), None, (end, end)).journal.read()
    assert again.to_end == to_end  # a resumed study goes on as it began
