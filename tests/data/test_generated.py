"""Built-in images, sequences and texts: reproducible, and their stated properties are true."""

import numpy as np
import pytest

from retrograd.data.builtin.generated import SPECIAL, english, german, reviews, shapes, tales
from retrograd.data.dataset import load
from retrograd.data.settings import DataSettings


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("shapes", {"images": {"color": "grey"}}),
        ("shapes", {"images": {"grid": 4}}),
        ("waves", {}),
        ("tones", {"audio": {"bands": 4}}),
        ("demand", {"windows": {"history": 5}}),
        ("number_words", {"text": {"column": "english", "answer": "german"}}),
        ("reviews", {"text": {}}),
        ("tales", {"text": {"next": True}}),
    ],
)
def test_the_same_seed_gives_the_same_data_and_another_seed_others(name, section):
    first, again, other = (load(DataSettings(builtin=name, samples=120, seed=seed, **section)) for seed in (1, 1, 2))
    assert first.digest == again.digest != other.digest
    for column in first.train:
        np.testing.assert_array_equal(np.asarray(first.train[column]), np.asarray(again.train[column]))
    assert first.valid is not None
    assert set(SPECIAL) >= {name}


def test_boxes_fit_their_masks():
    images = shapes(np.random.default_rng(0), 20, 0.0)
    for mask, objects in zip(images.masks, images.objects, strict=True):
        area = np.zeros(mask.shape, bool)
        for box in objects:
            place = slice(int(box.y_min), int(box.y_max)), slice(int(box.x_min), int(box.x_max))
            inside = mask[place] > 0
            assert inside.any(0).all()  # the object reaches every edge of its box
            assert inside.any(1).all()
            area[place] = True
        assert not mask[~area].any()


@pytest.mark.parametrize(
    ("number", "words", "worte"),
    [
        (0, "zero", "null"),
        (1, "one", "eins"),
        (42, "forty two", "zwei und vierzig"),
        (101, "one hundred one", "ein hundert eins"),
        (1021, "one thousand twenty one", "ein tausend ein und zwanzig"),
        (9316, "nine thousand three hundred sixteen", "neun tausend drei hundert sechzehn"),
    ],
)
def test_numbers_in_words(number, words, worte):
    assert (english(number), german(number)) == (words, worte)


def test_every_number_has_words_of_its_own():
    for name in (english, german):
        assert len({name(number) for number in range(10_000)}) == 10_000


def test_not_reverses_the_mood_of_a_word():
    table = reviews(np.random.default_rng(0), 200, 0.0).frame
    moods = {(" not " in text, "lovely" in text, mood) for text, mood in table.rows() if " and " not in text}
    assert (True, True, "bad") in moods
    assert (True, True, "good") not in moods


def test_no_model_of_the_tales_can_be_better_than_the_perplexity_stated():
    corpus = tales(np.random.default_rng(0), 4000, 0.0)
    characters = sum(map(len, corpus.pieces)) / 4000
    assert round(float(np.exp(np.log(5 * 6 * 9 * 4) / characters)), 3) == 1.194
    assert len(set(corpus.pieces)) <= 1080
