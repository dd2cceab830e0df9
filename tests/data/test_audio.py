"""Sounds: WAV files of every kind, log-mel features against their definition, folders, tables, transcripts."""

import struct
import wave

import numpy as np
import pytest
import scipy.signal

from retrograd.base.errors import ConfigError, DataError
from retrograd.data.audio.mel import FLOOR, Form, edges, filters, log_mel, mel
from retrograd.data.audio.reading import sounds_of_arrays
from retrograd.data.audio.rows import Sounds, resampled
from retrograd.data.audio.wav import read_head, read_samples
from retrograd.data.cells.vocabulary import Vocabulary
from retrograd.data.dataset import from_arrays, load
from retrograd.data.preprocessing import Preprocessing
from retrograd.data.settings import DataSettings
from retrograd.data.source import read_file
from retrograd.data.texts.targets import Transcript
from retrograd.training.use.tallies import TranscriptTally, edits

RATE = 8000
FORM = Form(RATE, 2000, 200, 80, 20, 0.0, 4000.0)
RNG = np.random.default_rng(0)


def sine(hertz, seconds=0.25, rate=RATE):
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def written(path, sound, rate=RATE, channels=1):
    """Write samples from -1 to 1 in 16 bits with the standard library."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(np.round(sound * 32767).astype("<i2"), channels).tobytes())
    return path


def riff(tag, bits, data, *, channels=1, rate=RATE, extra=b"", size=None):
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits) + extra
    size = len(data) if size is None else size
    body = b"WAVE" + b"LIST" + struct.pack("<I", 3) + b"odd\0" + b"fmt " + struct.pack("<I", len(form)) + form
    body += b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def samples_in(path, most=1000):
    return read_samples(path, read_head(path), most)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_files_of_the_standard_library_are_read_as_fractions_of_full_scale(tmp_path, width, channels):
    top = 1 << (8 * width - 1)
    numbers = np.array([0, top - 1, -top, top // 2, -1, 5])
    stored = b"".join(int(n + (128 if width == 1 else 0)).to_bytes(width, "little", signed=width > 1) for n in numbers)
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(44100)
        file.writeframes(stored)
    head = read_head(tmp_path / "a.wav")
    assert (head.rate, head.channels, head.samples) == (44100, channels, 6 // channels)
    expected = (numbers / top).reshape(-1, channels).mean(1)
    np.testing.assert_array_equal(samples_in(tmp_path / "a.wav"), expected)
    np.testing.assert_array_equal(samples_in(tmp_path / "a.wav", 2), expected[:2])


def test_floating_point_numbers_and_extended_headers_are_read(tmp_path):
    path, numbers = tmp_path / "a.wav", [0.25, -1.0, 1.5]
    path.write_bytes(riff(3, 32, np.array(numbers, "<f4").tobytes()))
    np.testing.assert_array_equal(samples_in(path), numbers)
    guid = b"\x01\x00\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
    extra = struct.pack("<HHI", 22, 16, 3) + guid
    data = np.array([100, 300, -50, 50], "<i2").tobytes()
    path.write_bytes(riff(0xFFFE, 16, data, channels=2, extra=extra, size=0xFFFFFFFF))  # written to a pipe
    np.testing.assert_array_equal(samples_in(path), np.array([200, 0]) / 32768)


NAN = np.array([0, np.nan, 1], "<f4").tobytes()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"hello, this is a text", "expected a WAV file, found another kind of file"),
        (b"fLaC" + bytes(40), "found a FLAC file"),
        (riff(7, 8, b"abc"), "found mu-law, expected uncompressed"),
        (riff(1, 12, b"abcd"), "numbers of 12 bits"),
        (riff(1, 16, b"ab", rate=0), "the header is damaged: 0 samples per second"),
        (riff(1, 16, b"ab", channels=0), "0 channels"),
        (riff(1, 16, b"abcd", size=400), "truncated: 4 of 400 bytes of sound"),
        (riff(1, 16, b""), "no sound"),
        (riff(1, 16, b"abcd")[:50], "ends before the sound begins"),
        (riff(3, 32, NAN), "sample 2 is not a finite number"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_fault(tmp_path, content, words):
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        samples_in(path)
    assert caught.value.problems[0].where == str(path)
    assert caught.value.problems[0].cure
    with pytest.raises(DataError, match=words):
        load(DataSettings(path=str(path)))


def test_features_agree_with_their_definition():
    sound = RNG.standard_normal(FORM.samples)
    hann = scipy.signal.get_window("hann", FORM.window)  # periodic
    points = 2 * (len(filters(FORM)) - 1)
    _, _, spectrum = scipy.signal.stft(
        sound, RATE, hann, FORM.window, FORM.window - FORM.hop, points, boundary=None, padded=False, scaling="psd"
    )
    power = np.abs(spectrum.T) ** 2 * RATE  # a density: |X|^2 / (rate sum w^2)
    middles = [700 * (10 ** (m / 2595) - 1) for m in np.linspace(0, 2595 * np.log10(1 + 4000 / 700), FORM.bands + 2)]
    bank = np.zeros((points // 2 + 1, FORM.bands))
    for k in range(len(bank)):
        for b in range(FORM.bands):
            low, middle, high = middles[b : b + 3]
            f = k * RATE / points
            bank[k, b] = max(0, (f - low) / (middle - low) if f <= middle else (high - f) / (high - middle))
    np.testing.assert_allclose(log_mel(sound, FORM), np.log(np.maximum(power @ bank, FLOOR)), rtol=1e-9)


def test_white_noise_has_its_variance_as_power_and_silence_the_floor():
    sound = 0.3 * RNG.standard_normal(80_000)
    form = Form(RATE, len(sound), 200, 80, 20, 0.0, 4000.0)
    power = np.exp(log_mel(sound, form)).mean(0) / filters(form).sum(0)
    np.testing.assert_allclose(power, 0.09, rtol=0.1)  # 998 frames of a band: their mean varies by about 5 %
    np.testing.assert_array_equal(log_mel(np.zeros(2000), FORM), np.log(FLOOR))


@pytest.mark.parametrize("hertz", [300, 1000, 2500])
def test_a_sine_is_loudest_in_the_band_with_the_nearest_centre(hertz):
    middles = edges(FORM)[1:-1]
    nearest = np.argmin(np.abs([mel(m) - mel(hertz) for m in middles]))
    assert (log_mel(sine(hertz), FORM).argmax(1) == nearest).all()
    assert mel(1000) == pytest.approx(1000, abs=0.02)  # the definition of mel


def test_narrow_bands_lengthen_the_transform():
    narrow = Form(RATE, 2000, 50, 25, 60, 0.0, 4000.0)
    assert (filters(narrow).max(0) > 0).all()
    with pytest.raises(ConfigError, match=r"60 bands from 0 to 0\.1 Hz are too narrow"):
        filters(Form(RATE, 2000, 50, 25, 60, 0.0, 0.1))


def test_shorter_sounds_are_filled_up_longer_ones_cut_and_other_rates_resampled(tmp_path):
    files = {"a": sine(440), "long": sine(440, 0.5), "short": sine(440, 0.1), "tiny": sine(440, 0.01)}
    paths = [written(tmp_path / f"{name}.wav", sound) for name, sound in files.items()]
    paths.append(written(tmp_path / "fast.wav", sine(440, 0.25, 22050), 22050))
    features = Sounds(tuple(paths), "here").features(FORM, np.float32)
    assert features.x.shape == (5, FORM.frames, 20)
    np.testing.assert_array_equal(features.x[1], features.x[0])
    assert features.mask.sum(1).tolist() == [23, 23, 8, 1, 23]
    assert not features.x[~features.mask].any()
    np.testing.assert_array_equal(features.x[2, :8], features.x[0, :8])
    loud = features.x[0] > -8  # anything smaller is due to rounding to 16 bits
    assert np.abs(features.x[4] - features.x[0])[2:-2][loud[2:-2]].max() < 0.05  # the ends have no neighbours
    assert len(resampled(np.zeros(22050), 22050, 8000)) == 8000


def folder(root, rows=6):
    for label, hertz in (("low", 300), ("high", 1500)):
        for i in range(rows):
            sound = 0.5 * sine(hertz, 0.1 + 0.02 * i) + 0.01 * RNG.standard_normal(800 + 160 * i)
            written(root / label / f"{i}.wav", sound, channels=1 + (i == 0))
    return root


def test_a_folder_of_classes_is_standardised_band_by_band_and_survives_json(tmp_path):
    data = load(DataSettings(path=str(folder(tmp_path / "pitch")), split={"method": "none"}))
    assert (data.task, data.classes, data.rows) == ("binary", ("high", "low"), {"train": 12})
    assert "12 sounds at 8,000 samples per second: 18 frames of 40 mel bands, 0.2 seconds" in data.notes
    assert "2 of them have several channels, which are averaged" in data.notes
    x, mask = data.train["x"], data.train["mask"]
    assert (x.dtype, mask.dtype, x.shape) == (np.float32, bool, (12, 18, 40))
    assert not x[~mask].any()
    np.testing.assert_allclose(x[mask].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(x[mask].std(0), 1, atol=1e-4)
    again = Preprocessing.from_json(data.preprocessing.to_json())
    rows = read_file(tmp_path / "pitch", again.settings(DataSettings()))
    for name, column in again.transform(rows, with_target=True).items():
        np.testing.assert_array_equal(column, data.train[name])
    one = read_file(tmp_path / "pitch" / "low" / "5.wav", again.settings(DataSettings()))
    assert np.isin(again.transform(one, with_target=False)["x"], x).all()


def test_a_table_of_paths_may_have_any_target_and_folders_may_be_parts(tmp_path):
    folder(tmp_path / "in")
    lines = [f"in/{label}/{i}.wav,{hertz}" for label, hertz in (("low", 300), ("high", 1500)) for i in range(6)]
    (tmp_path / "all.csv").write_text("\n".join(["file,hertz", *lines]))
    settings = DataSettings(path=str(tmp_path / "all.csv"), audio={"bands": 8, "length": 0.15}, task="regression")
    data = load(settings)
    assert (data.task, data.train["x"].shape[1:]) == ("regression", (13, 8))
    assert "6 of them are longer and are cut (`audio: {length: ...}`)" in data.notes
    noted = load(DataSettings(path=str(tmp_path / "all.csv"))).notes
    assert "'file' contains paths of sounds, read with `audio: {column: file}`" in noted
    for part, rows in (("train", 4), ("test", 2)):
        folder(tmp_path / "parts" / part, rows)
    assert load(DataSettings(path=str(tmp_path / "parts"))).rows == {"train": 8, "test": 4}
    (tmp_path / "in" / "low" / "3.wav").write_bytes(b"")
    (tmp_path / "in" / "low" / "4.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match="file is empty") as caught:
        load(settings)
    assert "4.wav: expected a WAV file" in str(caught.value)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"high": 5000}, "5000 Hz, but 8,000 samples per second contain nothing above 4000 Hz"),
        ({"low": 4000}, "4000 Hz, but 8,000"),
        ({"hop": 30}, "30 ms would skip samples between frames of 25 ms"),
        ({"low": 500, "high": 400}, "400 Hz is not above `low`"),
        ({"transcript": "words"}, "`transcript` is set, but there are no texts"),
    ],
)
def test_unsuitable_settings_are_refused(section, words):
    sounds = [sine(440), sine(300)]
    with pytest.raises((ConfigError, DataError), match=words):
        from_arrays(sounds, settings=DataSettings(audio={"sample_rate": RATE} | section))


def test_arrays_need_a_rate_and_samples():
    whole = np.array([0, 16384, -32768], np.int16)
    assert sounds_of_arrays({"x": [whole]}, RATE, "arrays").sources[0].tolist() == [0, 0.5, -1]
    for x, rate, words in (([whole], None, "have no sample rate of their own"), ([[[1.0]]], 8000, r"expected samples"),
                           ([[np.nan]], 8000, "finite numbers from -1 to 1")):  # fmt: skip
        with pytest.raises((ConfigError, DataError), match=words):
            sounds_of_arrays({"x": x}, rate, "arrays")


TARGET = Transcript("said", Vocabulary("characters", False, ("a", "b")))


def test_a_transcript_is_the_likeliest_alignment_without_blanks():
    path = np.array([[0, 4, 4, 0, 4, 5, 5, 0], [5, 0, 0, 5, 4, 4, 4, 4]])
    outputs = np.eye(6)[path]
    valid = np.arange(8) < np.array([[8], [4]])
    assert TARGET.decode(outputs, there=valid).labels.tolist() == ["aab", "bb"]
    assert TARGET.decode(outputs).labels.tolist() == ["aab", "bba"]
    tally = TranscriptTally(TARGET)
    tally.add(outputs, {"y": np.array([[4, 4, 5], [5, 4, 0]]), "mask": valid})
    assert tally.scores(True) == {"accuracy": 0.5, "error_rate": 1 / 5}


@pytest.mark.parametrize(("text", "truth", "count"), [("", "", 0), ("", "ab", 2), ("kitten", "sitting", 3)])
def test_edits_are_counted_as_by_levenshtein(text, truth, count):
    assert edits(np.array(list(map(ord, text))), np.array(list(map(ord, truth)))) == count


def test_a_transcript_is_a_kind_of_target():
    settings = {"builtin": "tones", "samples": 40, "audio": {"transcript": "notes", "unit": "words", "bands": 8}}
    data = load(DataSettings(**settings))
    assert (data.task, data.sizes["classes"]) == ("transcription", 9)
    assert data.train["y"].shape == (28, 5)
    short = {"x": [np.zeros(400), np.zeros(460)], "y": ["c", "c c d e g a c d e g"]}  # 8 and 10 frames
    with pytest.raises(DataError, match="row 2, column 'notes': the text needs 11 steps, but there are 10"):
        data.preprocessing.transform(short, with_target=True)
    with pytest.raises(DataError, match="the sounds have no labels"):
        data.preprocessing.transform([np.zeros(4000)], with_target=True)
