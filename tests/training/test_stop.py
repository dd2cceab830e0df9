"""Rules that end a run: what they consider, and what they ignore."""

import pytest

from retrograd.record.events import Epoch
from retrograd.training.config.settings import EarlyStopping, TrainingSettings
from retrograd.training.loop.stop import rules


def stop(valid, *, rows=40, early=EarlyStopping(), loss=1e-9):  # noqa: B008  # frozen
    history = [Epoch(1, 10, loss, {"valid": valid} if valid else {"train": {"accuracy": 1.0, "loss": loss}}, 0.1, 1.0)]
    results = (rule(history) for rule in rules(TrainingSettings(early_stopping=early), rows))
    return next((each.reason for each in results if each), None)


@pytest.mark.parametrize(
    ("valid", "rows", "reason"),
    [
        ({"accuracy": 1.0, "loss": 1e-3}, 40, "perfect"),  # 0.04 wrong rows are expected
        ({"accuracy": 1.0, "loss": 2e-3}, 40, None),
        ({"accuracy": 0.975, "loss": 1e-3}, 40, None),
        ({"accuracy": 1.0, "loss": 1e-3}, 4000, None),  # with many rows some may still improve
        ({"accuracy": 1.0, "loss": 4e-5}, 4000, "perfect"),
        ({"accuracy": 1.0, "loss": 4e-5, "perplexity": 1.0}, 9, "perfect"),  # for tokens
        ({"average_precision": 1.0, "loss": 4e-5}, 9, "perfect"),
        ({"r2": 0.99996, "loss": 4e-5}, 40, "perfect"),
        ({"r2": 0.9999, "loss": 1e-4}, 40, None),
        ({"loss": 1e-9}, 40, None),  # without a score, perfection cannot be recognised
        ({"accuracy": 1.0, "loss": -3.0}, 40, None),  # nor with a loss that has no floor at 0
        ({"accuracy": 1.0, "loss": float("nan")}, 40, None),
    ],
)
def test_training_ends_when_the_validation_rows_can_show_no_more(valid, rows, reason):
    assert stop(valid, rows=rows) == reason


def test_a_perfect_score_ends_a_run_only_on_request_and_on_held_out_rows():
    perfect = {"accuracy": 1.0, "loss": 0.0}
    assert stop(perfect, early=None) is None
    assert stop(perfect, early=EarlyStopping(stop_when_perfect=False)) is None
    assert stop({}, rows=0) is None  # no held-out rows: training rows may be learnt by heart
