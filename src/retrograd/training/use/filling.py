"""Filling in masked tokens of texts with a masked language model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from retrograd.base.errors import DataError
from retrograd.data.cells.vocabulary import MASK
from retrograd.data.tables.target import Decoded, softmax
from retrograd.data.texts.inputs import CorpusInputs
from retrograd.data.texts.masking import Masking
from retrograd.training.use.decoding import Speaker


def completed(model: Speaker, rows: Any, columns: Mapping[str, np.ndarray]) -> Decoded:
    """Return texts with each [MASK] replaced by the most likely token, and the probability of each at that moment.

    The most certain token of each sequence is filled in first, so that the others can be inferred from it too.

    Raises:  DataError if no text has a [MASK], or one contains the tokenizer's own mask
    """
    inputs = model.preprocessing.inputs
    assert isinstance(inputs, CorpusInputs)
    assert inputs.masking is not None
    corpus, masking = inputs.rows_of(rows), inputs.masking
    places = np.argwhere(columns["x"] == masking.mask)  # in the order of the texts
    counts = [text.count(MASK) for text in corpus.texts]
    if sum(counts) != len(places):
        raise DataError("a text contains the tokenizer's own mask", where=corpus.where, cure=f"write {MASK} instead")
    if not len(places):
        raise DataError(f"no text has a {MASK}", where=corpus.where, cure=f"write {MASK} where a token is missing")
    affected, sequence = np.unique(places[:, 0], return_inverse=True)
    sequences = {name: np.array(column[affected]) for name, column in columns.items()}
    tokens, shares = np.zeros(len(places), np.int32), np.zeros(len(places))
    is_masked = np.ones(len(places), bool)
    while is_masked.any():
        logits = model.evaluator.outputs(model.variables, sequences)[sequence, places[:, 1]]
        likely = _shares(logits, inputs.vocabulary.size, masking)
        best = np.where(is_masked, likely.max(-1), -1.0)
        order = np.lexsort((best, sequence))
        surest = order[np.append(sequence[order][1:] != sequence[order][:-1], True)]
        surest = surest[is_masked[surest]]
        tokens[surest], shares[surest] = likely[surest].argmax(-1), best[surest]
        sequences["x"][sequence[surest], places[surest, 1]] = tokens[surest]
        is_masked[surest] = False
    words = (inputs.vocabulary.decode([token]) for token in tokens.tolist())
    texts = ["".join(piece if i == 0 else next(words) + piece for i, piece in enumerate(text.split(MASK)))
             for text in corpus.texts]  # fmt: skip
    return Decoded(labels=np.array(texts, object), fillings=np.split(shares, np.cumsum(counts)[:-1]))


def _shares(logits: np.ndarray, size: int, masking: Masking) -> np.ndarray:
    """Return the probability of each token [places, identifiers], 0 for marks."""
    logits = logits[:, :size].astype(np.float64)
    logits[:, list(masking.never)] = -np.inf
    return softmax(logits)
