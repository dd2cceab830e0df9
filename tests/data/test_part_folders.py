"""Folders of parts, and tables of image paths without image settings."""

import numpy as np
import pytest
from PIL import Image

from retrograd.base.errors import DataError, RetrogradWarning
from retrograd.data.dataset import load
from retrograd.data.read.folders import part_named
from retrograd.data.settings import DataSettings
from retrograd.data.source import read_file

RNG = np.random.default_rng(0)
SMALL = {"size": 2}


def images(folder, count):
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.fromarray(RNG.integers(0, 256, (2, 2, 3), np.uint8)).save(folder / f"{i}.png")


def classes(root, **counts):
    for name, count in counts.items():
        images(root / name / "cat", count)
        images(root / name / "dog", count)
    return root


@pytest.mark.parametrize(
    "names",
    [("train", "val", "test"), ("Training", "Validation", "TESTING"), ("training_set", "dev_set", "test_set"),
     ("seg_train", "eval", "seg_test"), ("train-images", "valid", "test images")],
)  # fmt: skip
def test_folders_named_as_parts_are_the_parts_not_the_classes(tmp_path, names):
    root = classes(tmp_path / "pets", **dict(zip(names, (7, 3, 2), strict=True)))
    data = load(DataSettings(path=str(root), images=SMALL))
    assert data.rows == {"train": 14, "valid": 6, "test": 4}
    assert data.classes == ("cat", "dog")
    assert f"valid_path: {root / names[1]}" in data.notes[0]


def test_an_archive_that_repeats_a_folder_inside_itself_is_seen_through(tmp_path):
    classes(tmp_path / "set" / "training_set", training_set=4)
    classes(tmp_path / "set" / "test_set", test_set=2)
    data = load(DataSettings(path=str(tmp_path / "set"), images=SMALL))
    assert data.rows["test"] == 4
    assert data.classes == ("cat", "dog")


def test_without_a_validation_folder_one_is_split_off(tmp_path):
    data = load(DataSettings(path=str(classes(tmp_path / "pets", train=20, test=2)), images=SMALL))
    assert data.rows == {"train": 34, "valid": 6, "test": 4}


def test_a_test_folder_without_classes_is_not_scored_and_reported(tmp_path):
    root = classes(tmp_path / "pets", train=20, val=3)
    images(root / "test", 5)
    data = load(DataSettings(path=str(root), images=SMALL))
    assert data.rows == {"train": 40, "valid": 6}
    assert "test: 5 files without class folders, so they are not scored" in data.notes[1]


def test_other_subfolders_are_classes(tmp_path):
    for name in ("train", "bus", "car"):
        images(tmp_path / "vehicles" / name, 4)
    data = load(DataSettings(path=str(tmp_path / "vehicles"), images=SMALL, split={"method": "none"}))
    assert data.classes == ("bus", "car", "train")
    assert part_named("trainer") is None
    assert part_named("validated_crops") is None


def test_two_folders_for_one_part_are_an_error_that_says_what_to_write(tmp_path):
    root = classes(tmp_path / "pets", train=4, val=2, dev=2)
    with pytest.raises(DataError, match="dev and val are both the part 'valid'"):
        load(DataSettings(path=str(root), images=SMALL))


def test_prediction_from_a_folder_of_parts_reads_the_test_part_and_says_so(tmp_path):
    root = classes(tmp_path / "pets", train=4, test=2)
    with pytest.warns(RetrogradWarning, match="its test part is read"):
        assert len(read_file(root, DataSettings())) == 4
    assert len(read_file(root / "train", DataSettings())) == 8


def test_parts_with_masks_and_parts_of_texts_are_recognised_as_well(tmp_path):
    for part, count in (("train", 6), ("val", 2)):
        for inner in ("images", "masks"):
            (tmp_path / "seg" / part / inner).mkdir(parents=True)
            for i in range(count):
                pixels = np.full((2, 2), i % 2, np.uint8)
                Image.fromarray(pixels).save(tmp_path / "seg" / part / inner / f"{i}.png")
        for label, word in (("pos", "good"), ("neg", "bad")):
            place = tmp_path / "imdb" / part / label
            place.mkdir(parents=True)
            for i in range(count):
                (place / f"{i}.txt").write_text(f"a {word} film {i}")
    data = load(DataSettings(path=str(tmp_path / "seg"), images={"size": 2, "color": "grey"}, scale={"divide": 255}))
    assert (data.task, data.rows) == ("segmentation", {"train": 6, "valid": 2})
    data = load(DataSettings(path=str(tmp_path / "imdb")))
    assert (data.classes, data.rows) == (("neg", "pos"), {"train": 12, "valid": 4})


def test_a_table_of_paths_and_labels_reads_the_images(tmp_path):
    images(tmp_path / "in", 12)
    lines = [f"in/{i}.png,{'ab'[i % 2]}" for i in range(12)]
    (tmp_path / "all.csv").write_text("\n".join(["photo,label", *lines]))
    data = load(DataSettings(path=str(tmp_path / "all.csv"), split={"method": "none"}))
    assert data.train["x"].shape == (12, 32, 32, 3)
    assert "`images: {column: photo}`" in data.notes[0]
    assert data.preprocessing.inputs.column == "photo"
    wide = [f"{line},{i}" for i, line in enumerate(lines)]
    (tmp_path / "wide.csv").write_text("\n".join(["photo,label,age", *wide]))
    data = load(DataSettings(path=str(tmp_path / "wide.csv"), split={"method": "none"}))
    assert data.train["x"].ndim == 2
    assert "`images: {column: photo}` learns from them" in data.notes[0]
