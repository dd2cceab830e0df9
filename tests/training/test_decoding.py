"""Decoding over a small table of probabilities, where the best text is known from an exhaustive search."""

import itertools

import numpy as np

from retrograd.data.cells.vocabulary import END, PADDING, START
from retrograd.training.use.decoding import drawn, extend, likeliest, search

TOKENS = 7  # four special ones, then 4, 5 and 6
BEGUN = np.array([START], np.int32)


def logits_of(prefixes):
    """Return logits that depend on the last two tokens only."""
    rows = []
    for row in prefixes:
        rng = np.random.default_rng([int(token) for token in row[-2:]])
        rows.append(2 * rng.standard_normal(TOKENS))
    return np.array(rows)


def log_probability(tokens):
    """Return that of a finished text, among the tokens that may be generated."""
    total, prefix = 0.0, [START]
    for token in [*tokens, END]:
        logits = logits_of(np.array([prefix]))[0]
        allowed = logits[[END, 4, 5, 6]]
        total += logits[token] - np.log(np.exp(allowed).sum())
        prefix.append(token)
    return total


def test_a_wide_beam_finds_the_best_of_all_texts():
    texts = [text for n in range(4) for text in itertools.product((4, 5, 6), repeat=n)]
    best = max(texts, key=log_probability)
    beams = search(logits_of, BEGUN, 4, width=200, exponent=0.0)[: len(texts)]
    assert tuple(beams[0].tokens) == best
    np.testing.assert_allclose(beams[0].score, log_probability(best), rtol=1e-12)
    scores = [beam.score for beam in beams]
    assert scores == sorted(scores, reverse=True)
    np.testing.assert_allclose(sorted(scores), sorted(map(log_probability, texts)), rtol=1e-12)


def test_a_beam_is_no_worse_than_the_greedy_choice_and_a_beam_of_one_equals_it():
    greedy = extend(logits_of, BEGUN[None], 12, likeliest)[0, 1:]
    text = greedy[: np.argmax(greedy == END)] if END in greedy else greedy
    assert search(logits_of, BEGUN, 12, width=1)[0].tokens.tolist() == text.tolist()
    assert search(logits_of, BEGUN, 12, width=8, exponent=0.0)[0].score >= log_probability(text) - 1e-9


def test_length_counts_as_the_exponent_says():
    means = [beam.score / (len(beam.tokens) + 1) for beam in search(logits_of, BEGUN, 4, width=200, exponent=1.0)[:40]]
    assert means == sorted(means, reverse=True)


def test_a_finished_row_is_filled_with_padding_while_others_continue():
    rows = extend(logits_of, np.array([[START, 4], [START, 5], [START, 6]], np.int32), 30, likeliest)
    for row in rows:
        after = row[np.argmax(row == END) + 1 :] if END in row else []
        assert set(after) <= {PADDING}


def test_sampled_tokens_have_the_frequencies_that_the_logits_imply():
    logits = np.tile(np.log([0.5, 0.3, 0.2]), (20_000, 1))
    rng = np.random.Generator(np.random.PCG64(0))
    np.testing.assert_allclose(np.bincount(drawn(1.0, None, rng)(logits)) / 20_000, [0.5, 0.3, 0.2], atol=0.015)
    cold = np.bincount(drawn(0.5, None, rng)(logits), minlength=3) / 20_000
    np.testing.assert_allclose(cold, np.array([0.25, 0.09, 0.04]) / 0.38, atol=0.015)
    assert set(drawn(1.0, 2, rng)(logits)) == {0, 1}


def test_padding_unknown_and_start_tokens_are_never_generated():
    rows = extend(
        lambda prefixes: np.tile([9.0, 9, 9, 0, 0, 0, 0], (len(prefixes), 1)),
        BEGUN[None],
        20,
        drawn(1.0, None, np.random.default_rng(0)),
    )
    assert not set(rows[0, 1:]) & {1, START}
