"""Progress lines are printed by time."""

from retrograd.record.events import Epoch
from retrograd.training.progress import Lines


def test_a_line_is_printed_every_two_seconds_with_the_remaining_time(capsys):
    lines = Lines(epochs=10)
    for number in range(1, 6):
        lines(Epoch(number, number, 0.5, {"valid": {"r2": 0.25}}, 0.1, number * 1.0))
    first, second = capsys.readouterr().err.splitlines()
    assert first == "epoch 2/10  loss 0.5  valid r2 0.25  at most 8 s left"
    assert second.startswith("epoch 4/10")
