import numpy as np
import pytest

from retrograd.data.builtin.builtin import BUNDLED, GENERATORS, TRUTH_TABLES
from retrograd.data.builtin.generated import SPECIAL
from retrograd.data.dataset import load
from retrograd.data.settings import BUILTINS, GENERATED, DataSettings


def test_the_settings_list_exactly_the_existing_names():
    assert sorted(BUILTINS) == sorted([*TRUTH_TABLES, *GENERATORS, *BUNDLED, *SPECIAL])
    assert sorted(GENERATED) == sorted([*GENERATORS, *SPECIAL])


@pytest.mark.parametrize(("name", "y"), [("xor", [0, 1, 1, 0]), ("and", [0, 0, 0, 1])])
def test_a_truth_table_trains_on_every_row_and_says_so(name, y):
    data = load(DataSettings(builtin=name))
    assert data.train["x"].tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert data.train["y"].tolist() == [[value] for value in y]
    assert data.train["x"].dtype == data.train["y"].dtype == np.float32
    assert data.task == "binary"
    assert data.valid is None
    assert data.test is None
    assert f"training uses all 4 rows of {name}: no validation part" in data.notes
    assert data.sizes == {"features": 2, "classes": 1}


@pytest.mark.parametrize(
    ("name", "task", "rows", "features", "classes"),
    [
        ("circles", "binary", 500, 2, 2),
        ("moons", "binary", 500, 2, 2),
        ("spirals", "binary", 500, 2, 2),
        ("sine", "regression", 500, 1, 0),
        ("digits", "multiclass", 1797, 64, 10),
        ("iris", "multiclass", 150, 4, 3),
        ("wine", "multiclass", 178, 13, 3),
        ("breast_cancer", "binary", 569, 30, 2),
        ("diabetes", "regression", 442, 10, 0),
    ],
)
def test_a_built_in_has_its_task_rows_features_and_classes(name, task, rows, features, classes):
    data = load(DataSettings(builtin=name))
    assert data.task == task
    assert sum(data.rows.values()) == rows
    assert len(data.features) == features
    assert len(data.classes or ()) == classes
    assert 0.68 < data.rows["train"] / rows < 0.72
    assert data.rows["valid"] == data.rows["test"] == round(0.15 * rows)
    assert all(np.isfinite(data.train[column]).all() for column in ("x", "y"))


def test_digits_are_divided_by_their_largest_value():
    x = load(DataSettings(builtin="digits")).train["x"]
    assert x.min() == 0
    assert x.max() == 1
    assert np.array_equal(x * 16, np.round(x * 16))


def test_tables_are_standardised_and_keep_their_names():
    data = load(DataSettings(builtin="iris"))
    assert np.allclose(data.train["x"].mean(0), 0, atol=1e-5)  # float32 sums of a hundred rows
    assert np.allclose(data.train["x"].std(0), 1, atol=1e-5)
    assert data.classes == ("setosa", "versicolor", "virginica")
    assert data.features[0] == "sepal length (cm)"


def test_generated_sets_follow_samples_noise_and_seed():
    first = load(DataSettings(builtin="moons", samples=50, noise=0.0, seed=1))
    again = load(DataSettings(builtin="moons", samples=50, noise=0.0, seed=1))
    other = load(DataSettings(builtin="moons", samples=50, noise=0.0, seed=2))
    assert sum(first.rows.values()) == 50
    assert np.array_equal(first.train["x"], again.train["x"])
    assert first.digest == again.digest
    assert first.digest != other.digest


def test_circles_without_noise_have_two_radii():
    x, y = (load(DataSettings(builtin="circles", noise=0.0)).train[name] for name in "xy")
    radius = np.hypot(x[:, 0], x[:, 1])
    assert np.allclose(radius, np.where(y[:, 0] == 1, 0.5, 1.0), atol=1e-6)  # float32


def test_sine_without_noise_is_the_sine():
    data = load(DataSettings(builtin="sine", noise=0.0))
    assert np.allclose(np.sin(data.train["x"]), data.train["y"], atol=1e-6)  # float32
