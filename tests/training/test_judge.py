import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import confusion_matrix, multilabel_confusion_matrix

from retrograd.data.tables.multilabel import MultiLabels
from retrograd.data.tables.scaling import Scaling
from retrograd.data.tables.target import Labels, Quantities
from retrograd.record.judged import QUANTILES, read_judged
from retrograd.record.run import RunFolder
from retrograd.report.report import report, write_report
from retrograd.report.story import read_story
from retrograd.training.run import train
from retrograd.training.use.confusion import MOST_CLASSES, MOST_PAIRS
from retrograd.training.use.judge import judge
from retrograd.training.use.residuals import CELLS, MOST_POINTS
from retrograd.training.use.tallies import tally_of
from retrograd.training.use.worst import WORST

HOSTILE = "<script>alert(1)</script>\x1b[31m"
CLASSES = (HOSTILE, "ash", "oak")
BARE = SimpleNamespace(seen={}, preprocessing=SimpleNamespace(inputs=None))


def tallied(target, outputs, truths, portions=3, link="logit"):
    tally = tally_of(target, ("y",), outputs.shape, link)
    cuts = np.array_split(np.arange(len(outputs)), portions)
    for rows in cuts:
        tally.add(outputs[rows], {"y": truths[rows]})
    return tally


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A table of three kinds, one with a hostile name, whose first row has no label."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, 80)
    height, width = rng.normal(kinds, 1.0).round(3), rng.normal(-kinds, 1.0).round(3)
    frame = pl.DataFrame({"height<b>": height, "width": width, "kind": [CLASSES[i] for i in kinds]})
    first = pl.DataFrame({"height<b>": [0.0], "width": [0.0], "kind": [None]}, schema=frame.schema)
    path = tmp_path_factory.mktemp("data") / "trees.csv"
    pl.concat([first, frame]).write_csv(path)
    return path


@pytest.fixture(scope="module")
def run(file, tmp_path_factory):
    config = {"data": {"path": str(file)}, "network": [{"dense": "classes"}], "training": {"epochs": 2}}
    return train(config, folder=tmp_path_factory.mktemp("runs") / "trees")


def rows_of(file, judged):
    """Return the rows of the file by the line that the judgement names."""
    frame = pl.read_csv(file)
    return [frame.row(int(row.place.removeprefix("line ")) - 2, named=True) for row in judged.worst]


# ----------------------------------------------------------------------------------------------------- a trained run


def test_a_run_stores_the_confusion_of_its_test_part(run):
    judged = read_judged(run.folder)
    truth = run.dataset.test["y"]
    predicted = run.model.evaluator.outputs(run.model.variables, run.dataset.test).argmax(1)
    assert judged.part == "test"
    assert judged.classes == tuple(sorted(CLASSES))
    assert np.array_equal(judged.counts, confusion_matrix(truth, predicted, labels=range(3)))
    assert judged.right == (truth == predicted).sum()
    assert judged.count == len(truth) == 12


def test_the_worst_rows_are_those_to_which_the_model_assigns_the_lowest_probability(run, file):
    judged = read_judged(run.folder)
    rows = rows_of(file, judged)
    share = run.predict_proba(pl.DataFrame(rows))
    truth = [run.model.classes.index(row["kind"]) for row in rows]
    losses = -np.log(share[np.arange(len(rows)), truth])
    assert len(rows) == WORST
    assert [row.loss for row in judged.worst] == pytest.approx(losses, rel=1e-4)  # float32 outputs
    assert [row.truth for row in judged.worst] == [row["kind"] for row in rows]
    assert [row.answer for row in judged.worst] == list(run.predict(pl.DataFrame(rows)))
    assert [row.probability for row in judged.worst] == pytest.approx(share.max(1), rel=1e-4)
    assert [row.cells for row in judged.worst] == [
        {name: f"{row[name]:.6g}" for name in ("height<b>", "width")} for row in rows
    ]
    logits = run.model.evaluator.outputs(run.model.variables, run.dataset.test)
    every = np.log(np.exp(logits).sum(1)) - logits[np.arange(12), run.dataset.test["y"]]
    assert losses == pytest.approx(np.sort(every)[::-1][:WORST], rel=1e-4)


