"""Generated built-in images, sounds, sequences and texts: small, each with something to learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from retrograd.data.arrays import Arrays
from retrograd.data.audio.rows import Sounds
from retrograd.data.images.rows import Box, Images
from retrograd.data.table import Table
from retrograd.data.texts.corpus import Corpus, corpus_of

Rows = Table | Arrays | Images | Sounds | Corpus
Make = Callable[[np.random.Generator, int, float], Rows]
SIDE = 32  # pixels of an image of shapes
SHAPES = ("square", "disc", "cross")  # the mask's values 1, 2, 3; 0 is the background
WAVES = ("sine", "square", "sawtooth")
STEPS = 32  # per wave


def shapes(rng: np.random.Generator, samples: int, noise: float) -> Images:
    """Return grey images of one to three squares, discs and crosses that do not touch, with masks and boxes."""
    pictures = np.zeros((samples, SIDE, SIDE))
    masks = np.zeros((samples, SIDE, SIDE), np.uint8)
    objects = []
    for picture, mask in zip(pictures, masks, strict=True):
        objects.append(tuple(_placed(rng, picture, mask) for _ in range(rng.integers(1, 4))))
    pictures += noise * rng.standard_normal(pictures.shape)
    boxes = tuple(tuple(box for box in drawn if box is not None) for drawn in objects)
    return Images((pictures.clip(0, 1) * 255).astype(np.uint8), "shapes", masks=masks, objects=boxes)


def _placed(rng: np.random.Generator, picture: np.ndarray, mask: np.ndarray) -> Box | None:
    """Draw one shape where there is room, and return its box; None after ten failed tries."""
    for _ in range(10):
        size = int(rng.integers(7, 14))
        y, x = rng.integers(0, SIDE - size + 1, 2)
        place = slice(y, y + size), slice(x, x + size)
        if not mask[max(0, y - 1) : y + size + 1, max(0, x - 1) : x + size + 1].any():
            kind = int(rng.integers(len(SHAPES)))
            where = _drawn(kind, size)
            picture[place][where] = rng.uniform(0.5, 1)
            mask[place][where] = kind + 1
            return Box(float(x), float(y), float(x + size), float(y + size), SHAPES[kind])
    return None


def _drawn(kind: int, size: int) -> np.ndarray:
    """Return which pixels of a square belong to a shape that fills it."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    arm = max(1, size // 4)
    if kind == 1:
        inside: np.ndarray = x**2 + y**2 <= (size / 2) ** 2
    elif kind == 2:
        inside = (np.abs(x) <= arm / 2) | (np.abs(y) <= arm / 2)
    else:
        inside = np.ones((size, size), bool)
    return inside


def waves(rng: np.random.Generator, samples: int, noise: float) -> Arrays:
    """Return noisy waves [samples, steps, 1] of three forms, with random phases and one to three periods."""
    label = np.arange(samples) % len(WAVES)
    periods, phase = rng.uniform(1, 3, (samples, 1)), rng.uniform(0, 1, (samples, 1))
    turn = (np.arange(STEPS) / STEPS * periods + phase) % 1
    forms = np.stack([np.sin(2 * np.pi * turn), np.where(turn < 0.5, 1.0, -1.0), 2 * turn - 1])
    x = forms[label, np.arange(samples)] + noise * rng.standard_normal((samples, STEPS))
    names = pl.DataFrame({"y": [WAVES[i] for i in label]})
    return Arrays({"x": x[..., None].astype(np.float32)}, Table(names, "waves"), where="waves")


def demand(rng: np.random.Generator, samples: int, noise: float) -> Table:
    """Return an hourly series `y` with daily and weekly cycles, which also follows `warmth` with a lag of two hours."""
    hour = np.arange(samples)
    warmth = np.zeros(samples)
    shocks = rng.standard_normal(samples)
    for i in range(1, samples):
        warmth[i] = 0.9 * warmth[i - 1] + 0.4 * shocks[i]
    late = np.concatenate([warmth[:1], warmth[:1], warmth[:-2]])
    y = 10 + 3 * np.sin(2 * np.pi * hour / 24) + 1.5 * np.sin(2 * np.pi * hour / 168) + 2 * late
    y = y + noise * rng.standard_normal(samples)
    return Table(pl.DataFrame({"hour": hour, "warmth": warmth.round(4), "y": y.round(4)}), "demand")


NOTES = {"c": 523.25, "d": 587.33, "e": 659.26, "g": 783.99, "a": 880.0}  # hertz, in a scale without semitones
TONE_RATE = 4000  # samples per second
LOUDNESS, SECONDS, REST = (0.2, 0.8), (0.12, 0.3), (0.03, 0.1)  # ranges for a note, and for the rest after it


def tones(rng: np.random.Generator, samples: int, noise: float) -> Sounds:
    """Return melodies of two to five notes in noise, with their `notes` and `y`, the last note."""
    sounds, melodies = [], []
    for _ in range(samples):
        notes = [str(note) for note in rng.choice(list(NOTES), rng.integers(2, 6))]
        sound = np.concatenate([part for note in notes for part in _played(rng, NOTES[note])])
        sounds.append((sound + noise * rng.standard_normal(len(sound))).astype(np.float32))
        melodies.append(notes)
    columns = {"notes": [" ".join(notes) for notes in melodies], "y": [notes[-1] for notes in melodies]}
    return Sounds(tuple(sounds), "tones", Table(pl.DataFrame(columns), "tones"), TONE_RATE)


