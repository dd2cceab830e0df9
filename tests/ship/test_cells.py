"""The preprocessing inside a file: its results for rows as a user would pass them."""

import json
from datetime import date

import numpy as np
import polars as pl
import pytest

import retrograd as rg

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from retrograd.ship.onnx.session import run, session

ROWS = 60
DAYS = [date(2020 + i % 4, 1 + i % 12, 1 + i % 28) for i in range(ROWS)]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A model of all kinds of columns, its file, and the frame it was trained on."""
    folder = tmp_path_factory.mktemp("cells")
    rng = np.random.default_rng(0)
    area = rng.normal(1e9, 3, ROWS)
    frame = pl.DataFrame({
        "floor area": area,
        'the "city"': [["Berlin", "Rome, old", "Ös"][i % 3] for i in range(ROWS)],
        "garden": [["yes", "no"][i % 5 > 2] for i in range(ROWS)],
        "sold": DAYS,
        "age": [None if i % 7 == 0 else float(i) for i in range(ROWS)],
        "price": 1000 + 20 * (area - 1e9) + np.arange(ROWS),
    })  # fmt: skip
    settings = rg.DataSettings(scale_target="standard", kinds={"garden": "boolean"})
    trained = rg.fit(frame, target="price", network=[rg.Dense(4, "tanh"), rg.Dense(1)], epochs=1, root=folder,
                     progress=False, data=settings)  # fmt: skip
    return trained, rg.export(trained, folder / "m.onnx"), frame


def test_every_column_is_an_input_with_its_name(house):
    _, exported, _ = house
    assert [name for name, _, _ in exported.inputs] == ["floor area", 'the "city"', "garden", "sold", "age"]
    assert [kind for _, kind, _ in exported.inputs] == ["double", "string", "string", "double", "double"]


def test_rows_with_gaps_unseen_words_and_unreadable_cells_are_predicted_and_reported(house):
    trained, exported, _ = house
    running = session(exported.path)
    outputs = run(running, {
        "floor area": np.array([1e9 + 1.25, np.nan, 1e9, np.inf]),
        'the "city"': np.array(["Rome, old", "", "Atlantis", "Berlin"], object),
        "garden": np.array(["YES", "", "no", "perhaps"], object),
        "sold": np.array([(date(2021, 5, 17) - date(1970, 1, 1)).days, np.nan, 18000.0, 19000.0]),
        "age": np.array([3.0, np.nan, 1.0, np.nan]),
    })  # fmt: skip
    frame = pl.DataFrame({
        "floor area": [1e9 + 1.25, None, 1e9, None],
        'the "city"': ["Rome, old", None, "Atlantis", "Berlin"],
        "garden": ["YES", None, "no", None],
        "sold": [date(2021, 5, 17), None, date(2019, 4, 14), date(2022, 1, 8)],
        "age": [3.0, None, 1.0, None],
    })  # fmt: skip
    np.testing.assert_allclose(outputs["values"][:, 0], trained.predict(frame), rtol=1e-7)  # a float32's last bit
    assert outputs["cells"].tolist() == [[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 2, 0, 0, 0], [3, 0, 3, 0, 1]]


def test_the_model_file_reads_cells_as_a_csv_file_contains_them(house, tmp_path):
    trained, _, _ = house
    exported = rg.export(trained, tmp_path / "text.onnx", cells="text")
    assert exported.inputs == (("rows", "string", ("batch", 5)),)
    rows = [
        ["1000000001.25", "Rome, old", "YES", "2021-05-17", "3"],
        ["", "", "", "", ""],
        ["1e9", "Atlantis", "no", "2020-02-29", "+1.0"],
        ["1,5", "Berlin", "perhaps", "2021-02-29", "1e999"],
        ["-.5", "Ös", "f", "1969-12-31", "7."],
    ]
    frame = pl.DataFrame({
        "floor area": [1e9 + 1.25, None, 1e9, None, -0.5],
        'the "city"': ["Rome, old", None, "Atlantis", "Berlin", "Ös"],
        "garden": ["YES", None, "no", None, "f"],
        "sold": [date(2021, 5, 17), None, date(2020, 2, 29), None, date(1969, 12, 31)],
        "age": [3.0, None, 1.0, None, 7.0],
    })  # fmt: skip
    outputs = run(session(exported.path), {"rows": np.array(rows, object)})
    np.testing.assert_allclose(outputs["values"][:, 0], trained.predict(frame), rtol=1e-7)  # a float32's last bit
    assert outputs["cells"].tolist() == [[0] * 5, [1] * 5, [0, 2, 0, 0, 0], [3, 0, 3, 3, 3], [0] * 5]


def test_the_file_says_how_its_cells_are_read(house):
    _, exported, _ = house
    metadata = {entry.key: json.loads(entry.value) for entry in onnx.load(exported.path).metadata_props}
    assert metadata["columns"][::4] == ["floor area", "age"]  # numbers
    assert [column["kind"] for column in metadata["columns"][1:4]] == ["category", "boolean", "date"]
    assert metadata["columns"][1]["words"] == ["Berlin", "Rome, old", "Ös"]
    assert metadata["columns"][3]["unit"] == "days since 1970-01-01"


def test_a_table_of_numbers_is_one_input(tmp_path):
    x = np.random.default_rng(1).normal(100, 5, (50, 3))
    frame = pl.DataFrame({**{f"c{i}": x[:, i] for i in range(3)}, "kind": ["ab"[int(row.sum() > 300)] for row in x]})
    trained = rg.fit(frame, target="kind", network=[rg.Dense("classes")], epochs=1, root=tmp_path, progress=False)
    exported = rg.export(trained, tmp_path / "m.onnx")
    assert exported.inputs == (("rows", "double", ("batch", 3)),)
    outputs = run(session(exported.path), {"rows": x})
    np.testing.assert_allclose(outputs["probabilities"], trained.predict_proba(frame), atol=1e-6)
    assert outputs["label"].tolist() == trained.predict(frame).tolist()


def test_images_are_input_as_pixels(tmp_path):
    pixels = np.random.default_rng(2).integers(0, 256, (30, 6, 6, 3)).astype(np.uint8)
    labels = (pixels.mean((1, 2, 3)) > 127).astype(int)
    network = [rg.Conv2D(2), rg.GlobalAveragePool(), rg.Dense("classes")]
    trained = rg.fit(pixels, labels, network=network, epochs=1, root=tmp_path, progress=False,
                     data=rg.DataSettings(images=rg.ImageSettings()))  # fmt: skip
    exported = rg.export(trained, tmp_path / "m.onnx")
    assert exported.inputs == (("image", "uint8", ("batch", 6, 6, 3)),)
    outputs = run(session(exported.path), {"image": pixels})
    np.testing.assert_allclose(outputs["probabilities"], trained.predict_proba(pixels), atol=1e-6)


def test_texts_are_input_as_token_ids_of_the_vocabulary_in_the_metadata(tmp_path):
    texts = ["good fine good", "bad poor", "fine good", "poor bad bad"] * 8
    network = [
        rg.Embedding(4, "tokens"),
        rg.named(rg.GlobalAveragePool(), "mean", inputs=["embedding_1", "mask"]),
        rg.Dense("classes"),
    ]
    trained = rg.fit(texts, [1, 0, 1, 0] * 8, network=network, epochs=1, root=tmp_path, progress=False,
                     data=rg.DataSettings(text=rg.TextSettings(unit="words")))  # fmt: skip
    exported = rg.export(trained, tmp_path / "m.onnx")
    metadata = {entry.key: json.loads(entry.value) for entry in onnx.load(exported.path).metadata_props}["text"]
    ids = np.zeros((2, metadata["length"]), np.int32)
    for row, text in zip(ids, ["good fine", "strange bad"], strict=True):
        words = [
            metadata["first"] + metadata["tokens"].index(w) if w in metadata["tokens"] else metadata["unknown"]
            for w in text.split()
        ]
        row[: len(words)] = words
    probabilities = run(session(exported.path), {"x": ids})["probabilities"]
    np.testing.assert_allclose(probabilities, trained.predict_proba(["good fine", "strange bad"]), atol=1e-6)


def test_windows_are_input_as_the_cells_of_their_rows(tmp_path):
    wave = np.sin(np.arange(90) / 5) * 40 + 200
    frame = pl.DataFrame({"load": wave, "open": [["yes", "no"][i // 7 % 2] for i in range(90)]})
    data = rg.DataSettings(windows=rg.WindowSettings(history=6, horizon=2))
    trained = rg.fit(frame, target="load", network=[rg.Flatten(), rg.Dense("targets")], epochs=1, root=tmp_path,
                     progress=False, data=data)  # fmt: skip
    exported = rg.export(trained, tmp_path / "m.onnx")
    assert exported.inputs == (("load", "double", ("batch", 6)), ("open", "string", ("batch", 6)))
    fed = {"load": wave[None, -6:], "open": frame["open"].to_numpy()[None, -6:].astype(object)}
    outputs = run(session(exported.path), fed)
    np.testing.assert_allclose(outputs["values"], trained.predict(frame)[-1:], rtol=1e-6)  # float32 sums
    assert outputs["cells"].shape == (1, 6, 2)
