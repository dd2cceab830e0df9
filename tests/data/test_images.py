"""Images from folders, tables and arrays, decoded to one form, with masks and boxes; faults are named."""

import json
import warnings

import numpy as np
import pytest
from PIL import Image

from retrograd.base.errors import DataError, LabelError, ResourceError
from retrograd.data.cells.precision import reading_in
from retrograd.data.dataset import from_arrays, load
from retrograd.data.images.decoding import Form, decode
from retrograd.data.images.pixels import PixelColumn
from retrograd.data.images.settings import ImageSettings
from retrograd.data.preprocessing import Preprocessing
from retrograd.data.settings import DataSettings
from retrograd.data.source import read_file

RNG = np.random.default_rng(0)
FORM = Form(4, 6, "rgb", "stretch", 10_000, 1 << 20)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)
    return path


@pytest.fixture
def classes(tmp_path):
    """A folder with 12 images of 4 x 6 pixels in two classes; the pixels by path."""
    saved = {}
    for i in range(12):
        pixels = RNG.integers(0, 256, (4, 6, 3))
        saved[save(tmp_path / "set" / ("cat" if i % 3 else "dog") / f"{i:02}.png", pixels)] = pixels
    return tmp_path / "set", saved


def test_a_folder_of_classes_gives_pixels_and_labels_in_the_order_of_the_paths(classes):
    folder, pixels = classes
    dataset = load(DataSettings(path=str(folder), images={"size": [4, 6]}, split={"method": "none"}))
    assert (dataset.task, dataset.classes) == ("binary", ("cat", "dog"))
    in_order = sorted(pixels)
    np.testing.assert_array_equal(dataset.train["x"], np.stack([pixels[p] for p in in_order]).astype(np.float32) / 255)
    np.testing.assert_array_equal(dataset.train["y"][:, 0], [path.parent.name == "dog" for path in in_order])


def test_images_too_large_for_memory_decode_to_the_same_numbers_on_demand(classes):
    folder, _ = classes
    settings = DataSettings(path=str(folder), images={"size": 5, "memory": 10**6}, scale="standard")
    small = DataSettings(path=str(folder), images={"size": 5, "memory": 100}, scale="standard")
    whole, streamed = load(settings).train["x"], load(small).train["x"]
    assert isinstance(whole, np.ndarray)
    assert isinstance(streamed, PixelColumn)
    assert streamed.kept is None
    np.testing.assert_array_equal(whole, np.asarray(streamed))
    chosen = np.array([5, 0, 3])
    np.testing.assert_array_equal(whole[chosen], streamed[chosen])
    np.testing.assert_allclose(whole.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(whole.std((0, 1, 2)), 1, atol=1e-5)


def test_at_intermediate_sizes_pixels_are_stored_as_bytes(classes):
    folder, _ = classes
    column = load(DataSettings(path=str(folder), images={"size": 5, "memory": 12 * 75})).train["x"]
    assert isinstance(column, PixelColumn)
    assert column.kept.dtype == np.uint8


def test_every_damaged_file_is_named_before_training_begins(classes):
    folder, pixels = classes
    first, second, *_ = sorted(pixels)
    first.write_bytes(first.read_bytes()[:-40])
    second.write_text("no image")
    for memory in (10**6, 100):
        with pytest.raises(DataError) as caught:
            load(DataSettings(path=str(folder), images={"size": 4, "memory": memory}, split={"method": "none"}))
        message = str(caught.value)
        assert f"{first}: truncated image" in message
        assert f"{second}: not an image of a known kind" in message
        assert "repair or remove" in message


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".gif", ".bmp", ".webp"])
def test_a_truncated_file_of_any_kind_is_an_error_not_half_an_image(tmp_path, suffix):
    path = save(tmp_path / f"a{suffix}", RNG.integers(0, 256, (40, 40, 3)))
    assert decode(path, FORM).shape == (4, 6, 3)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"a\{suffix}: (truncated|damaged) image"):
        decode(path, FORM)


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = tmp_path / "large.png"
        Image.new("1", (20_000, 10_000)).save(path)
    for limit in (10_000, 10**9):
        with pytest.raises(DataError, match=r"more than the limit of .* pixels"):
            decode(path, Form(4, 4, "grey", "stretch", limit, 1 << 30))


def test_grey_palette_16_bit_and_rotated_images_are_converted_to_the_requested_form(tmp_path):
    grey = save(tmp_path / "grey.png", [[0, 100, 255]])
    assert decode(grey, Form(1, 3, "rgb", "stretch", 100, 1000)).tolist() == [[[0] * 3, [100] * 3, [255] * 3]]
    deep = tmp_path / "deep.png"
    Image.fromarray(np.array([[0, 256 * 100, 65535]], np.uint16)).save(deep)
    assert decode(deep, Form(1, 3, "grey", "stretch", 100, 1000))[..., 0].tolist() == [[0, 100, 255]]
    turned = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    Image.fromarray(np.array([[10, 20, 30]], np.uint8)).save(turned, exif=exif)
    assert decode(turned, Form(3, 1, "grey", "stretch", 100, 1000))[:, 0, 0].tolist() == [10, 20, 30]


