"""Runs on images, texts and windows: the same numbers from memory and from files; models store their data's form."""

import numpy as np
import pytest
from PIL import Image

import retrograd as rg
from retrograd.record.tree import digest
from retrograd.training.prepare import prepare


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for i in range(18):
        (root / "set" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 100, (6, 6)) + 100 * (i % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(root / "set" / "ab"[i % 2] / f"{i:02}.png")
    return root


def images(folder, memory):
    config = {
        "data": {"path": str(folder / "set"), "images": {"size": 6, "color": "grey", "memory": memory}},
        "network": ["flatten", {"dense": 1}],
        "training": {"epochs": 3, "batch_size": 4},
        "optimizer": {"adam": 0.01},
    }
    return rg.train(config, root=folder / "runs")


def test_images_decoded_ahead_and_images_in_memory_train_to_the_same_weights_bit_for_bit(folder):
    streamed, stored = images(folder, memory=36), images(folder, memory=14 * 36)
    assert digest(streamed.model.variables.params) == digest(stored.model.variables.params)
    assert streamed.scores == stored.scores


def test_a_model_of_images_predicts_a_folder_without_labels_one_file_or_an_array(folder):
    run = images(folder, memory=10**6)
    model = rg.load(run.folder)
    (folder / "new").mkdir()
    for name in ("00", "01"):
        source = next((folder / "set").rglob(f"{name}.png"))
        (folder / "new" / source.name).write_bytes(source.read_bytes())
    predicted = model.predict(folder / "new")
    np.testing.assert_array_equal(predicted, run.predict(folder / "set")[[0, 9]])
    assert model.predict(folder / "new" / "01.png")[0] == predicted[1]
    pixels = np.asarray(Image.open(folder / "new" / "01.png"))[None]
    assert model.predict(pixels)[0] == predicted[1]
    assert model.evaluate(folder / "set")["accuracy"] == pytest.approx(
        np.mean(run.predict(folder / "set") == ["a"] * 9 + ["b"] * 9)
    )
    with pytest.raises(rg.DataError, match="no labels"):
        model.evaluate(folder / "new")


def test_a_model_of_windows_forecasts_what_follows_the_last_row(tmp_path):
    lines = "\n".join(f"{i},{i % 4}" for i in range(60))
    (tmp_path / "s.csv").write_text(f"t,v\n{lines}\n")
    config = {
        "data": {"path": str(tmp_path / "s.csv"), "windows": {"history": 4, "time": "t"}},
        "network": ["flatten", {"dense": "targets"}],
        "training": {"epochs": 300, "batch_size": "all", "early_stopping": None},
        "optimizer": {"adam": 0.05},
    }
    model = rg.load(rg.train(config, root=tmp_path).folder)
    forecast = model.predict(tmp_path / "s.csv")
    assert len(forecast) == 57
    np.testing.assert_allclose(forecast[-1], 0, atol=0.05)  # 60 % 4


def test_a_language_model_without_its_table_of_settings_still_reads_text_files(tmp_path):
    text = "abab" * 50
    run = rg.fit(
        [text],
        network=[rg.Embedding(4, "tokens"), rg.named(rg.GRU(4, output="sequence"), "gru"), rg.Dense("classes")],
        data=rg.DataSettings(text={"next": True, "unit": "characters", "length": 8}),
        epochs=30, batch_size=4, optimizer={"adam": 0.05}, root=tmp_path,
    )  # fmt: skip
    (tmp_path / "t.txt").write_text(text)
    model = rg.load(run.folder)
    assert model.evaluate(tmp_path / "t.txt")["accuracy"] > 0.9
    assert rg.generate(model, "ab", length=6, temperature=0) == "ababab"
    assert rg.generate(model, "a", length=20, seed=1) == rg.generate(model, "a", length=20, seed=1)
    beams = rg.beam_search(model, "ab", width=2, length=4)
    assert len(beams) == 2
    assert set("".join(text for text, _ in beams)) <= {"a", "b"}
    with pytest.raises(rg.UsageError, match="retrograd generate"):
        model.predict([text])
    with pytest.raises(rg.UsageError, match="temperature"):
        rg.generate(model, "a", temperature=-1)


def test_detection_has_no_usual_loss_and_says_what_to_write(tmp_path):
    x = np.zeros((12, 4, 4), np.uint8)
    boxes = np.tile([0.0, 0.0, 2.0, 2.0], (12, 1, 1))
    np.savez(tmp_path / "b.npz", x=x, boxes=boxes, labels=np.zeros((12, 1), int))
    config = rg.RunConfig(
        data={"path": str(tmp_path / "b.npz"), "images": {"grid": 2}}, network=["flatten", {"dense": 1}]
    )
    with pytest.raises(rg.ConfigError, match=r"detection has no default loss.*cell_object"):
        prepare(config)