def test_the_page_shows_them_as_text_and_can_be_written_again_from_the_folder_alone(run):
    page = (run.folder / "report.html").read_text()
    assert "Predictions for the test rows" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\ufffd[31m" in page
    assert "height&lt;b&gt;" in page
    assert "<script>alert" not in page
    assert "\x1b" not in page
    write_report(RunFolder.open(run.folder))
    assert (run.folder / "report.html").read_text() == page


def test_a_damaged_file_is_named_and_the_rest_is_shown(run, tmp_path):
    for name in ("config.yaml", "events.jsonl"):
        (tmp_path / name).write_bytes((run.folder / name).read_bytes())
    (tmp_path / "predictions.json").write_text('{"part": 3}')
    page = report(read_story(RunFolder.open(tmp_path)))
    assert "predictions.json: part: Input should be a valid string" in page
    assert "Predictions for" not in page


def test_pictures_whose_bytes_do_not_fit_their_size_are_left_out(run, tmp_path):
    for name in ("config.yaml", "events.jsonl", "predictions.json"):
        (tmp_path / name).write_bytes((run.folder / name).read_bytes())
    plain = json.loads((tmp_path / "predictions.json").read_text())
    plain["worst"][0]["picture"] = {"width": 9**9, "height": 9**9, "channels": 1, "pixels": "AAAA"}
    (tmp_path / "predictions.json").write_text(json.dumps(plain))
    assert "thumb" not in report(read_story(RunFolder.open(tmp_path))).partition("</style>")[2]


def test_without_a_test_part_the_page_says_which_rows_are_shown(run, file, tmp_path):
    data = {"path": str(file), "split": {"test": 0.0}}
    other = train({"data": data, "network": [{"dense": "classes"}], "training": {"epochs": 1}}, folder=tmp_path / "run")
    assert read_judged(other.folder).part == "valid"
    assert "There is no test part" in (other.folder / "report.html").read_text()
    story = read_story(RunFolder.open(run.folder))
    page = report(replace(story, judged=replace(story.judged, part="train")))
    assert "Predictions for the training rows" in page
    assert "no test or validation part" in page


# ------------------------------------------------------------------------------------------------- from outputs alone


def test_two_classes_from_one_logit_are_counted_in_batches():
    rng = np.random.default_rng(1)
    truth, logits = rng.integers(0, 2, (50, 1)).astype("f4"), rng.normal(size=(50, 1)).astype("f4")
    judged = judge("valid", tallied(Labels("y", ("no", "yes"), True), logits, truth, portions=7), BARE)
    assert np.array_equal(judged.counts, confusion_matrix(truth, logits > 0))
    losses = np.logaddexp(0, np.where(truth == 1, -logits, logits))[:, 0]
    assert [row.place for row in judged.worst] == [
        f"row {i + 1} of the valid part" for i in np.argsort(-losses)[:WORST]
    ]
    assert [row.loss for row in judged.worst] == pytest.approx(np.sort(losses)[::-1][:WORST], rel=1e-6)


def test_many_classes_are_their_most_confused_pairs():
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 300, 4000)
    predicted = np.where(rng.random(4000) < 0.7, truth, (truth + rng.integers(1, 4, 4000)) % 300)
    target = Labels("y", tuple(range(300)), False)
    judged = judge("test", tallied(target, 9.0 * np.eye(300)[predicted], truth), BARE)
    matrix = confusion_matrix(truth, predicted)
    right = np.trace(matrix)
    np.fill_diagonal(matrix, 0)
    assert judged.counts == ()
    assert judged.right == right
    assert judged.pair_count == np.count_nonzero(matrix)
    assert [pair.count for pair in judged.pairs] == list(np.sort(matrix.ravel())[::-1][:MOST_PAIRS])
    first = judged.pairs[0]
    assert matrix[int(first.truth), int(first.answer)] == first.count
    assert first.share == pytest.approx(first.count / (truth == int(first.truth)).sum())
    assert MOST_CLASSES < 300


def test_each_of_several_labels_has_its_two_by_two_matrix():
    rng = np.random.default_rng(3)
    truth, logits = rng.integers(0, 2, (40, 3)), rng.normal(size=(40, 3))
    target = MultiLabels(("a", "b", "c"), ("a", "b", "c"), ((0, 1),) * 3)
    judged = judge("test", tallied(target, logits, truth), BARE)
    for label, ((rejections, alarms), (misses, hits)) in zip(
        judged.labels, multilabel_confusion_matrix(truth, logits > 0), strict=True
    ):
        assert (label.rejections, label.false_alarms, label.misses, label.hits) == (rejections, alarms, misses, hits)
    losses = np.logaddexp(0, np.where(truth == 1, -logits, logits)).mean(1)
    assert [row.loss for row in judged.worst] == pytest.approx(np.sort(losses)[::-1][:WORST], rel=1e-6)


@pytest.mark.parametrize("count", [50, MOST_POINTS + 100])
def test_residuals_are_in_the_targets_own_unit(count):
    rng = np.random.default_rng(4)
    truth, predicted = rng.normal(1000, 50, (count, 1)), rng.normal(1000, 50, (count, 1))
    target = Quantities(("price",), Scaling((1000.0,), (50.0,)))
    judged = judge("test", tallied(target, (predicted - 1000) / 50, (truth - 1000) / 50), BARE)
    (price,) = judged.residuals
    assert price.quantiles == pytest.approx(np.quantile(predicted - truth, QUANTILES), rel=1e-5)
    if count <= MOST_POINTS:
        assert np.array(price.points) == pytest.approx(np.hstack([truth, predicted]), rel=1e-5)
    else:
        expected, *_ = np.histogram2d(predicted[:, 0], truth[:, 0], CELLS, ((price.low, price.high),) * 2)
        assert np.array_equal(price.counts, expected)
    assert judged.worst[0].loss == pytest.approx((((predicted - truth) / 50) ** 2).max(), rel=1e-6)


def test_rows_with_non_finite_output_are_the_worst_and_are_not_counted_in_the_confusion():
    logits = np.array([[3.0, 0.0], [np.nan, 0.0], [0.0, 2.0], [np.inf, 0.0]])
    judged = judge(
        "test",
        tallied(
            Labels(
                "y",
                (
                    "a",
                    "b",
                ),
                False,
            ),
            logits,
            np.array([0, 1, 1, 0]),
            2,
        ),
        BARE,
    )
    assert judged.counts == ((1, 0), (0, 1))
    assert judged.nonfinite == 2
    assert [row.answer for row in judged.worst] == ["not finite", "not finite", "b", "a"]
