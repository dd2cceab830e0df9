"""Failure first: what a diagnosis says of programs that learn, that do not, and that cannot."""

import numpy as np
import pytest

from retrograd.base.finding import Finding
from retrograd.base.schema import parse
from retrograd.data.dataset import from_arrays, load
from retrograd.diagnosis.data_facts import DataFacts
from retrograd.diagnosis.diagnose import diagnose, examine
from retrograd.diagnosis.explains import EXPLAINS
from retrograd.diagnosis.judgement.levels import reference_levels
from retrograd.diagnosis.judgement.luck import granted
from retrograd.diagnosis.judgement.measure import lags
from retrograd.diagnosis.judgement.score import FAILED, labels, score, worth
from retrograd.diagnosis.judgement.verdict import judge
from retrograd.diagnosis.observe import Moment, Observed
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.ranking import ranked
from retrograd.diagnosis.symptom import setup, symptoms
from retrograd.training.config.config import RunConfig

ONES = {"weight": {"constant": 1.0}, "bias": {"constant": 1.0}}
HEAD = [{"dense": {"units": 8, "activation": "relu"}}]


def test_an_oddity_of_a_network_that_learns_is_a_note():
    odd = setup("blobs", network=[*HEAD, {"dense": 3}, "softmax"], loss="cross_entropy", training={"epochs": 40})
    found = examine(odd.program(), 1)
    assert found.verdict.state == "healthy"
    assert [f.name for f in found.findings if f.severity != "note"] == []
    assert "softmax_twice" in [f.name for f in found.findings]
    assert found.causes == ()


def test_equal_weights_without_nonlinearity_are_reported_with_evidence():
    network = [{"dense": {"units": 3, **ONES}}, {"dense": {"units": 1, **ONES}}]
    found = examine(setup("halves", network=network, optimizer={"sgd": 0.1}, training={"epochs": 3}).program(), 1)
    causes = {cause.name: cause for cause in found.findings}
    assert "symmetric" in causes["initial_weights"].message
    assert "linear" in causes["no_nonlinearity"].message
    assert causes["initial_weights"].evidence


def test_data_without_signal_are_hopeless_and_the_only_run_confirms_it():
    found = examine(setup("noise", {"rows": 400}, network=[*HEAD, {"dense": 1}]).program(), 3)
    assert found.verdict.state == "hopeless"
    assert len(found.runs) == 1
    assert found.causes[0].code == "D07"


def test_a_program_that_is_refused_says_why_and_names_a_cause():
    wrong = setup("line", {"target_stretch": 50.0}, network=[*HEAD, {"dense": 1}], loss="binary_cross_entropy")
    found = examine(wrong.program(), 1)
    assert found.verdict.state == "refused"
    assert found.causes[0].code in ("S03", "S04")


def test_configuration_and_data_explain_before_the_run_does():
    flat = setup("blobs", network=[{"dense": {"units": 8, "activation": "relu", "weight": "zeros"}},
                                   {"dense": {"units": 3, "weight": "zeros"}}])  # fmt: skip
    found = examine(flat.program(), 1)
    assert found.ill
    assert found.causes[0].name == "initial_weights"
    assert all(isinstance(cause, Finding) for cause in found.causes)
    plain = found.plain()
    assert plain["verdict"] == "ill"
    assert plain["findings"][0]["code"] == "S06"


@pytest.mark.parametrize(
    ("own", "reference", "classifies", "expected"),
    [(0.70, 0.80, True, True), (0.76, 0.80, True, False), (0.5, 0.9, False, True), (0.85, 0.9, False, False)],
)
def test_only_a_gap_beyond_chance_counts(own, reference, classifies, expected):
    assert lags(own, reference, 1000, classifies) is expected


def test_the_same_gap_on_few_rows_is_chance():
    assert not lags(0.70, 0.80, 20, True)


def test_seeds_that_differ_are_granted_their_spread():
    assert granted([0.5]) == 0.5
    assert granted([0.4, 0.5, 0.5, 0.5, 0.6]) == pytest.approx(0.5 + 2 * np.sqrt(0.005 / 5))
    assert granted([0.68, 0.88]) == 0.88  # both are far below what can be reached: that is no bad luck


def test_scores_are_accuracy_and_r_squared_and_never_nan():
    truth = np.array([[0.0], [1.0], [2.0]])
    assert score(truth, truth, "regression", False) == 1.0
    assert score(np.full((3, 1), np.nan), truth, "regression", False) == -1.0
    assert score(np.array([[2.0, 1.0], [np.nan, 1.0]]), np.array([0, 1]), "multiclass", True) == 0.5
    assert labels(np.array([[-1.0], [1.0]]), True).tolist() == [0, 1]


