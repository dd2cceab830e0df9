"""How a run ended, in words."""

import pytest

from retrograd.report.ending import ending


@pytest.mark.parametrize(
    ("reason", "sentence", "words"),
    [
        ("epochs", "all 1200 epochs done", "finished all 1,200 epochs in 1.72 s"),
        ("early stopping", "no loss below 1", "stopped early after 1,200 epochs in 1.72 s: no loss below 1"),
        ("time limit", "1.7 of 1 seconds used", "stopped at the time limit after 1,200 epochs in 1.72 s: 1.7 of 1"),
        ("interrupted", "asked to stop in member 2 of 3", "interrupted in member 2 of 3, after 1.72 s"),
        ("terminated", "asked to stop before the first step", "terminated before the first step, after 1.72 s"),
        ("a reason of another version", "", "stopped after 1,200 epochs in 1.72 s"),
    ],
)
def test_an_ending_is_a_sentence(reason, sentence, words):
    assert ending(reason, sentence, 1200, 1.72).startswith(words)


def test_a_single_epoch_is_singular():
    assert ending("epochs", "all 1 epochs done", 1, 0.12) == "finished the epoch in 120 ms"
    assert ending("diverged", "the loss rises", 1, 65) == "diverged after 1 epoch in 1 min 5 s: the loss rises"
