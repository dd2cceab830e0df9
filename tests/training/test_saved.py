"""A loop that continues from any of its checkpoints ends with the bits of one that was never interrupted."""

import dataclasses
import itertools

import numpy as np
import pytest

from retrograd.base.document import Document
from retrograd.base.errors import ModelFileError
from retrograd.data.dataset import from_arrays
from retrograd.distributed.team import Team
from retrograd.record.tree import digest
from retrograd.training.config.config import config_of
from retrograd.training.loop import course as course_module
from retrograd.training.loop.course import LOOK_OPERATIONS, look_steps
from retrograd.training.loop.loop import Loop
from retrograd.training.loop.pulse import Pulse
from retrograd.training.prepare import prepare
from retrograd.update import step as step_module

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 6)).astype(np.float32)
Y = (X[:, :4] @ np.array([1.0, -2.0, 0.5, 0.0]) + 0.1 * RNG.normal(size=100)).astype(np.float32)
DENSE = [{"dense": 5}, "batch_norm", "relu", {"dropout": 0.3}, {"dense": 1}]
PLATEAU = {"reduce_on_plateau": {"initial": 0.05, "patience": 0, "factor": 0.5, "threshold": 0.05}}
CASES = {
    "dropout, batch norm, a plateau, and micro-batches in bfloat16": {
        "network": DENSE, "optimizer": {"adamw": {"learning_rate": PLATEAU, "accumulate": 2}},
        "training": {"epochs": 5, "precision": "bfloat16"},
    },
    "early stopping, and epochs measured in groups": {
        "network": DENSE, "optimizer": {"adam": 0.3},
        "training": {"epochs": 40, "evaluate_every": 2, "early_stopping": {"patience": 3}},
    },
    "a guard that rescues": {
        "network": [{"dense": 1}], "optimizer": {"sgd": {"learning_rate": 50.0, "momentum": 0.5}},
        "training": {"epochs": 3, "guard": "repair"},
    },
    "a recurrent network": {
        "network": [{"reshape": [3, 2]}, {"lstm": 3}, {"dense": 1}], "optimizer": {"rmsprop": 0.01},
        "training": {"epochs": 2},
    },
    "float64, and the norm of the gradient": {
        "network": [{"dense": 1}], "optimizer": {"adam": {"learning_rate": {"cosine": {"initial": 0.1}}}},
        "training": {"epochs": 2, "precision": "float64", "convergence": {"gradient_norm": 1e-9}},
    },
}  # fmt: skip


@pytest.fixture(autouse=True)
def short_stretches(monkeypatch):
    """Observe every few steps, so that a short epoch has several stretches."""
    monkeypatch.setattr(course_module, "LOOK_STEPS", 3)
    monkeypatch.setattr(course_module, "FEW_LOOK_STEPS", 3)
    monkeypatch.setattr(step_module, "STEPS_PER_DISPATCH", 2)


def prepared(case):
    plain = {**case, "training": {"batch_size": 8, "early_stopping": None, **case["training"]}}
    return prepare(config_of(Document(plain)), from_arrays(X, Y))


def loop_of(run, **further):
    evaluator = run.evaluator()
    score = lambda variables: {"valid": evaluator.scores(variables, run.dataset.valid)}  # noqa: E731
    return Loop(run.stepper(), run.config.training, run.dataset.train, score, True, valid_rows=10, **further)


def outcome(fitted):
    history = [dataclasses.replace(event, seconds=0.0) for event in fitted.history]
    best = fitted.best and fitted.best.epoch
    acts = fitted.interventions
    return digest(fitted.variables.params), digest(fitted.variables.state), history, best, fitted.stop, acts


