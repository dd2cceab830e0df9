import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.base.errors import ConfigError, DataError, DataTypeError, LabelError, ShapeError
from retrograd.data.dataset import from_arrays, load
from retrograd.data.settings import DataSettings
from retrograd.data.split.settings import SplitSettings

ALL = SplitSettings(method="none")


def train(x, y=None, **settings):
    return from_arrays(x, y, settings=DataSettings(split=ALL, **settings))


def test_arrays_are_used_as_they_are():
    x = np.random.default_rng(0).normal(5, 3, (20, 4, 3))
    y = np.random.default_rng(1).normal(50, 3, 20)
    data = train(x, y)
    assert np.array_equal(data.train["x"], x.astype(np.float32))
    assert np.array_equal(data.train["y"], y.astype(np.float32)[:, None])
    assert data.task == "regression"
    assert data.sizes == {"features": 3, "targets": 1}


def test_jax_arrays_and_lists_are_arrays():
    for x, y in ((jnp.zeros((4, 2)), jnp.array([0, 1, 0, 1])), ([[0, 0]] * 4, [0, 1, 0, 1])):
        data = train(x, y)
        assert data.train["x"].dtype == np.float32
        assert data.train["y"].tolist() == [[0], [1], [0], [1]]


def test_integers_become_numbers_unless_they_are_kept_as_identifiers():
    ids = np.array([[1, 2], [3, 4]])
    assert train(ids).train["x"].dtype == np.float32
    assert train(ids, keep_integers=True).train["x"].dtype == np.int32


def test_further_arrays_pass_through_under_their_names():
    data = train({"x": np.zeros((4, 2)), "tokens": np.arange(8).reshape(4, 2), "mask": np.ones(4, bool)}, [0, 1, 1, 0])
    assert data.train["tokens"].dtype == np.int32
    assert data.train["mask"].dtype == bool
    batch = data.preprocessing.transform({"x": [[1, 1]], "tokens": [[1, 2]], "mask": [True]}, with_target=False)
    assert set(batch) == {"x", "tokens", "mask"}


def test_scale_overrides_the_default():
    x = np.array([[0.0], [255.0]])
    assert train(x, scale={"divide": 255}).train["x"].tolist() == [[0], [1]]
    assert train(x, scale="standard").train["x"].tolist() == [[-1], [1]]
    assert train(x, scale="minmax").train["x"].tolist() == [[0], [1]]


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        ([2**60 + 1, 2**60, 2**60], (2**60, 2**60 + 1)),
        ([2**70, 5, 5], (5, 2**70)),
        (["b", "a", "b"], ("a", "b")),
        ([b"b", b"a", b"b"], ("a", "b")),
        (["真", "假", "假"], ("假", "真")),
        ([True, False, True], (False, True)),
        ([1.0, 0.0, 1.0], (0, 1)),
        (np.array([-1, 1, 1], np.int8), (-1, 1)),
        (np.array(["b", "a", "b"], object), ("a", "b")),
        ([[1], [0], [1]], (0, 1)),
    ],
)
def test_class_labels_may_be_of_any_type(y, classes):
    data = train(np.zeros((3, 1)), y)
    assert data.classes == classes
    assert [type(label) for label in data.classes] == [type(label) for label in classes]
    decoded = data.preprocessing.decode(np.where(data.train["y"] == 1, 5.0, -5.0)).labels
    labels = [label.decode() if isinstance(label, bytes) else label for label in np.ravel(np.array(y, object))]
    assert decoded.tolist() == labels


def test_several_columns_of_y_are_quantities():
    y = np.arange(8.0).reshape(4, 2)
    data = train(np.zeros((4, 1)), y)
    assert data.sizes == {"features": 1, "targets": 2}
    assert np.array_equal(data.train["y"], y)
    assert train(np.zeros((4, 1)), y, scale_target="standard").train["y"].std() == pytest.approx(1)


def test_without_y_the_task_is_unsupervised():
    data = train(np.zeros((4, 2)))
    assert data.task == "unsupervised"
    assert set(data.train) == {"x"}
    assert data.sizes == {"features": 2}


def test_sample_weights_pass_as_numbers():
    data = train({"x": np.zeros((3, 1)), "sample_weight": [1, 2, 0]}, [0, 1, 0])
    assert data.train["sample_weight"].tolist() == [1, 2, 0]
    assert "sample_weight" not in data.preprocessing.transform({"x": [[0]]}, with_target=False)


