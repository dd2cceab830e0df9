import numpy as np
import polars as pl

from retrograd.data.dataset import from_arrays, from_frame
from retrograd.data.settings import DataSettings
from retrograd.data.split.settings import SplitSettings

ALL = DataSettings(split=SplitSettings(method="none"))


def test_rows_keep_their_numbers_in_the_data_through_cleaning_and_split():
    frame = pl.DataFrame({"n": np.sqrt(np.arange(40)), "kind": [None, "a", "b", *["a", "b"] * 18, None]})
    dataset = from_frame(frame, "kind")
    (part,) = dataset.seen
    rows = dataset.seen[part]
    assert part == "test"
    numbers = [int(rows.place(i).removeprefix("row ")) for i in range(dataset.rows["test"])]
    assert [rows.cells(i) for i in range(len(numbers))] == [{"n": f"{(number - 1) ** 0.5:.6g}"} for number in numbers]
    assert not {1, 40} & set(numbers)


def test_rows_of_arrays_keep_their_numbers_too():
    x = np.arange(60.0).reshape(30, 2)
    dataset = from_arrays(x, np.arange(30) % 2)
    rows = dataset.seen["test"]
    for i in range(dataset.rows["test"]):
        row = int(rows.place(i).removeprefix("row ")) - 1
        assert rows.cells(i) == {"x1": f"{x[row, 0]:.6g}", "x2": f"{x[row, 1]:.6g}"}


def test_columns_that_are_the_pixels_of_a_square_are_a_picture():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 17, (12, 8, 8))
    columns = {f"p_{i}_{j}": pixels[:, i, j] for i in range(8) for j in range(8)}
    rows = from_frame(pl.DataFrame({**columns, "y": [0, 1] * 6}), "y", settings=ALL).seen["train"]
    assert np.array_equal(rows.picture(5), pixels[5])
    assert rows.cells(5) == {}
    assert np.array_equal(
        from_arrays(pixels.reshape(12, 64), [0, 1] * 6, settings=ALL).seen["train"].picture(3), pixels[3]
    )


def test_columns_whose_number_happens_to_be_a_square_are_cells():
    columns = {name: [0.1, 0.2, 0.3] for name in ("height", "width", "depth", "weight")}
    rows = from_frame(pl.DataFrame({**columns, "y": [1.0, 2.0, 3.0]}), "y", settings=ALL).seen["train"]
    assert rows.picture(0) is None
    assert list(rows.cells(0)) == ["height", "width", "depth", "weight"]


def test_long_cells_are_truncated():
    dataset = from_frame(
        {"words": ["x" * 500, "y", "z"], "n": [1.0, 2.0, 4.0], "y": [1.0, 2.0, 3.0]}, "y", settings=ALL
    )
    assert all(len(cell) <= 120 for cell in dataset.seen["train"].cells(0).values())