@pytest.mark.parametrize("name", CASES)
def test_continuing_from_any_place_ends_with_the_same_bits(name):
    run = prepared(CASES[name])
    places = []
    whole = loop_of(run, save=lambda take, moment: places.append(take())).run(run.first())
    starts = [place for place in places if "steps/loss" in place.arrays]
    assert len({place.step for place in starts}) > len(whole.history)  # some are within an epoch
    for place in places[:: max(1, len(places) // 6)]:
        assert outcome(loop_of(run).run(run.first(), place)) == outcome(whole)
    if "rescues" in name:
        assert whole.interventions
        assert any(place.interventions for place in places)


def test_an_interrupt_saves_the_last_whole_stretch_and_nothing_after_it():
    run = prepared(CASES["a guard that rescues"])
    whole = loop_of(run).run(run.first())
    for dispatches in (0, 1, 2, 5, 7, 12, 13):
        calls, places = [], []

        def stop(calls=calls, dispatches=dispatches):
            calls.append(True)
            return "interrupted" if len(calls) > dispatches else None

        keep = lambda take, moment, places=places: places.append((take(), moment))  # noqa: E731
        loop = loop_of(run, asked_to_stop=stop, save=keep)
        assert loop.run(run.first()).stop.reason == "interrupted"
        place, moment = places[-1]
        assert (moment, [moment for _, moment in places].count("interrupted")) == ("interrupted", 1)
        assert outcome(loop_of(run).run(run.first(), place)) == outcome(whole)


def test_an_interrupt_at_the_end_of_the_last_epoch_does_not_change_the_verdict_of_the_rules():
    run = prepared(CASES["early stopping, and epochs measured in groups"])
    whole = loop_of(run).run(run.first())
    assert whole.stop.reason == "early stopping"
    signals, places = [], []
    last = lambda event: signals.append("interrupted") if event.epoch == len(whole.history) else None  # noqa: E731
    keep = lambda take, moment: places.append(take())  # noqa: E731
    loop_of(run, watchers=(last,), asked_to_stop=lambda: signals[0] if signals else None, save=keep).run(run.first())
    assert len(places[-1].history) == len(whole.history)
    assert outcome(loop_of(run).run(run.first(), places[-1])) == outcome(whole)


def test_a_finished_run_continues_to_more_epochs():
    case = CASES["a guard that rescues"]
    places = []
    short, long = (prepared({**case, "training": {"epochs": epochs}}) for epochs in (2, 4))
    loop_of(short, save=lambda take, moment: places.append((take(), moment))).run(short.first())
    place, moment = places[-1]
    assert (moment, len(place.history)) == ("ended", 2)
    further = loop_of(long).run(long.first(), place)
    assert outcome(further) == outcome(loop_of(long).run(long.first()))


def test_time_continues_where_it_was():
    run = prepared({**CASES["a guard that rescues"], "training": {"epochs": 50, "time_limit": 3.0}})
    places, seconds = [], iter(range(1000))
    keep = lambda take, moment: places.append(take())  # noqa: E731
    loop_of(run, clock=lambda: float(next(seconds)), save=keep).run(run.first())
    place = places[0]
    assert place.seconds > 0
    again = loop_of(run, clock=lambda: 100.0).run(run.first(), dataclasses.replace(place, seconds=2.5))
    assert {event.seconds for event in again.history} == {2.5}
    ended = loop_of(run, clock=lambda: 100.0).run(run.first(), dataclasses.replace(place, seconds=3.0))
    assert ended.stop.reason == "time limit"


def test_a_checkpoint_of_another_network_is_refused_by_name():
    run, other = (
        prepared(CASES["a guard that rescues"]),
        prepared(CASES["early stopping, and epochs measured in groups"]),
    )
    places = []
    loop_of(run, save=lambda take, moment: places.append(take())).run(run.first())
    with pytest.raises(ModelFileError, match=r"train/params/batch_norm_1/scale: missing, expected float32 \(5,\)"):
        loop_of(other).run(other.first(), places[0])


class Stands(Pulse):
    """A pulse that records the run's step before each dispatch, and the step at which the dispatch began."""

    def dispatched(self, step, loss):
        dispatched.append((self.step, step - loss.size, len(self._losses)))
        super().dispatched(step, loss)


dispatched: list[tuple[int, int, int]] = []


def test_the_pulse_is_notified_of_steps_that_a_rescue_undoes():
    run = prepared(CASES["a guard that rescues"])
    dispatched.clear()
    whole = loop_of(run, pulse=Stands(lambda event: None)).run(run.first())
    again = [stood for before, stood in itertools.pairwise(dispatched) if stood[1] <= before[1]]
    assert again
    assert whole.interventions
    assert all(stood == begins and losses == 0 for stood, begins, losses in again)


class Two(Team):
    """One of two processes; it ends at its first question to the other one."""

    size = 2

    def same(self, name, value):
        raise KeyboardInterrupt(name, value)


def test_processes_compare_their_initial_weights():
    run = prepared(CASES["a guard that rescues"])
    first = run.first()
    questions = []
    for factor in (1, 1, 2):
        params = {
            node: {name: factor * value for name, value in parameters.items()}
            for node, parameters in first.params.items()
        }
        with pytest.raises(KeyboardInterrupt) as caught:
            loop_of(run, team=Two()).run(first._replace(params=params))
        questions.append(caught.value.args)
    assert questions[0][0] == "initial weights (digest)"
    assert questions[0] == questions[1] != questions[2]


@pytest.mark.parametrize(("operations", "steps"), [(1.0, 448), (1e9, 448), (1e11, 40), (1e13, 16)])
def test_large_steps_are_observed_more_often(operations, steps, monkeypatch):
    monkeypatch.undo()
    assert look_steps(operations) == steps
    assert LOOK_OPERATIONS == 4e12