@pytest.mark.parametrize(
    ("x", "y", "error", "words"),
    [
        (np.zeros((3, 1)), [0, 1], DataError, "x has 3, y has 2"),
        (np.array([[0.0], [np.nan]]), None, DataError, r"x contains 1 NaN or infinite values, the first at \(1, 0\)"),
        (np.array([[np.inf]]), None, DataError, "NaN or infinite"),
        (np.zeros((0, 2)), None, DataError, "x has no rows"),
        (np.array(["a"]), None, DataTypeError, "expected an array of numbers"),
        (np.array([{}], object), None, DataTypeError, "expected an array of numbers"),
        (np.zeros(2, complex), None, DataTypeError, "expected an array of numbers"),
        ({"z": [1]}, None, DataError, "no array 'x'; have: z"),
        (np.zeros((2, 1)), [{}, {}], DataError, "column 'y' contains"),
        (np.zeros((2, 1)), np.array(["a", 1.5], object), DataTypeError, "several types"),
        ([[1.0], [1.0, 2.0]], None, DataTypeError, "x: rows of different lengths"),
        (np.zeros((2, 1)), [[1], [1, 2]], DataTypeError, "y: rows of different lengths"),
        (np.zeros((2, 1)), np.zeros((2, 2, 2)), DataError, "y: expected"),
        ({"x": [[0.0]], "ids": [2**40]}, None, DataError, "ids contains integers that do not fit in 32 bits"),
        ({"x": [[0.0]], "sample_weight": [-1]}, None, DataError, "negative weight"),
        ({"x": [[0.0]], "sample_weight": [0]}, None, DataError, "every weight is 0"),
        ([[1e300]], None, DataError, "too large for a 32-bit number"),
    ],
)
def test_arrays_that_cannot_be_used_are_reported(x, y, error, words):
    with pytest.raises(error, match=words):
        train(x, y)


def test_fractions_are_not_class_labels():
    with pytest.raises(DataTypeError, match="class labels in 'y' are fractions"):
        train(np.zeros((4, 1)), [0.5, 1.5, 0.5, 1.5], task="binary")


def test_a_validation_part_is_passed_separately():
    x, y = np.zeros((20, 1)), np.arange(20) % 2
    data = from_arrays(x, y, valid=(x[:5], y[:5]), test=(x[:3], y[:3]))
    assert data.rows == {"train": 20, "valid": 5, "test": 3}


def test_an_unseen_label_is_an_error_on_the_host():
    x = np.zeros((4, 1))
    with pytest.raises(LabelError, match="row 2, column 'y': unseen label 'z'"):
        from_arrays(x, list("abab"), valid=(x[:2], ["a", "z"]), settings=DataSettings(split=ALL))
    with pytest.raises(LabelError, match="unseen label '7'"):
        from_arrays(x, [0, 1, 2, 0], valid=(x[:1], [7]), settings=DataSettings(split=ALL, task="multiclass"))


def test_prediction_checks_the_shape_and_the_names():
    preprocessing = train(np.zeros((4, 2)), [0, 1, 0, 1]).preprocessing
    with pytest.raises(ShapeError, match=r"expected rows of shape \(2,\), got \(3,\)"):
        preprocessing.transform(np.zeros((1, 3)), with_target=False)
    with pytest.raises(DataError, match="extra array 'z'"):
        preprocessing.transform({"x": np.zeros((1, 2)), "z": [1]}, with_target=False)
    with pytest.raises(DataError, match="no array 'y'"):
        preprocessing.transform(np.zeros((1, 2)), with_target=True)


def test_arrays_have_no_column_to_split_by():
    with pytest.raises(ConfigError, match="arrays have no columns"):
        from_arrays(np.zeros((20, 1)), settings=DataSettings(split=SplitSettings(method="group", column="g")))


def test_the_digest_changes_with_any_value():
    x = np.zeros((4, 2))
    y = np.array([0, 1, 0, 1])
    other_x, other_y = x.copy(), y.copy()
    other_x[3, 1], other_y[3] = 1e-9, 0
    digests = {train(*pair).digest for pair in ((x, y), (other_x, y), (x, other_y))}
    assert len(digests) == 3
    assert train(x, y).digest == train(x.copy(), y.copy()).digest


def test_an_archive_may_contain_its_own_validation_part(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30) % 3
    np.savez(tmp_path / "d.npz", x=x, y=y, x_valid=x[:6], y_valid=y[:6], ids=np.arange(30), ids_valid=np.arange(6))
    data = load(DataSettings(path="d.npz"), tmp_path)
    assert data.rows == {"train": 30, "valid": 6}
    assert data.task == "multiclass"
    assert data.train["y"].dtype == np.int32
    assert data.valid["ids"].tolist() == list(range(6))


def test_an_array_file_takes_its_target_from_another(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((30, 2)))
    np.save(tmp_path / "y.npy", np.array(["a", "b"] * 15))
    data = load(DataSettings(path="x.npy", target="y.npy"), tmp_path)
    assert data.classes == ("a", "b")
    assert data.rows == {"train": 22, "valid": 4, "test": 4}
    assert load(DataSettings(path="x.npy"), tmp_path).task == "unsupervised"


def test_an_array_named_as_target_must_exist(tmp_path):
    np.savez(tmp_path / "d.npz", x=np.zeros((4, 1)), z=np.zeros(4))
    with pytest.raises(DataError, match="no array 'label'; have: x, z"):
        load(DataSettings(path="d.npz", target="label"), tmp_path)
