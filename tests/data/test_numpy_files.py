import io
import pickle
import zipfile

import numpy as np
import pytest

from retrograd.base.errors import DataError
from retrograd.data.read.numpy_files import read_npy, read_npz
from retrograd.data.settings import DataSettings


@pytest.fixture
def npy(tmp_path):
    def write_and_read(content):
        path = tmp_path / "x.npy"
        path.write_bytes(content)
        return read_npy(path, DataSettings())["x"]

    return write_and_read


def saved(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_an_array_survives_a_round_trip(npy):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert np.array_equal(npy(saved(array)), array)
    assert np.array_equal(npy(saved(np.asfortranarray(array))), array)


def test_a_header_larger_than_the_file_is_refused(npy):
    with pytest.raises(DataError, match=r"header says \(1000,\) float64 = 8,000 bytes, but the file has 7,992"):
        npy(saved(np.zeros(1000))[:-8])


def test_an_impossible_shape_is_refused_before_memory_is_allocated(npy):
    content = saved(np.zeros(10)).replace(b"(10,), }           ", b"(1099511627776,), }")
    with pytest.raises(DataError, match=r"header says \(1099511627776,\)"):
        npy(content)


def test_pickled_objects_are_never_loaded(npy, tmp_path):
    class Canary:
        def __reduce__(self):
            return (open, (str(tmp_path / "canary"), "w"))

    stream = io.BytesIO()
    np.save(stream, np.array([Canary()], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="pickled objects"):
        npy(stream.getvalue())
    with pytest.raises(DataError, match="not a NumPy array"):
        npy(pickle.dumps(Canary()))
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("array", [np.zeros(2, complex), np.zeros(2, "V8"), np.zeros(2, "M8[s]"), np.zeros(2, "i4,f4")])
def test_values_other_than_numbers_and_text_are_refused(npy, array):
    with pytest.raises(DataError, match="has values of type"):
        npy(saved(array))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x09\x09" + b" " * 50,
        b"\x93NUMPY\x01\x00\xff\xff{",
        b"\x93NUMPY\x01\x00\x03\x00{(\n",
    ],
)
def test_a_damaged_header_is_reported(npy, content):
    with pytest.raises(DataError, match="not a NumPy array file"):
        npy(content)


def test_an_archive_is_read_back_by_name(tmp_path):
    np.savez_compressed(tmp_path / "d.npz", x=np.ones((2, 3)), y=np.array(["a", "b"]))
    arrays = read_npz(tmp_path / "d.npz", DataSettings())
    assert arrays["x"].shape == (2, 3)
    assert arrays["y"].tolist() == ["a", "b"]


def test_an_archive_is_measured_before_it_is_decompressed(tmp_path):
    np.savez_compressed(tmp_path / "d.npz", x=np.zeros(10**6))
    with pytest.raises(DataError, match="--max-bytes"):
        read_npz(tmp_path / "d.npz", DataSettings(max_bytes=10**6))


def test_a_duplicate_member_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("x.npy", saved(np.zeros(2)))
        archive.writestr("x", saved(np.zeros(2)))
    with pytest.raises(DataError, match="two arrays of the same name"):
        read_npz(tmp_path / "d.npz", DataSettings())


def test_an_object_array_in_an_archive_is_refused(tmp_path):
    np.savez(tmp_path / "d.npz", x=np.array([{}], dtype=object))
    with pytest.raises(DataError, match="x: the array contains pickled objects"):
        read_npz(tmp_path / "d.npz", DataSettings())


def test_a_file_that_is_not_an_archive_is_reported(tmp_path):
    (tmp_path / "d.npz").write_bytes(b"PK nonsense")
    with pytest.raises(DataError, match=r"d\.npz: cannot be read as \.npz"):
        read_npz(tmp_path / "d.npz", DataSettings())
