"""Text along with numbers, end to end: the proposed network uses both, as an independent pipeline does."""

import numpy as np
import polars as pl
import pytest
from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge

import retrograd as rg
from retrograd.base.document import parse_document
from retrograd.base.errors import ConfigError
from retrograd.data.dataset import from_frame
from retrograd.data.settings import DataSettings
from retrograd.training.config.config import config_of
from retrograd.training.config.design import design

GOOD, BAD = ("excellent", "superb", "lovely", "brilliant"), ("awful", "broken", "dreadful", "useless")
FILLER = [
    "the",
    "a",
    "box",
    "it",
    "was",
    "and",
    "I",
    "bought",
    "one",
    "for",
    "my",
    "house",
    "with",
    "this",
    "colour",
    "of",
    "really",
    "quite",
    "when",
    "used",
    "two",
    "weeks",
]


def reviews(rows=240, seed=0):
    """Return reviews whose only decisive word is good (1) or bad (-1), these signs, and an unrelated number."""
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1, 1], rows)
    texts = []
    for sign in signs:
        words = list(rng.choice(FILLER, rng.integers(6, 16)))
        words.insert(int(rng.integers(len(words))), str(rng.choice(GOOD if sign > 0 else BAD)))
        texts.append(" ".join(words))
    return texts, signs, rng.normal(size=rows)


def trained(frame, folder, epochs):
    data = from_frame(frame, "y", settings=DataSettings(split={"method": "time"}))
    changes = [f"training.epochs={epochs}", "training.batch_size=16"]
    chosen = design(data, DataSettings(), changes, learning_rate=0.01)
    return rg.train(config_of(parse_document(chosen.text)), dataset=data, folder=folder), chosen


def test_text_and_number_decide_together_as_well_as_in_a_tf_idf_pipeline(tmp_path):
    texts, signs, number = reviews()
    y = 3 * signs + 2 * number + 0.3 * np.random.default_rng(1).normal(size=len(signs))
    run, chosen = trained(pl.DataFrame({"review": texts, "n": number, "y": y}), tmp_path / "run", epochs=30)
    assert [entry for entry in chosen.config.network if "mean_1" in str(entry)]
    words = TfidfVectorizer().fit(texts[:168])  # the same training rows as above
    features = hstack([words.transform(texts), number[:, None]]).tocsr()
    oracle = Ridge().fit(features[:168], y[:168]).score(features[204:], y[204:])
    number_alone = Ridge().fit(number[:168, None], y[:168]).score(number[204:, None], y[204:])
    assert number_alone < 0.6
    assert run.scores["test"]["r2"] > min(0.9, oracle)


def test_a_table_of_texts_alone_trains_and_its_model_file_predicts(tmp_path):
    texts, signs, _ = reviews(160)
    frame = pl.DataFrame({"review": texts, "y": np.where(signs > 0, "yes", "no")})
    run, _ = trained(frame, tmp_path / "run", epochs=12)
    assert run.scores["test"]["accuracy"] > 0.95
    again = rg.load(tmp_path / "run")
    new = pl.DataFrame({"review": ["it was superb", "one awful box", None]})
    assert again.predict(new)[:2].tolist() == ["yes", "no"]
    np.testing.assert_array_equal(again.predict_proba(new), run.predict_proba(new))


def test_texts_without_a_target_name_what_to_write():
    frame = pl.DataFrame({"review": reviews(40)[0]})
    settings = DataSettings(task="unsupervised")
    with pytest.raises(ConfigError, match="no network is chosen automatically for texts without a target"):
        design(from_frame(frame, settings=settings), settings)
