"""The weights of a run in its course: written one moment after the other, read back, and taken back."""

import numpy as np
import pytest

from retrograd.base.errors import DataError, ResourceError
from retrograd.record.logs.weights import append_weights, cut_weights, read_weights


def arrays(seed):
    rng = np.random.default_rng(seed)
    shapes = {"params/a/weight": (2, 3), "params/a/bias": (3,), "state/a/count": ()}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def steps(folder):
    return [step for step, _ in read_weights(folder)]


def test_moments_come_back_and_those_after_a_step_are_taken_back(tmp_path):
    assert steps(tmp_path) == []
    cut_weights(tmp_path, 3)
    for step in (0, 4, 8, 2**40):
        append_weights(tmp_path, step, arrays(step))
    for step, found in read_weights(tmp_path):
        assert {name: array.tolist() for name, array in found.items()} == {
            name: array.tolist() for name, array in arrays(step).items()
        }
    path = tmp_path / "weights.bin"
    path.write_bytes(path.read_bytes()[:-1])  # a process died while it wrote
    assert steps(tmp_path) == [0, 4, 8]
    cut_weights(tmp_path, 4)
    append_weights(tmp_path, 9, arrays(9))
    assert steps(tmp_path) == [0, 4, 9]
    cut_weights(tmp_path, 99)
    assert steps(tmp_path) == [0, 4, 9]


@pytest.mark.parametrize("text", [b"", b"no json\n", b"[]\n", b'{"version": 2, "arrays": []}\n', b'{"version": 1}\n',
                                  b'{"version": 1, "arrays": [["a", [-1]]]}\n', b'{"version": 1, "arrays": [["a", [9999]]]}\n'])  # fmt: skip
def test_another_file_is_refused_and_begun_anew_where_a_run_continues(tmp_path, text):
    (tmp_path / "weights.bin").write_bytes(text)
    with pytest.raises(DataError, match="not the weights of a run"):
        steps(tmp_path)
    cut_weights(tmp_path, 3)
    append_weights(tmp_path, 4, arrays(4))
    assert steps(tmp_path) == [4]


def test_a_vanished_folder_is_reported(tmp_path):
    with pytest.raises(ResourceError):
        append_weights(tmp_path / "gone", 0, arrays(0))
