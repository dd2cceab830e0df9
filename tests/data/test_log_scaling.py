"""Quantities over orders of magnitude: scaled by their logarithm if suitable, predicted in their own unit."""

import numpy as np
import pytest
from PIL import Image

import retrograd as rg
import retrograd.diagnosis.diagnose  # registers the remedies
from retrograd.base.errors import ConfigError
from retrograd.base.schema import parse
from retrograd.data.dataset import from_arrays, load
from retrograd.data.settings import DataSettings
from retrograd.data.tables.scaling import fit_scaling, shortest, spans
from retrograd.diagnosis.original_unit import comparable
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.remedy import remedies
from retrograd.diagnosis.variant import variant
from retrograd.training.config.config import RunConfig

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.exp(RNG.normal(size=500)), True),
        (np.exp(3 * RNG.normal(size=500)), True),
        (RNG.exponential(size=500), True),
        (RNG.poisson(np.exp(2 * RNG.normal(size=500))), True),  # counts, a third of them 0
        (RNG.normal(size=500), False),
        (RNG.uniform(size=500), False),
        (RNG.integers(0, 2, 500), False),
        (np.full(500, 3.0), False),
        (-np.exp(3 * RNG.normal(size=500)), False),
        (1e6 + RNG.normal(size=500), False),
    ],
)
def test_skewed_positive_numbers_over_two_orders_of_magnitude_span_magnitudes(values, expected):
    assert spans(np.asarray(values, float)[:, None]).tolist() == [expected]


def test_a_logarithm_is_undone_and_numbers_far_below_the_smallest_known_one_count_as_its_tenth():
    x = np.column_stack([np.exp(2 * RNG.normal(size=300)), RNG.normal(size=300)])
    scaling = fit_scaling(x, "log")
    assert not scaling.is_affine
    y = scaling.apply(x)
    np.testing.assert_allclose(y[:, 0], (np.log(x[:, 0]) - np.log(x[:, 0]).mean()) / np.log(x[:, 0]).std())
    np.testing.assert_allclose(scaling.undo(y), x)
    tenth = scaling.apply(np.array([[x[:, 0].min() / 10, 0.0]]))
    np.testing.assert_allclose(scaling.apply(np.zeros((1, 2))), tenth)
    assert tenth[0, 0] < y[:, 0].min()
    assert fit_scaling(x[:, 1:], "log") == fit_scaling(x[:, 1:], "standard")
    narrow = y.astype(np.float32).astype(np.float64)
    np.testing.assert_array_equal(scaling.apply(shortest(scaling.undo(narrow), scaling)).astype(np.float32), narrow)


def test_predictions_of_a_target_taken_by_its_logarithm_are_in_its_own_unit(tmp_path):
    x = RNG.normal(size=(200, 2))
    y = 1000 * np.exp(2 * x[:, 0] - x[:, 1])
    settings = parse(DataSettings, {"scale_target": "log", "task": "regression"}, "data")
    run = rg.fit(x, y, data=settings, network=[{"dense": 1}], optimizer={"adam": 0.05}, epochs=60, root=tmp_path)
    predictions = np.asarray(run.predict(x)).ravel()
    assert np.median(np.abs(np.log(predictions / y))) < 0.1
    assert run.scores["valid"]["r2"] > 0.9  # of the quantity, not of its logarithm


def test_a_network_on_logarithms_is_judged_by_the_quantity_itself():
    x = RNG.normal(size=(100, 2))
    y = np.exp(2 * x[:, :1])
    config = parse(RunConfig, {"network": [{"dense": 1}]})
    program = Program(config, from_arrays(x, y, settings=parse(DataSettings, {"task": "regression"}, "data")))
    changed = remedies["log_target"]().change(config, program)
    other = variant(program, changed)
    raw, logarithms = program.dataset.valid["y"], other.dataset.valid["y"]
    assert not np.allclose(raw, logarithms)
    np.testing.assert_allclose(comparable(other.dataset, logarithms), raw, rtol=1e-5)
    assert comparable(program.dataset, raw) is raw
    assert other.data.levels is program.data.levels


def test_pixels_and_series_with_levels_of_their_own_take_no_logarithm(tmp_path):
    for i in range(6):
        (tmp_path / "pictures" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 255, (8, 8), np.uint8)).save(tmp_path / "pictures" / "ab"[i % 2] / f"{i}.png")
    for scale in ("log", "robust"):
        with pytest.raises(ConfigError, match=f"pixels cannot be scaled by '{scale}'"):
            load(parse(DataSettings, {"path": str(tmp_path / "pictures"), "scale": scale}, "data"))
    rows = [f"{name},{i},{i * 10 + 1}" for name in "ab" for i in range(20)]
    (tmp_path / "sold.csv").write_text("\n".join(["shop,day,sold", *rows]))
    windows = {"history": 3, "horizon": 1, "time": "day", "series": "shop"}
    section = {"path": str(tmp_path / "sold.csv"), "target": "sold", "windows": windows, "scale_target": "log"}
    with pytest.raises(ConfigError, match="its own level"):
        load(parse(DataSettings, section, "data"))