def test_a_network_that_learns_with_some_seeds_only_is_said_to():
    program = setup("halves", network=[*HEAD, {"dense": 1}]).program()
    runs = [Observed((0.5,), (Moment(1, score, score, 0.5, 0.5, None),), None, 1) for score in (1.0, 0.8, 1.0)]
    found = judge(program, runs, no_signal=False)
    assert found.state == "healthy"
    assert "1, 0.8, 1 on held-out rows, depending on the seed" in found.sentence


def test_a_truth_table_is_no_sample_three_rows_of_four_are_not_learned():
    ones = {"weight": {"constant": 1.0}, "bias": {"constant": 1.0}}
    network = [{"dense": {"units": 3, **ones}}, {"dense": {"units": 1, **ones}}]
    found = diagnose({"data": "xor", "network": network, "optimizer": {"sgd": 0.5}}, seeds=1)
    assert found.runs[0].score == 0.75
    assert found.ill
    assert [cause.name for cause in found.causes[:2]] == ["initial_weights", "no_nonlinearity"]


def test_the_consequence_of_a_symptom_comes_after_it():
    steep = Finding("curvature", "optimizer", "too steep", confidence=0.9)
    loud = Finding("initial_weights", "network.0", "too large", confidence=0.6)
    assert ranked([steep, loud], "ill") == [loud, steep]
    assert ranked([steep, loud._replace(name="imbalance")], "ill")[0] == steep


def test_every_finding_that_explains_or_is_explained_exists():
    named = {*EXPLAINS, *(name for names in EXPLAINS.values() for name in names)}
    assert named - set(symptoms) <= {
        "learning_rate",
        "outliers",
        "clipped",
        "batch_norm_lag",
        "batch_norm_momentum",
    }  # which experiments find


def test_what_a_loss_is_worth_falls_with_it_and_nothing_is_worth_less_than_what_failed():
    losses = [-3.0, 0.0, 0.5, 40.0, 1e30, np.inf]
    values = [worth(loss) for loss in losses]
    assert values == sorted(values, reverse=True)
    assert (worth(0.0), worth(1.0), worth(np.nan)) == (1.0, 0.5, FAILED)
    assert worth(1e30) > FAILED == worth(np.inf)


def test_a_run_that_breaks_is_a_failure_even_where_the_others_learn():
    program = setup("halves", network=[*HEAD, {"dense": 1}]).program()
    program.data.y = None  # a task whose answers are neither classes nor numbers
    learns, breaks = Observed((1.0, 0.5), (), None, 20), Observed((), (), None, 0, "not finite")
    found = judge(program, [learns, breaks, learns], no_signal=False)
    assert (found.state, found.run) == ("ill", 1)
    assert "with 1 seed of 3" in found.sentence
    assert judge(program, [breaks, breaks, learns], no_signal=False).state == "ill"


def test_references_know_signal_from_noise():
    told = reference_levels(setup("halves", {"rows": 300}, network=HEAD).program().dataset)
    noise = reference_levels(setup("noise", {"rows": 300}, network=HEAD).program().dataset)
    assert told.best > 0.85
    assert told.chance < 0.05
    assert noise.chance > 0.05


def test_references_see_what_a_tight_clip_takes_from_the_network(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    path = tmp_path / "rows.csv"
    path.write_text("a,b,y\n" + "".join(f"{a:.4f},{b:.4f},{2 * a - b:.4f}\n" for a, b in x), encoding="utf-8")
    config = parse(RunConfig, {"data": {"path": str(path), "target": "y", "clip": 0.05}, "network": [{"dense": 1}]})
    facts = Program(config, load(config.data)).data
    assert (facts.cut > 0.8).all()
    assert facts.levels.best > 0.99
    assert DataFacts(facts.dataset).levels.best < 0.9  # of what is left


def test_a_score_that_chance_gives_on_few_rows_is_no_success():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(100, 300)), rng.integers(0, 2, 100)
    settings = {"network": [{"dense": {"units": 32, "activation": "relu"}}, {"dense": 1}],
                "optimizer": {"adam": 0.005}, "training": {"epochs": 40}}  # fmt: skip
    idle = Program(parse(RunConfig, settings), from_arrays(x[:70], y[:70], (x[70:], y[70:])))
    runs = [idle.runs.of(seed) for seed in range(2)]
    verdict = judge(idle, runs, no_signal=False)
    assert verdict.state == "undecided"
    assert "30 rows are too few to distinguish that from chance" in verdict.sentence
