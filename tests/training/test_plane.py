import base64
import json
import shutil

import jax
import numpy as np
import polars as pl
import pytest

from retrograd.record.plane import read_plane
from retrograd.record.run import RunFolder
from retrograd.report.report import report, write_report
from retrograd.report.story import read_story
from retrograd.training.plane import MOST_SAMPLES, SIDE, may_sample, spread
from retrograd.training.prepare import prepare
from retrograd.training.run import as_config, train

HOSTILE = "<script>alert(1)</script>\x1b[31m"


def frame(count=60):
    rng = np.random.default_rng(0)
    size, ratio = rng.normal(150, 30, count), rng.normal(3, 0.2, count)
    kinds = np.where(size > 160, "tall", np.where(ratio > 3, HOSTILE, "small"))
    return pl.DataFrame({"size<b> cm": size, "ratio": ratio, "kind": kinds})


def trained(rows, folder, network, epochs=12, **data):
    path = folder.parent / f"{folder.name}.csv"
    rows.write_csv(path)
    training = {"epochs": epochs, "batch_size": 16}
    return train({"data": {"path": str(path), **data}, "network": network, "training": training}, folder=folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with three classes and two columns of very different magnitudes."""
    return trained(frame(), tmp_path_factory.mktemp("runs") / "kinds", [{"dense": 4}, "tanh", {"dense": "classes"}])


def cells(plane):
    """Return the centre of every cell in the columns' units, beginning with the row of the largest second value."""
    (left, bottom), (right, top) = plane.low, plane.high
    middle = (np.arange(SIDE) + 0.5) / SIDE
    across, up = np.meshgrid(left + middle * (right - left), top - middle * (top - bottom))
    return across.ravel(), up.ravel()


def numbers(text):
    return np.frombuffer(base64.b64decode(text), np.uint8)


def test_the_last_grid_equals_the_models_predictions(run):
    plane = read_plane(run.folder)
    best_sample = next(sample for sample in plane.samples if sample.epoch == run.best_epoch == plane.best)
    share = run.predict_proba(pl.DataFrame(dict(zip(plane.columns, cells(plane), strict=True))))
    assert plane.columns == ("size<b> cm", "ratio")
    assert plane.classes == run.model.classes
    assert np.abs(numbers(best_sample.shades) - 255 * share.max(1)).max() <= 0.51
    apart = np.sort(share, 1)[:, -1] - np.sort(share, 1)[:, -2] > 1e-5
    assert np.array_equal(numbers(best_sample.winners)[apart], share.argmax(1)[apart])


def test_the_first_grid_is_of_the_untrained_weights_and_the_epochs_between_differ(run):
    plane = read_plane(run.folder)
    epochs = [sample.epoch for sample in plane.samples]
    assert (epochs[0], epochs[-1]) == (0, 12)
    assert epochs == sorted(set(epochs))
    assert len(epochs) == MOST_SAMPLES
    assert len({sample.shades for sample in plane.samples}) == MOST_SAMPLES


def test_the_points_are_the_training_rows(run):
    plane = read_plane(run.folder)
    rows = {(round(x, 3), round(y, 4), kind) for x, y, kind in frame().rows()}
    points = {(round(p.x, 3), round(p.y, 4), plane.classes[int(p.target)]) for p in plane.points}
    assert len(plane.points) == plane.rows == run.dataset.rows["train"]
    near = [min(abs(x - a) + abs(y - b) for a, b, k in rows if k == kind) for x, y, kind in points]
    assert max(near) < 2e-3  # float32 and six digits


def test_the_page_shows_the_plane_as_text_and_pictures_from_the_folder_alone(run, tmp_path):
    copy = RunFolder.open(shutil.copytree(run.folder, tmp_path / "run"))
    page = write_report(copy).read_text()
    section = page.partition("<h2>Decision boundary</h2>")[2].partition("</section>")[0]
    assert section.count("<figure") == MOST_SAMPLES
    assert "<bdi>size&lt;b&gt; cm</bdi>" in section
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\ufffd[31m" in section
    assert "<script>alert" not in page
    assert "characters)" not in section  # no path was cut
    assert f"Epoch {run.best_epoch}</b><span>kept" in section


def test_two_classes_and_a_quantity_are_shades_between_their_ends(tmp_path):
    rows = frame(40).with_columns(kind=pl.Series([0, 1] * 20))
    two = trained(rows, tmp_path / "two", [{"dense": 1}], 2)
    plane = read_plane(two.folder)
    share = two.predict_proba(pl.DataFrame(dict(zip(plane.columns, cells(plane), strict=True))))[:, 1]
    best_sample = next(sample for sample in plane.samples if sample.epoch == two.best_epoch)
    assert np.abs(numbers(best_sample.shades) - 255 * share).max() <= 0.51
    assert best_sample.winners == ""
    rows = rows.with_columns(kind=pl.col("size<b> cm") * 2.5)
    quantity = trained(rows, tmp_path / "quantity", [{"dense": 1}], 2)
    plane = read_plane(quantity.folder)
    values = quantity.predict(pl.DataFrame(dict(zip(plane.columns, cells(plane), strict=True))))
    low, high = plane.values
    best_sample = next(sample for sample in plane.samples if sample.epoch == quantity.best_epoch)
    assert np.abs(numbers(best_sample.shades) - 255 * (values - low) / (high - low)).max() <= 0.51
    assert "Output over the plane" in (quantity.folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("features", "units", "may"),
    [(("ratio", "size<b> cm"), 4, True), (("ratio", "third", "size<b> cm"), 4, False), (("ratio", "word"), 4, False),
     (("ratio",), 4, False), (("ratio", "third"), 20_000, False)],
)  # fmt: skip
def test_only_small_networks_of_two_numbers_have_a_plane(tmp_path, features, units, may):
    rows = frame(40).with_columns(third=pl.col("ratio") ** 2, word=pl.Series(["a", "b"] * 20))
    rows.write_csv(tmp_path / "rows.csv")
    data = {"path": str(tmp_path / "rows.csv"), "features": list(features), "target": "kind"}
    network = [{"dense": units}, "relu", {"dense": "classes"}]
    prepared = prepare(as_config({"data": data, "network": network}))
    batch = {name: column[:2] for name, column in prepared.dataset.train.items()}
    first = jax.eval_shape(lambda key: prepared.network.init(key, batch), jax.random.key(0))
    assert may_sample(prepared, first) is may


def test_a_damaged_plane_is_left_out_and_the_rest_is_shown(run, tmp_path):
    shutil.copytree(run.folder, tmp_path / "run")
    path = tmp_path / "run" / "plane.json"
    plain = json.loads(path.read_text())
    path.write_text(json.dumps({**plain, "side": 10**6}))
    assert "Decision boundary" not in report(read_story(RunFolder.open(tmp_path / "run")))
    plain["samples"][0]["shades"] = "!!"
    path.write_text(json.dumps(plain))
    assert report(read_story(RunFolder.open(tmp_path / "run"))).count("The plane at epoch") == MOST_SAMPLES - 1


def test_epochs_are_spread_on_a_logarithmic_scale():
    chosen = spread([0, *range(1, 1001)], 700)
    assert {0, 700, 1000} <= set(chosen)
    assert len(chosen) == MOST_SAMPLES
    assert sum(epoch < 100 for epoch in chosen) >= 4
    assert spread([0, 3], 3) == [0, 3]
