"""Training from columns in files has the same bits as training from columns in memory, and learns from sorted files."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest

import retrograd as rg
from retrograd.data.batches import BLOCK_ROWS, WINDOW_BLOCKS, block_order
from retrograd.data.mapped_columns import release
from retrograd.record.tree import digest
from retrograd.training.config.settings import TrainingSettings
from retrograd.training.loop.course import Course, Window
from retrograd.training.loop.loop import Loop
from retrograd.training.use.evaluate import Evaluator

ROWS = 1503  # with a smaller last batch


@pytest.fixture(scope="module")
def columns():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 3)).astype(np.float32)
    return {"x": x, "y": (x[:, :1] * x[:, 1:2] > 0).astype(np.float32)}


@pytest.fixture(scope="module")
def stepper():
    network = rg.Network(rg.Dense(4, "tanh"), rg.Dropout(0.1), rg.named(rg.Dense(1), "out"))
    return rg.Stepper(network, [rg.Objective("loss", rg.BinaryCrossEntropy(), ("out", "y"))], rg.Adam(0.01))


def mapped(columns, folder):
    for name, column in columns.items():
        np.save(folder / f"{name}.npy", column)
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in columns}


def trained(stepper, columns, **settings):
    settings = TrainingSettings(epochs=2, batch_size=10, early_stopping=None, **settings)
    loop = Loop(stepper, settings, columns, lambda variables: {}, False)
    first = stepper.network.init(jax.random.key(0), columns)
    fitted = loop.run(first)
    return digest(fitted.variables.params), [epoch.loss for epoch in fitted.history]


@pytest.mark.parametrize("shuffle", [True, False])
def test_columns_in_files_train_to_the_same_bits(stepper, columns, tmp_path, shuffle):
    assert trained(stepper, mapped(columns, tmp_path), shuffle=shuffle) == trained(stepper, columns, shuffle=shuffle)


def test_a_window_contains_no_more_rows_than_its_steps_use(stepper, columns, tmp_path):
    course = Course(stepper, TrainingSettings(epochs=1, batch_size=10), mapped(columns, tmp_path), False)
    course.begin(stepper, stepper.start(stepper.network.init(jax.random.key(0), columns), jax.random.key(0)))
    for stretch in course.stretches(range(1)):
        for order, portion in zip(stretch, course.portions(stretch), strict=True):
            if isinstance(portion, Window):
                assert len(portion.columns["x"]) == order.size <= 640
                assert np.array_equal(portion.columns["x"][portion.order], columns["x"][order])
            else:
                assert np.array_equal(portion["x"], columns["x"][order])


def resident_bytes(file):
    """Return how many bytes of a mapped file are resident in this process."""
    is_mapping, total = False, 0
    for line in Path("/proc/self/smaps").read_text(encoding="ascii").splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            is_mapping = line.endswith(str(file))
        elif is_mapping and line.startswith("Rss:"):
            total += 1024 * int(line.split()[1])
    return total


@pytest.mark.parametrize("mode", ["c", "r+"])
def test_changes_to_a_user_s_mapped_column_survive_its_release(tmp_path, mode):
    np.arange(5000.0, dtype=np.float32).tofile(tmp_path / "x")
    column = np.memmap(tmp_path / "x", np.float32, mode)
    column[7] = -1.0
    release({"x": column, "copy": column.copy(), "rows": column[:100], "array": np.zeros(3)})
    assert column[7] == -1.0
    assert column[8] == 8.0


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="only Linux says what is resident")
def test_a_pass_over_columns_in_files_leaves_few_of_their_pages_resident(stepper, tmp_path, monkeypatch):
    monkeypatch.setattr("retrograd.data.mapped_columns.RESIDENT_BYTES", 4 << 20)
    rows = 1 << 21
    np.save(tmp_path / "x.npy", np.ones((rows, 3), np.float32))  # 24 MiB
    np.save(tmp_path / "y.npy", np.zeros((rows, 1), np.float32))
    columns = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "xy"}
    file = tmp_path / "x.npy"
    assert columns["x"].sum() == 3 * rows
    assert resident_bytes(file) > 23 << 20
    evaluator = Evaluator(stepper.network, stepper.objectives, None)
    release(columns)
    for portion in evaluator.chunks(columns):
        assert portion["x"].all()
        assert resident_bytes(file) < 10 << 20  # the kernel also maps what surrounds a page
    assert resident_bytes(file) == 0
    assert columns["x"].sum() == 3 * rows


def order_of(rows, epoch, **settings):
    full, rest = block_order(rows, 32, 7, epoch, **settings)
    return np.concatenate([full.ravel(), *([] if rest is None else [rest])])


def test_blocks_contain_every_row_once_and_depend_on_seed_and_epoch_alone():
    rows = 3 * WINDOW_BLOCKS * BLOCK_ROWS + 1234
    order = order_of(rows, 0)
    assert np.array_equal(np.sort(order), np.arange(rows))
    assert np.array_equal(order, order_of(rows, 0))
    assert not np.array_equal(order, order_of(rows, 1))
    assert np.array_equal(order_of(100, 0, shuffle=False), np.arange(100))
    window = order[: WINDOW_BLOCKS * BLOCK_ROWS]
    assert len(np.unique(window // BLOCK_ROWS)) <= WINDOW_BLOCKS + 1
    assert window.max() - window.min() > rows / 2


def test_a_file_sorted_by_class_learns_as_a_shuffled_one(stepper, columns, tmp_path, monkeypatch):
    monkeypatch.setattr("retrograd.data.batches.BLOCK_ROWS", 32)
    monkeypatch.setattr("retrograd.data.batches.WINDOW_BLOCKS", 8)
    monkeypatch.setattr("retrograd.training.loop.course.exceeds_page_cache", lambda columns: True)
    easy = {"x": columns["x"], "y": (columns["x"][:, :1] > 0).astype(np.float32)}
    order = np.argsort(easy["y"][:, 0], kind="stable")
    in_order = mapped({name: column[order] for name, column in easy.items()}, tmp_path)
    (_, shuffled), (_, by_blocks) = trained(stepper, easy), trained(stepper, in_order)
    assert by_blocks[-1] == pytest.approx(shuffled[-1], rel=0.1)  # as seeds differ by a few per cent
    assert shuffled[-1] < 0.3