def _played(rng: np.random.Generator, hertz: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a note that swells and fades, with a weaker octave, and the rest after it."""
    turn = 2 * np.pi * hertz * np.arange(round(rng.uniform(*SECONDS) * TONE_RATE)) / TONE_RATE
    swell = np.sin(np.pi * np.arange(len(turn)) / len(turn)) ** 0.5
    note = rng.uniform(*LOUDNESS) * swell * (np.sin(turn + rng.uniform(0, 2 * np.pi)) + 0.3 * np.sin(2 * turn))
    return note, np.zeros(round(rng.uniform(*REST) * TONE_RATE))


# --------------------------------------------------------------------------------------------------------------- texts


def listed(words: str) -> list[str]:
    """Return the words of a text."""
    return words.split()


ONES = listed("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen")
ONES += listed("seventeen eighteen nineteen")
TENS = listed("twenty thirty forty fifty sixty seventy eighty ninety")
EINER = listed(
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn"
)
EINER += listed("siebzehn achtzehn neunzehn")
ZEHNER = listed("zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig")


def english(number: int) -> str:
    """Return a number below 10,000 in English words."""
    if number < 20:
        return ONES[number]
    if number < 100:
        return TENS[number // 10 - 2] + (f" {ONES[number % 10]}" if number % 10 else "")
    name, size = ("hundred", 100) if number < 1000 else ("thousand", 1000)
    rest = f" {english(number % size)}" if number % size else ""
    return f"{english(number // size)} {name}{rest}"


def german(number: int) -> str:
    """Return a number below 10,000 in German, its parts as separate words; the ones come before the tens."""
    if number < 20:
        return EINER[number]
    if number < 100:
        ones = f"{_ein(number % 10)} und " if number % 10 else ""
        return ones + ZEHNER[number // 10 - 2]
    name, size = ("hundert", 100) if number < 1000 else ("tausend", 1000)
    rest = f" {german(number % size)}" if number % size else ""
    return f"{_ein(number // size)} {name}{rest}"


def _ein(number: int) -> str:
    return "ein" if number == 1 else german(number)


def number_words(rng: np.random.Generator, samples: int, noise: float) -> Table:
    """Return up to 10,000 distinct numbers below 10,000, in English and in German words."""
    chosen = rng.permutation(10_000)[:samples]
    columns = {"english": [english(int(n)) for n in chosen], "german": [german(int(n)) for n in chosen]}
    return Table(pl.DataFrame(columns), "number_words")


PRAISE = listed("lovely bright honest gripping tender funny clever splendid")
BLAME = listed("dull clumsy noisy empty tiresome bland muddled hollow")
THINGS = listed("film plot cast music ending story dialogue camera")
DEGREES = listed("very quite really rather truly")


def reviews(rng: np.random.Generator, samples: int, noise: float) -> Table:
    """Return invented short reviews, good or bad; `not` turns a word into its opposite."""
    texts, moods = [], []
    for i in range(samples):
        good = bool(i % 2)
        parts = [_opinion(rng, good) for _ in range(rng.integers(1, 4))]
        texts.append(" and ".join(parts))
        moods.append("good" if good else "bad")
    return Table(pl.DataFrame({"text": texts, "y": moods}), "reviews")


def _opinion(rng: np.random.Generator, good: bool) -> str:
    negated = rng.random() < 0.4
    word = _one(rng, PRAISE if good != negated else BLAME)
    degree = f"{_one(rng, DEGREES)} " if rng.random() < 0.5 else ""
    return f"the {_one(rng, THINGS)} was {'not ' if negated else ''}{degree}{word}"


ANIMALS = listed("fox owl hare crow toad mole")
MOODS = listed("old sly shy proud kind")
DEEDS = {"found": listed("lamp key coin"), "lost": listed("hat map ring"), "built": listed("boat nest wall")}
PLACES = ["by the river", "on the hill", "under the oak", "in the barn"]


def tales(rng: np.random.Generator, samples: int, noise: float) -> Corpus:
    """Return one text of sentences such as: the sly fox lost a map by the river.

    There are 5 x 6 x 9 x 4 equally likely sentences of 39.3 characters on average, so no model of characters can have a
    perplexity below exp(ln 1080 / 39.3) = 1.194.
    """
    lines = []
    for _ in range(samples):
        deed = _one(rng, list(DEEDS))
        thing = _one(rng, DEEDS[deed])
        lines.append(f"the {_one(rng, MOODS)} {_one(rng, ANIMALS)} {deed} a {thing} {_one(rng, PLACES)}.\n")
    return corpus_of(["".join(lines)], "tales")


def _one(rng: np.random.Generator, words: list[str]) -> str:
    return words[int(rng.integers(len(words)))]


SPECIAL: dict[str, tuple[Make, int, float]] = {  # generator, default size and default noise
    "shapes": (shapes, 1000, 0.1),
    "waves": (waves, 900, 0.3),
    "demand": (demand, 2000, 0.2),
    "tones": (tones, 1000, 0.1),
    "number_words": (number_words, 3000, 0.0),
    "reviews": (reviews, 1000, 0.0),
    "tales": (tales, 1000, 0.0),
}