def test_other_proportions_are_stretched_cropped_or_padded(tmp_path):
    path = save(tmp_path / "wide.png", np.tile(np.repeat([10, 200, 60], 4), (4, 1)))
    decoded = {fit: decode(path, Form(4, 4, "grey", fit, 100, 1000))[..., 0] for fit in ("stretch", "crop", "pad")}
    assert decoded["crop"].tolist() == [[200] * 4] * 4
    assert decoded["pad"][0].tolist() == [0] * 4
    assert decoded["stretch"].min() > 0


def test_a_table_of_paths_contains_labels_or_quantities_and_is_predicted_without_them(tmp_path):
    for i in range(12):
        save(tmp_path / "in" / f"{i}.png", np.full((2, 2, 3), i))
    lines = "\n".join(f"in/{i}.png,{i * 1.5}" for i in range(12))
    (tmp_path / "all.csv").write_text(f"file,age\n{lines}\n")
    dataset = load(DataSettings(path=str(tmp_path / "all.csv"), images={"size": 2, "color": "grey"}, scale="none"))
    assert dataset.task == "regression"
    restored = dataset.preprocessing.target.scaling.undo(dataset.train["y"])
    np.testing.assert_allclose(restored[:, 0], dataset.train["x"][:, 0, 0, 0] * 1.5, atol=1e-5)
    (tmp_path / "new.csv").write_text("file\nin/7.png\n")
    columns = dataset.preprocessing.transform(read_file(tmp_path / "new.csv", DataSettings()), with_target=False)
    assert columns["x"].max() == 7
    with pytest.raises(DataError, match=r"no column 'age'|no labels"):
        dataset.preprocessing.transform(read_file(tmp_path / "new.csv", DataSettings()), with_target=True)


def test_a_path_that_is_missing_is_named(tmp_path):
    (tmp_path / "all.csv").write_text("path,label\n" + "nowhere.png,a\n" * 6 + "nowhere.png,b\n" * 6)
    with pytest.raises(DataError, match=r"nowhere.png: not found.*"):
        load(DataSettings(path=str(tmp_path / "all.csv"), images={}))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "no images"),
        (lambda folder: (save(folder / "a.png", [[0]]), save(folder / "b" / "c.png", [[0]])), "next to class folders: "),
        (lambda folder: (save(folder / "images" / "a.png", [[0]]), save(folder / "masks" / "b.png", [[0]])),
         "without a mask: .*a.png"),
        (lambda folder: (save(folder / "images" / "a.png", [[0]]), save(folder / "masks" / "a.png", [[[0, 0, 0]]])),
         "the mask has pixels of kind RGB"),
    ],
)  # fmt: skip
def test_a_folder_with_other_contents_is_refused(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(DataError, match=message):
        load(DataSettings(path=str(tmp_path), images={"size": 1}))


def test_masks_are_resized_without_mixing_classes_and_come_back_as_pixel_values(tmp_path):
    for i in range(12):
        mask = np.zeros((8, 8))
        mask[:, i % 8 :] = 255
        save(tmp_path / "images" / f"{i}.jpg", mask)
        save(tmp_path / "masks" / f"{i}.png", mask)
    dataset = load(DataSettings(path=str(tmp_path), images={"size": 4, "color": "grey"}, split={"method": "none"}))
    assert (dataset.task, dataset.sizes["classes"]) == ("segmentation", 2)
    y = dataset.train["y"]
    assert (y.dtype, y.shape, set(np.unique(y))) == (np.int32, (12, 4, 4), {0, 1})
    decoded = dataset.preprocessing.decode(np.eye(2)[y])
    assert set(np.unique(decoded.labels)) == {0, 255}
    save(tmp_path / "masks" / "0.png", np.full((8, 8), 7))
    with pytest.raises(LabelError, match="unknown pixel value 7"):
        dataset.preprocessing.transform(read_file(tmp_path, DataSettings(images={})), with_target=True)


def test_stacks_of_images_masks_and_boxes_are_read_from_npz(tmp_path):
    x = RNG.integers(0, 256, (12, 6, 4, 3), dtype=np.uint8)
    masks = RNG.integers(0, 3, (12, 6, 4))
    np.savez(tmp_path / "masks.npz", x=x, y=masks, x_valid=x[:2], y_valid=masks[:2])
    dataset = load(DataSettings(path=str(tmp_path / "masks.npz"), images={}, split={"method": "none"}))
    np.testing.assert_array_equal(dataset.train["y"], masks)
    np.testing.assert_array_equal(dataset.valid["x"], x[:2] / np.float32(255))
    boxes = np.tile([0.0, 0.0, 2.0, 3.0], (12, 1, 1))
    np.savez(tmp_path / "boxes.npz", x=x, boxes=boxes, labels=np.zeros((12, 1), int))
    dataset = load(DataSettings(path=str(tmp_path / "boxes.npz"), images={"grid": 2}, split={"method": "none"}))
    assert dataset.train["cell_filled"][:, 0, 0].all()
    np.testing.assert_allclose(dataset.train["cell_box"][:, 0, 0], np.tile([0.5, 0.5, 0.5, 0.5], (12, 1)))


def test_boxes_survive_a_round_trip_through_cells(tmp_path):
    save(tmp_path / "a.png", np.zeros((20, 40, 3)))
    save(tmp_path / "b.png", np.zeros((20, 40, 3)))
    (tmp_path / "boxes.csv").write_text(
        "path,x_min,y_min,x_max,y_max,label\n"
        "a.png,2,2,8,8,cup\na.png,30,10,40,20,dog\na.png,31,11,39,19,cup\nb.png,,,,,\n"
    )
    settings = DataSettings(path=str(tmp_path / "boxes.csv"), images={"size": 16, "grid": 2}, split={"method": "none"})
    dataset = load(settings)
    assert (dataset.task, dataset.sizes["classes"]) == ("detection", 2)
    assert any("1 of 3 objects share a cell" in note for note in dataset.notes)
    columns = dataset.train
    assert columns["cell_class"].tolist() == [[[0, -1], [-1, 1]], [[-1, -1], [-1, -1]]]  # the larger object is kept
    logits = np.where(columns["cell_object"] > 0, 9.0, -9.0)
    classes = np.where(columns["cell_class"][..., None] == np.arange(2), 9.0, -9.0)
    decoded = dataset.preprocessing.decode(np.concatenate([logits, columns["cell_box"], classes], -1))
    assert [len(own) for own in decoded.boxes] == [2, 0]
    in_pixels = decoded.boxes[0][:, :4] * [40, 20, 40, 20]
    np.testing.assert_allclose(sorted(in_pixels.tolist()), [[2, 2, 8, 8], [30, 10, 40, 20]], atol=1e-4)


@pytest.mark.parametrize("row", ["a.png,5,2,4,8,cup", "a.png,1,,4,8,cup", "a.png,1,2,4,8,"])
def test_an_impossible_box_is_named_with_its_line(tmp_path, row):
    save(tmp_path / "a.png", np.zeros((9, 9, 3)))
    (tmp_path / "b.csv").write_text(f"path,x_min,y_min,x_max,y_max,label\na.png,1,1,2,2,cup\n{row}\n")
    with pytest.raises(DataError, match=r"b.csv:3: line 3: a box without"):
        load(DataSettings(path=str(tmp_path / "b.csv"), images={"grid": 2}))


def test_preprocessing_of_images_survives_json(classes):
    folder, _ = classes
    dataset = load(DataSettings(path=str(folder), images={"size": 4}, scale="standard"))
    again = Preprocessing.from_json(json.loads(json.dumps(dataset.preprocessing.to_json())))
    assert again == dataset.preprocessing
    rows = read_file(next(iter(sorted(folder.rglob("*.png")))), DataSettings())
    expected = dataset.preprocessing.transform(rows, with_target=False)["x"]
    np.testing.assert_array_equal(again.transform(rows, with_target=False)["x"], expected)


def test_arrays_of_pixels_are_images_when_the_settings_say_so():
    x, y = RNG.integers(0, 256, (12, 5, 5), dtype=np.uint8), np.arange(12) % 2
    dataset = from_arrays(x, y, settings=DataSettings(images={"color": "grey"}, split={"method": "none"}))
    np.testing.assert_array_equal(dataset.train["x"][..., 0], x / np.float32(255))
    with pytest.raises(DataError, match="finite values, or integers from 0 to 255 or 65535"):
        from_arrays(np.where(x > 9, np.nan, 1.0), y, settings=DataSettings(images={}))


def test_pixels_are_read_in_the_precision_of_the_run():
    pixels = np.full((12, 2, 2), 51, np.uint8)
    with reading_in("float64"):
        x = from_arrays(pixels, [0, 1] * 6, settings=DataSettings(images=ImageSettings(color="grey"), scale={"divide": 255.0})).train["x"]  # fmt: skip
    assert x.dtype == np.float64
    assert (np.asarray(x) == 51 / 255).all()


def test_a_grid_that_would_fill_memory_is_refused_before_it_is_allocated():
    with pytest.raises(ResourceError, match=r"data\.images\.grid: grids of 30000 x 30000 cells would take"):
        load(DataSettings(builtin="shapes", images=ImageSettings(grid=30_000)))
